// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Block devices by name and by number, from sysfs: nothing is kept, so that disks may come and go.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace corebox
{

// A disk, or a partition as a part of one.
struct Disk {
    std::uint32_t device = 0; // the whole disk: major << 20 | minor, as the kernel has it
    std::uint64_t first_sector = 0, sectors = 0; // of a partition, in units of 512 bytes
};

// The disk named "sda", "sda1", "/dev/disk/by-id/..." or "8:0". Fails where there is none, and
// where it is one whose I/O is never a request of its own (device mapper, md): the message names
// the disks below it.
Disk find_disk(std::string_view name);

// "sda"; "8:0" if the disk is gone.
std::string disk_name(std::uint32_t device);

} // namespace corebox
