// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "session/cgroup.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include <algorithm>
#include <bpf/bpf.h>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <sys/stat.h>
#include <sys/vfs.h>

namespace corebox
{
namespace
{

constexpr long kCgroup2Magic = 0x63677270; // linux/magic.h
// The second is where systemd mounts v2 next to v1 ("hybrid").
constexpr std::string_view kMounts[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};

constexpr std::string_view kHint =
    "/proc/PID/cgroup shows the cgroup of a process, in the line that begins with 0::";

bool is_cgroup2(const std::string& directory)
{
    struct statfs fs {
    };
    return ::statfs(directory.c_str(), &fs) == 0 && fs.f_type == kCgroup2Magic;
}

std::string without_links(const std::string& path)
{
    const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr),
                                                           std::free);
    return real ? std::string(real.get()) : std::string{};
}

} // namespace

std::string find_cgroup(std::string_view name)
{
    // A line of /proc/PID/cgroup: HIERARCHY:CONTROLLERS:PATH, version 2 as 0::PATH.
    std::string_view path = name;
    const auto first = name.find(':'), second = name.find(':', first + 1);
    if (first != name.npos && second != name.npos &&
        to_number<std::uint32_t>(name.substr(0, first))) {
        if (second != first + 1)
            fail(cat("cannot trace --cgroup ", name), "this is a cgroup v1", kHint);
        path = name.substr(second + 1);
    }
    int code = ENOENT;
    std::string elsewhere; // exists, and is no cgroup
    const auto find = [&](const std::string& candidate) {
        std::string real = without_links(candidate);
        if (real.empty()) {
            code = errno;
        } else if (!is_cgroup2(real)) {
            elsewhere = real;
            real.clear();
        }
        return real;
    };
    // A path of the file system first; then one below a place where cgroups are mounted.
    if (path.starts_with('/') || path.starts_with('.'))
        if (std::string real = find(std::string(path)); !real.empty())
            return real;
    if (!path.starts_with('.'))
        for (const std::string_view mount : kMounts)
            if (std::string real = find(cat(mount, path.starts_with('/') ? "" : "/", path));
                !real.empty())
                return real;
    if (!elsewhere.empty())
        fail(cat("cannot trace --cgroup ", name), cat(elsewhere, " is not a cgroup v2 directory"),
             kHint);
    fail(cat("cannot trace --cgroup ", name), code, kHint);
}

std::vector<filter_cgroup> read_cgroup_path(const std::string& directory)
{
    std::vector<filter_cgroup> path;
    for (std::string at = directory; path.size() < CGROUP_MAX_DEPTH && is_cgroup2(at);) {
        struct stat st {
        };
        // The id of a cgroup is its directory's inode number (kernfs_node.id).
        if (::stat(at.c_str(), &st) != 0)
            break;
        filter_cgroup part{.id = st.st_ino, .name = {}};
        const auto slash = at.rfind('/');
        const std::string_view name = std::string_view(at).substr(slash + 1);
        std::ranges::copy(name.substr(0, CGROUP_NAME_LEN - 1), part.name);
        path.push_back(part);
        at.resize(slash);
    }
    return path;
}

void fill_cgroup_path(int map, const std::string& directory)
{
    constexpr auto kId = &filter_cgroup::id;
    // A directory may be made again between the reading and the writing.
    for (auto path = read_cgroup_path(directory);;) {
        for (std::uint32_t i = 0; i < path.size(); i++)
            if (bpf_map_update_elem(map, &i, &path[i], BPF_ANY) != 0)
                fail("cannot fill the cgroup filter", errno);
        auto now = read_cgroup_path(directory);
        if (std::ranges::equal(now, path, {}, kId, kId))
            break;
        path = std::move(now);
    }
}

} // namespace corebox
