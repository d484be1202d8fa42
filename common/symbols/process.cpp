// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "symbols/process.hpp"

#include "base/text.hpp"

#include <climits>
#include <fcntl.h>
#include <sys/stat.h>

namespace corebox
{
namespace
{

constexpr std::size_t kMaxRoots = 256; // two descriptors each

// The field-th number of a line of /proc/PID/status, or its last one if it has fewer.
std::optional<std::uint32_t> status_number(std::string_view status, std::string_view key,
                                           std::size_t field)
{
    std::optional<std::string_view> value = status_field(status, key);
    std::optional<std::uint32_t> number;
    if (value) {
        for (std::string_view part : split(*value, '\t')) {
            number = to_number<std::uint32_t>(part);
            if (field-- == 0)
                break;
        }
    }
    return number;
}

// From the root of a process in a chroot to that of its mount namespace, from where the kernel
// shows its paths to others: nothing but our own root ends our way up.
void climb(Fd& directory)
{
    const auto place = [](int fd) {
        struct statx s {
        };
        const bool known = ::statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_MNT_ID, &s) == 0;
        return known ? std::tuple(s.stx_mnt_id, s.stx_ino) : std::tuple(__u64(0), __u64(0));
    };
    for (int level = 0; level < PATH_MAX / 2; level++) {
        Fd above{::openat(directory.get(), "..", O_PATH | O_DIRECTORY | O_CLOEXEC)};
        if (!above || place(above.get()) == place(directory.get()))
            return;
        directory = std::move(above);
    }
}

} // namespace

std::string proc_path(std::uint32_t pid, std::string_view entry)
{
    return cat("/proc/", pid, "/", entry);
}

std::optional<ProcessStat> read_process_stat(std::uint32_t pid)
{
    const auto text = read_file(proc_path(pid, "stat"));
    if (!text)
        return std::nullopt;
    // Behind the name, which may hold anything, field 3 comes first.
    const auto fields = split(std::string_view(*text).substr(text->rfind(')') + 1), ' ');
    const auto field = [&](std::size_t number) {
        const std::size_t i = number - 2; // an empty one before the first blank
        return i < fields.size() ? to_number<std::uint64_t>(fields[i]).value_or(0) : 0;
    };
    return ProcessStat{std::uint32_t(field(4)), field(28)};
}

std::optional<std::uint32_t> forked_from(std::uint32_t pid)
{
    const auto child = read_process_stat(pid);
    if (!child || child->parent == 0 || child->start_stack == 0)
        return std::nullopt;
    const auto parent = read_process_stat(child->parent);
    if (!parent || parent->start_stack != child->start_stack)
        return std::nullopt;
    // Without randomization (setarch -R) all first stacks begin at the same address.
    struct stat own, other;
    if (::stat(proc_path(pid, "exe").c_str(), &own) != 0 ||
        ::stat(proc_path(child->parent, "exe").c_str(), &other) != 0 ||
        std::tie(own.st_dev, own.st_ino) != std::tie(other.st_dev, other.st_ino))
        return std::nullopt;
    return child->parent;
}

std::optional<ProcessOwner> read_process_owner(std::uint32_t pid)
{
    const auto status = read_file(proc_path(pid, "status"));
    if (!status)
        return std::nullopt;
    constexpr std::size_t kLast = 64; // PID namespaces nest 32 deep at most
    return ProcessOwner{status_number(*status, "NStgid", kLast).value_or(pid),
                        status_number(*status, "Uid", 1).value_or(0)};
}

std::optional<Roots::Key> Roots::key_of(const std::string& process)
{
    struct stat root, names;
    if (::stat((process + "/root").c_str(), &root) != 0)
        return std::nullopt;
    // The mount namespace too: with the same root, /tmp may still be another (PrivateTmp).
    if (::stat((process + "/ns/mnt").c_str(), &names) != 0)
        return std::nullopt;
    return Key{root.st_dev, root.st_ino, names.st_ino};
}

RootPlace Roots::find(std::uint32_t pid)
{
    RootPlace place;
    if (!own_)
        own_ = key_of("/proc/self");
    const auto key = key_of(cat("/proc/", pid));
    if (!key || !own_ || *key == *own_)
        return place;
    place.own_mounts = std::get<2>(*key) == std::get<2>(*own_);
    auto known = roots_.find(*key);
    if (known == roots_.end()) {
        if (roots_.size() >= kMaxRoots)
            return place;
        auto root = std::make_shared<Root>();
        root->directory =
            Fd{::open(proc_path(pid, "root").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
        if (!place.own_mounts)
            climb(root->directory);
        root->mounts = Fd{::open(proc_path(pid, "ns/mnt").c_str(), O_RDONLY | O_CLOEXEC)};
        if (!root->directory)
            return place;
        known = roots_.emplace(*key, std::move(root)).first;
    }
    place.root = known->second;
    return place;
}

} // namespace corebox
