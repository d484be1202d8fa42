// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cgroups.hpp"
#include "output/cgroup_note.hpp"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <linux/magic.h>
#include <memory>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

namespace corebox
{
namespace
{

struct CloseDir {
    void operator()(DIR* d) const { ::closedir(d); }
};

std::string path_in_notes(const bpf_map* notes, std::uint64_t id)
{
    cgroup_note note{};
    const bool found = bpf_map_lookup_elem(bpf_map__fd(notes), &id, &note) == 0;
    return found ? noted_path(note) : std::string();
}

} // namespace

// A cgroup's number is its directory's inode number (kernfs_node.id).
void CgroupNames::read(const std::string& directory, const std::string& path) const
{
    struct stat st {
    };
    if (::stat(directory.c_str(), &st) == 0)
        paths_[st.st_ino] = path.empty() ? "/" : path;
    const std::unique_ptr<DIR, CloseDir> dir(::opendir(directory.c_str()));
    while (const dirent* entry = dir ? ::readdir(dir.get()) : nullptr)
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
            read(directory + "/" + entry->d_name, path + "/" + entry->d_name);
}

const std::string& CgroupNames::of(const bpf_map* notes, std::uint64_t id) const
{
    if (!paths_.contains(id)) {
        // Where version 1 has the usual place, version 2 is beside its controllers.
        const char* unified = "/sys/fs/cgroup/unified";
        const char* root = ::access(unified, F_OK) == 0 ? unified : "/sys/fs/cgroup";
        // The numbers of version 1's directories are others.
        struct statfs fs {
        };
        if (::statfs(root, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC)
            read(root, "");
    }
    const auto [known, is_new] = paths_.try_emplace(id);
    if (is_new)
        known->second = path_in_notes(notes, id);
    if (known->second.empty())
        known->second = std::to_string(id);
    return known->second;
}

} // namespace corebox
