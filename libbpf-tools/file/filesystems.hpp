// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The file systems of fsslower and fsdist, and the names that their tools have.
#pragma once
#include "cli/tool.hpp"

namespace corebox
{

// Words of --type, in the order of file_system()'s numbers.
inline constexpr std::string_view kFileSystems = "ext4|xfs|btrfs|nfs|f2fs|fuse|bcachefs|zfs";

inline constexpr int kNoFileSystem = -1;

// The functions behind a file system's operations, by slot: %read, %write, %open, %fsync, %getattr,
// and of NFS %open4, %atomic and %commit. Fails where none was chosen or it is not loaded.
Targets file_system_targets(int type);

} // namespace corebox
