// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The file systems of fsslower and fsdist, and the names that their tools have.
#pragma once
#include "tool/tool.hpp"

namespace corebox
{

// Words of --type, in the order of file_system()'s numbers.
inline constexpr std::string_view kFileSystems = "ext4|xfs|btrfs|nfs|f2fs|fuse|bcachefs|zfs";

inline constexpr int kNoFileSystem = -1;

// The functions behind a file system's operations, by slot: %read, %write, %open, %fsync, %getattr,
// and of NFS %open4, %atomic and %commit. Fails where none was chosen or it is not loaded.
Targets file_system_targets(int type);

inline constexpr std::string_view kFileSystemBlind =
    "I/O that ends after its function has returned (io_uring, AIO)";

// What both tools observe; P: the programs of a skeleton.
template <class P>
inline constexpr Need kFileSystemNeeds[] = {
    {"reads",
     {rung<&P::read_fexit, &P::read_fentry>("fexit", kFileSystemBlind),
      rung<&P::read_kretp, &P::read_kprobe>("kprobe", kFileSystemBlind)}},
    {"writes",
     {rung<&P::write_fexit, &P::write_fentry>("fexit", kFileSystemBlind),
      rung<&P::write_kretp, &P::write_kprobe>("kprobe", kFileSystemBlind)}},
    {"opens",
     {rung<&P::open_fexit, &P::open_fentry>("fexit"),
      rung<&P::open_kretp, &P::open_kprobe>("kprobe")}},
    {.what = "opens by NFSv4",
     .rungs = {rung<&P::open4_fexit, &P::open4_fentry>("fexit"),
               rung<&P::open4_kretp, &P::open4_kprobe>("kprobe")},
     .optional = true,
     .without = "opens by NFSv4"},
    {.what = "creating opens by NFSv4",
     .rungs = {rung<&P::atomic_fexit, &P::atomic_fentry>("fexit"),
               rung<&P::atomic_kretp, &P::atomic_kprobe>("kprobe")},
     .optional = true,
     .without = "opens by NFSv4 that create files"},
    {"fsyncs",
     {rung<&P::fsync_fexit, &P::fsync_fentry>("fexit"),
      rung<&P::fsync_kretp, &P::fsync_kprobe>("kprobe")}},
    {.what = "getattrs",
     .rungs = {rung<&P::getattr_fexit, &P::getattr_fentry>("fexit"),
               rung<&P::getattr_kretp, &P::getattr_kprobe>("kprobe")},
     .optional = true,
     .without = "stat(2)"},
    {.what = "commits",
     .rungs = {rung<&P::commit_fexit, &P::commit_fentry>("fexit"),
               rung<&P::commit_kretp, &P::commit_kprobe>("kprobe")},
     .optional = true,
     .without = "commits of NFS"},
};

} // namespace corebox
