// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "filesystems.hpp"
#include "base/error.hpp"
#include "base/text.hpp"

namespace corebox
{
namespace
{

struct FileSystem {
    std::string_view name; // of the file system and of its module
    std::array<Target, 8> targets;
};

constexpr FileSystem make(std::string_view fs, std::string_view read, std::string_view write,
                          std::string_view open, std::string_view fsync, std::string_view getattr,
                          Target more = {}, Target and_more = {}, Target still_more = {})
{
    return {fs,
            {{{"%read", read, fs},
              {"%write", write, fs},
              {"%open", open, fs},
              {"%fsync", fsync, fs},
              {"%getattr", getattr, fs},
              more,
              and_more,
              still_more}}};
}

// ext4_getattr() is behind the getattr of directories and, through ext4_file_getattr(), of files.
constexpr FileSystem kTable[] = {
    make("ext4", "ext4_file_read_iter", "ext4_file_write_iter", "ext4_file_open", "ext4_sync_file",
         "ext4_getattr"),
    make("xfs", "xfs_file_read_iter", "xfs_file_write_iter", "xfs_file_open", "xfs_file_fsync",
         "xfs_vn_getattr"),
    make("btrfs", "btrfs_file_read_iter", "btrfs_file_write_iter", "btrfs_file_open",
         "btrfs_sync_file", "btrfs_getattr"),
    make("nfs", "nfs_file_read", "nfs_file_write", "nfs_file_open", "nfs_file_fsync", "nfs_getattr",
         {"%open4", "nfs4_file_open", "nfsv4"}, {"%atomic", "nfs_atomic_open", "nfs"},
         {"%commit", "__nfs_commit_inode", "nfs"}),
    make("f2fs", "f2fs_file_read_iter", "f2fs_file_write_iter", "f2fs_file_open", "f2fs_sync_file",
         "f2fs_getattr"),
    make("fuse", "fuse_file_read_iter", "fuse_file_write_iter", "fuse_open", "fuse_fsync",
         "fuse_getattr"),
    make("bcachefs", "bch2_read_iter", "bch2_write_iter", "bch2_open", "bch2_fsync",
         "bch2_getattr"),
    make("zfs", "zpl_iter_read", "zpl_iter_write", "zpl_open", "zpl_fsync", "zpl_getattr"),
};

bool is_registered(std::string_view name)
{
    const auto text = read_file("/proc/filesystems");
    return !text || text->find(cat("\t", name, "\n")) != text->npos;
}

} // namespace

Targets file_system_targets(int type)
{
    if (type == kNoFileSystem)
        fail_usage(cat("missing file system: --type ", kFileSystems));
    const FileSystem& fs = kTable[std::size_t(type)];
    if (!is_registered(fs.name))
        fail(cat("cannot trace ", fs.name), "its module is not loaded", cat("modprobe ", fs.name));
    Targets targets = fs.targets;
    while (targets.back().slot.empty())
        targets = targets.first(targets.size() - 1);
    return targets;
}

} // namespace corebox
