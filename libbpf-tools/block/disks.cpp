// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "disks.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include <algorithm>
#include <cerrno>
#include <dirent.h>
#include <memory>
#include <set>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace corebox
{
namespace
{

constexpr unsigned kMinorBits = 20; // MINORBITS, linux/kdev_t.h

std::string sysfs_of(std::string_view number) { return cat("/sys/dev/block/", number); }

std::optional<std::string> line_of(const std::string& path)
{
    auto text = read_file(path);
    if (text)
        text->resize(std::min(text->find('\n'), text->size()));
    return text;
}

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

std::uint64_t number_in(const std::string& path)
{
    return to_number<std::uint64_t>(line_of(path).value_or("")).value_or(0);
}

// "8:0" of what the user wrote.
std::optional<std::string> number_of(std::string_view name)
{
    if (exists(sysfs_of(name)))
        return std::string(name);
    // In sysfs a name's slashes are exclamation marks ("cciss!c0d0").
    std::string entry(name);
    std::ranges::replace(entry, '/', '!');
    if (auto number = line_of(cat("/sys/class/block/", entry, "/dev")))
        return number;
    // A mapped device has its own name there, which is the one that lsblk shows.
    for (const std::string_view directory : {"/dev/", "/dev/mapper/"}) {
        struct stat st {
        };
        const std::string path = name.starts_with('/') ? std::string(name) : cat(directory, name);
        if (::stat(path.c_str(), &st) == 0 && S_ISBLK(st.st_mode))
            return cat(major(st.st_rdev), ":", minor(st.st_rdev));
    }
    return std::nullopt;
}

// Drivers without a request queue handle bios as they come, or pass them on.
bool has_requests(const std::string& disk) { return exists(cat(disk, "/mq")); }

// The disks and partitions with requests on which the one of that directory lies.
void find_below(const std::string& directory, std::set<std::string>& names)
{
    const std::string slaves = cat(directory, "/slaves");
    const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(slaves.c_str()), ::closedir);
    while (const dirent* entry = dir ? ::readdir(dir.get()) : nullptr) {
        if (entry->d_name[0] == '.')
            continue;
        const std::string below = cat(slaves, "/", entry->d_name);
        const std::string disk = exists(cat(below, "/partition")) ? cat(below, "/..") : below;
        if (has_requests(disk))
            names.insert(entry->d_name);
        else
            find_below(disk, names);
    }
}

struct Whole {
    Disk disk;
    std::string directory; // in sysfs, of the whole disk
};

Whole whole_disk(std::string_view name)
{
    const auto number = number_of(name);
    if (!number)
        fail(cat("no disk '", name, "'"), 0, "lsblk lists the disks");
    Disk disk;
    std::string directory = sysfs_of(*number);
    if (exists(cat(directory, "/partition"))) {
        disk.first_sector = number_in(cat(directory, "/start"));
        disk.sectors = number_in(cat(directory, "/size"));
        directory += "/..";
    }
    const std::string whole = line_of(cat(directory, "/dev")).value_or("");
    const auto parts = split(whole, ':');
    if (parts.size() != 2)
        fail(cat("read ", directory, "/dev"), errno);
    disk.device = to_number<std::uint32_t>(parts[0]).value_or(0) << kMinorBits |
                  to_number<std::uint32_t>(parts[1]).value_or(0);
    return {disk, std::move(directory)};
}

} // namespace

Disk find_any_disk(std::string_view name) { return whole_disk(name).disk; }

Disk find_disk(std::string_view name)
{
    const auto [disk, directory] = whole_disk(name);
    if (!has_requests(directory)) {
        std::set<std::string> names;
        find_below(directory, names);
        std::string below;
        for (const std::string& one : names)
            below += cat(below.empty() ? "" : ", ", one);
        fail(cat("'", name, "' has no requests itself"), 0,
             below.empty() ? "" : cat("trace the disk below: ", below));
    }
    return disk;
}

std::string disk_name(std::uint32_t device)
{
    std::string number = cat(device >> kMinorBits, ":", device & ((1u << kMinorBits) - 1));
    char target[1024];
    const ssize_t n = ::readlink(sysfs_of(number).c_str(), target, sizeof target);
    if (n <= 0)
        return number;
    std::string name(target, std::size_t(n));
    name.erase(0, name.rfind('/') + 1);
    std::ranges::replace(name, '!', '/');
    return name;
}

std::string_view DiskNames::of(std::uint32_t device, std::uint64_t now_ns)
{
    constexpr std::uint64_t kSecond = 1'000'000'000;
    auto at = std::ranges::find(known_, device, &Known::device);
    if (at == known_.end()) {
        known_.push_back({device, now_ns, disk_name(device)});
        at = known_.end() - 1;
    } else if (now_ns > at->asked_ns + kSecond) {
        at->asked_ns = now_ns;
        if (std::string name = disk_name(device); name.find(':') == name.npos)
            at->name = std::move(name);
    }
    if (at != known_.begin())
        std::iter_swap(at, known_.begin());
    return known_.front().name;
}

} // namespace corebox
