// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Block devices by name and by number.
#pragma once
#include "disk.h"
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

struct bpf_map;

namespace corebox
{

// The disk named "sda", "sda1", "/dev/disk/by-id/..." or "8:0"; of a multipath NVMe namespace all
// of its paths, or one. Fails where there is none, and where it is one whose I/O is never a request
// of its own (device mapper, md): the message names the disks below it.
disk_filter find_disk(std::string_view name);

// find_disk() for disks whose I/O need not be requests.
disk_filter find_any_disk(std::string_view name);

// Restricts a tool to the disk or partition of that name; an empty one: to none.
template <class S>
void restrict_to_disk(S& s, std::string_view name)
{
    if (!name.empty())
        s.rodata->cb_disk = find_disk(name);
}

// Names of disks whose requests were seen (disk.bpf.h): those that they had then, for some are gone
// when they are shown.
class DiskNames
{
public:
    // "sda"; "8:0" if nothing is known of it.
    static std::string of(const bpf_map* notes, std::uint32_t device);

    // The same for many records: asks again for one not more often than each second of `now_ns`, of
    // any clock. Valid until the next call.
    std::string_view of(const bpf_map* notes, std::uint32_t device, std::uint64_t now_ns);

private:
    struct Known {
        std::uint32_t device;
        std::uint64_t asked_ns;
        std::string name;
    };
    std::vector<Known> known_; // few: the last used first
};

// The partitions of disks, looked up in sysfs not more often than each second.
class Partitions
{
public:
    // The name of the one that a sector of the disk is in; empty: none. Valid until the next call.
    std::string_view of(std::string_view disk, std::uint64_t sector, std::uint64_t now_ns);

private:
    struct Part {
        std::string name;
        std::uint64_t first_sector, sectors;
    };
    struct Known {
        std::string disk;
        std::uint64_t asked_ns;
        std::vector<Part> parts;
    };
    std::vector<Known> known_;
};

} // namespace corebox
