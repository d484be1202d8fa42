// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Block devices by name and by number, from sysfs: nothing is kept, so that disks may come and go.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

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

// Restricts a tool's configuration to the disk or partition of that name; an empty one: to none.
template <class Config>
void restrict_to_disk(Config& config, std::string_view name)
{
    if (name.empty())
        return;
    const Disk disk = find_disk(name);
    config.disk = disk.device;
    config.first_sector = disk.first_sector;
    config.sectors = disk.sectors;
}

// find_disk() for disks whose I/O need not be requests.
Disk find_any_disk(std::string_view name);

// "sda"; "8:0" if the disk is gone.
std::string disk_name(std::uint32_t device);

// The same for many, asking again for one not more often than each second. A disk that is gone
// keeps its name.
class DiskNames
{
public:
    // `now_ns`: of any clock. Valid until the next call.
    std::string_view of(std::uint32_t device, std::uint64_t now_ns);

private:
    struct Known {
        std::uint32_t device;
        std::uint64_t asked_ns;
        std::string name;
    };
    std::vector<Known> known_; // few: the last used first
};

} // namespace corebox
