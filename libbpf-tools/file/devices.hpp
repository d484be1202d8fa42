// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Numbers of file systems as the kernel side sees them.
#pragma once
#include <cstdint>
#include <string>

namespace corebox
{

// The number (major << 20 | minor) of the file system that an open file is on, s_dev in the
// kernel. stat(2) would tell another one where a file system makes up numbers (btrfs, for each
// subvolume), so it is taken from the mount that the file was reached through. `path` is for the
// message of a failure.
std::uint32_t kernel_dev(int fd, const std::string& path);

} // namespace corebox
