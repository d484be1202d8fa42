// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "symbols/file.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace corebox
{
namespace
{

Fd if_regular(Fd handle, struct stat* info)
{
    struct stat own_info;
    if (info == nullptr)
        info = &own_info;
    if (!handle || ::fstat(handle.get(), info) != 0 || !S_ISREG(info->st_mode))
        return {};
    return handle;
}

// Takes a number and the one character behind it off the line.
bool take(std::string_view& line, std::uint64_t& value, int base, char behind)
{
    auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), value, base);
    if (error != std::errc{} || end == line.data() + line.size() || *end != behind)
        return false;
    line.remove_prefix(static_cast<std::size_t>(end + 1 - line.data()));
    return true;
}

} // namespace

Fd hold_regular(const std::string& path, struct stat* info)
{
    return if_regular(Fd{::open(path.c_str(), O_PATH | O_CLOEXEC)}, info);
}

Fd hold_regular_in(int root, const std::string& path, struct stat* info)
{
    if (root < 0)
        return hold_regular(path, info);
    struct open_how how = {};
    how.flags = O_PATH | O_CLOEXEC;
    how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    // openat2 is of 5.6; glibc has no wrapper for it yet.
    long fd = ::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how);
    return if_regular(Fd{static_cast<int>(fd)}, info);
}

Fd open_held(const Fd& handle)
{
    if (!handle)
        return {};
    std::string link = "/proc/self/fd/" + std::to_string(handle.get());
    return Fd{::open(link.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY)};
}

Fd open_regular(const std::string& path, struct stat* info)
{
    return open_held(hold_regular(path, info));
}

Fd open_regular_in(int root, const std::string& path, struct stat* info)
{
    return open_held(hold_regular_in(root, path, info));
}

std::optional<std::string> read_all(int fd, std::size_t limit)
{
    std::string text;
    std::size_t held = 0;
    for (;;) {
        if (held == text.size()) {
            if (held >= limit)
                return std::nullopt;
            text.resize(held == 0 ? 16 * 1024 : held * 2);
        }
        ssize_t got = ::read(fd, text.data() + held, text.size() - held);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return std::nullopt;
        if (got == 0)
            break;
        held += static_cast<std::size_t>(got);
    }
    text.resize(held);
    return text;
}

// "55d0c0a00000-55d0c0a2f000 r-xp 0002f000 fe:01 1234       /usr/bin/x (deleted)"
std::optional<MapLine> parse_any_map_line(std::string_view line)
{
    MapLine mapped;
    std::uint64_t major_number, minor_number;
    if (!take(line, mapped.start, 16, '-') || !take(line, mapped.end, 16, ' '))
        return std::nullopt;
    if (line.size() < 5)
        return std::nullopt;
    mapped.executable = line[2] == 'x';
    line.remove_prefix(5);
    if (!take(line, mapped.offset, 16, ' ') || !take(line, major_number, 16, ':') ||
        !take(line, minor_number, 16, ' '))
        return std::nullopt;
    mapped.device = makedev(major_number, minor_number);
    auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), mapped.inode);
    if (error != std::errc{})
        return std::nullopt;
    line.remove_prefix(static_cast<std::size_t>(end - line.data()));
    mapped.path = line.substr(std::min(line.find_first_not_of(' '), line.size()));
    constexpr std::string_view kDeleted = " (deleted)";
    if (mapped.path.starts_with('/') && mapped.path.ends_with(kDeleted)) {
        mapped.path.remove_suffix(kDeleted.size());
        mapped.deleted = true;
    }
    return mapped;
}

std::optional<MapLine> parse_map_line(std::string_view line)
{
    auto mapped = parse_any_map_line(line);
    return mapped && mapped->executable ? mapped : std::nullopt;
}

// The kernel writes a newline in a path as \012 (seq_file_path), and nothing else differently.
std::string unescaped_path(std::string_view path)
{
    std::string result;
    for (std::size_t at; (at = path.find("\\012")) != std::string_view::npos;) {
        result.append(path.substr(0, at));
        result += '\n';
        path.remove_prefix(at + 4);
    }
    result.append(path);
    return result;
}

// Without the leading zeros of /proc/PID/maps.
std::string map_file(std::uint64_t start, std::uint64_t end)
{
    char range[64];
    std::snprintf(range, sizeof range, "map_files/%lx-%lx", static_cast<unsigned long>(start),
                  static_cast<unsigned long>(end));
    return range;
}

} // namespace corebox
