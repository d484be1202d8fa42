// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "disks.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include <algorithm>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cerrno>
#include <cstring>
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
constexpr std::uint64_t kSecond = 1'000'000'000;

std::string sysfs_of(std::string_view number) { return cat("/sys/dev/block/", number); }

std::optional<std::string> line_of(const std::string& path)
{
    auto text = read_file(path);
    if (text)
        text->resize(std::min(text->find('\n'), text->size()));
    return text;
}

// In sysfs a name's slashes are exclamation marks ("cciss!c0d0").
std::string sysfs_entry(std::string_view name)
{
    std::string entry(name);
    std::ranges::replace(entry, '/', '!');
    return cat("/sys/class/block/", entry);
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
    if (auto number = line_of(cat(sysfs_entry(name), "/dev")))
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

// "sda" of the directory that a number links to; empty: there is none.
std::string entry_name(std::string_view number)
{
    char target[1024];
    const ssize_t n = ::readlink(sysfs_of(number).c_str(), target, sizeof target);
    std::string name(target, n > 0 ? std::size_t(n) : 0);
    return name.erase(0, name.rfind('/') + 1);
}

std::string_view number_at(std::string_view& text)
{
    const std::string_view digits = text.substr(0, text.find_first_not_of("0123456789"));
    text.remove_prefix(digits.size());
    return digits;
}

// A multipath NVMe namespace is a disk that passes its I/O on to hidden ones: nvme0n1 to nvme0c0n1
// of the first controller, nvme0c1n1 of the second, as they come and go
// (nvme_mpath_set_disk_name()).
struct NvmePaths {
    std::string first, last; // "nvme0c", "n1": a number stands between them
};

std::optional<NvmePaths> nvme_paths(std::string_view name)
{
    constexpr std::string_view kNvme = "nvme";
    if (!name.starts_with(kNvme))
        return std::nullopt;
    std::string_view rest = name.substr(kNvme.size());
    const std::string_view subsystem = number_at(rest);
    if (subsystem.empty() || !rest.starts_with('n'))
        return std::nullopt;
    const std::string_view last = rest;
    rest.remove_prefix(1);
    if (number_at(rest).empty() || !rest.empty())
        return std::nullopt;
    return NvmePaths{cat(kNvme, subsystem, "c"), std::string(last)};
}

void set_name(char (&to)[DISK_NAME_LEN], std::string_view name)
{
    std::memcpy(to, name.data(), std::min(name.size(), sizeof to - 1));
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
        if (has_requests(disk) || nvme_paths(entry->d_name))
            names.insert(entry->d_name);
        else
            find_below(disk, names);
    }
}

struct Whole {
    disk_filter filter{};
    std::string directory; // in sysfs, of the whole disk
    std::string name;
};

Whole whole_disk(std::string_view name)
{
    Whole whole;
    disk_filter& filter = whole.filter;
    const auto number = number_of(name);
    if (!number) {
        whole.directory = sysfs_entry(name);
        whole.name = whole.directory.substr(whole.directory.rfind('/') + 1);
        // Hidden: it has no number in sysfs.
        if (name.empty() || name.find('/') != name.npos || whole.name.size() >= DISK_NAME_LEN ||
            !exists(cat(whole.directory, "/hidden")))
            fail(cat("cannot trace disk '", name, "'"), "there is no such disk",
                 "lsblk lists the disks");
        filter.by_name = true;
        set_name(filter.first, whole.name);
        return whole;
    }
    whole.directory = sysfs_of(*number);
    if (exists(cat(whole.directory, "/partition"))) {
        filter.first_sector = number_in(cat(whole.directory, "/start"));
        filter.sectors = number_in(cat(whole.directory, "/size"));
        whole.directory += "/..";
    }
    const std::string disk = line_of(cat(whole.directory, "/dev")).value_or("");
    const auto parts = split(disk, ':');
    if (parts.size() != 2)
        fail(cat("cannot read ", whole.directory, "/dev"), errno);
    filter.device = to_number<std::uint32_t>(parts[0]).value_or(0) << kMinorBits |
                    to_number<std::uint32_t>(parts[1]).value_or(0);
    whole.name = entry_name(disk);
    return whole;
}

} // namespace

disk_filter find_any_disk(std::string_view name) { return whole_disk(name).filter; }

disk_filter find_disk(std::string_view name)
{
    Whole whole = whole_disk(name);
    if (has_requests(whole.directory))
        return whole.filter;
    if (const auto paths = nvme_paths(whole.name)) {
        whole.filter.device = 0;
        whole.filter.by_name = whole.filter.numbered = true;
        set_name(whole.filter.first, paths->first);
        set_name(whole.filter.last, paths->last);
        return whole.filter;
    }
    std::set<std::string> names;
    find_below(whole.directory, names);
    std::string below;
    for (const std::string& one : names)
        below += cat(below.empty() ? "" : ", ", one);
    fail(cat("cannot trace disk '", name, "'"), "it has no requests of its own",
         below.empty() ? "" : cat("trace the disks below it: ", below));
}

std::string DiskNames::of(const bpf_map* notes, std::uint32_t device)
{
    disk_note note{};
    std::string number = cat(device >> kMinorBits, ":", device & ((1u << kMinorBits) - 1));
    std::string name = bpf_map_lookup_elem(bpf_map__fd(notes), &device, &note) == 0 && note.name[0]
                           ? std::string(note.name, ::strnlen(note.name, sizeof note.name))
                           : entry_name(number);
    std::ranges::replace(name, '!', '/');
    return name.empty() ? number : name;
}

std::string_view DiskNames::of(const bpf_map* notes, std::uint32_t device, std::uint64_t now_ns)
{
    auto at = std::ranges::find(known_, device, &Known::device);
    if (at == known_.end()) {
        known_.push_back({device, now_ns, of(notes, device)});
        at = known_.end() - 1;
    } else if (now_ns > at->asked_ns + kSecond) {
        at->asked_ns = now_ns;
        at->name = of(notes, device);
    }
    if (at != known_.begin())
        std::iter_swap(at, known_.begin());
    return known_.front().name;
}

std::string_view Partitions::of(std::string_view disk, std::uint64_t sector, std::uint64_t now_ns)
{
    auto at = std::ranges::find(known_, disk, &Known::disk);
    if (at == known_.end() || now_ns > at->asked_ns + kSecond) {
        if (at == known_.end())
            at = known_.insert(at, {std::string(disk), 0, {}});
        at->asked_ns = now_ns;
        at->parts.clear();
        // Those of a multipath NVMe namespace are of the disk before its paths.
        std::string whole(disk);
        if (const auto c = whole.find('c'), n = whole.rfind('n');
            whole.starts_with("nvme") && c != whole.npos && c < n)
            whole.erase(c, n - c);
        const std::string entry = sysfs_entry(whole);
        const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(entry.c_str()), ::closedir);
        while (const dirent* child = dir ? ::readdir(dir.get()) : nullptr) {
            const std::string path = cat(entry, "/", child->d_name);
            if (child->d_name[0] == '.' || !exists(cat(path, "/partition")))
                continue;
            std::string name = child->d_name;
            std::ranges::replace(name, '!', '/');
            at->parts.push_back(
                {std::move(name), number_in(cat(path, "/start")), number_in(cat(path, "/size"))});
        }
    }
    for (const Part& part : at->parts)
        if (sector - part.first_sector < part.sectors)
            return part.name;
    return {};
}

} // namespace corebox
