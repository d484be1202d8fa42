// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Internal to common/symbols: files of other processes, opened with care.
#pragma once

#include "base/fd.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <sys/stat.h>

namespace corebox
{

// Opens a regular file for reading without ever opening anything else: a path that a traced process
// chose may name a pipe that blocks or a device that acts when opened. Follows the final link, so
// that /proc/PID/map_files/RANGE works. Fills `info` if given.
Fd open_regular(const std::string& path, struct stat* info = nullptr);

// The same below the directory `root` as if that were "/": no link, absolute or with "..", leads
// out of it. `root` < 0 means our own root.
Fd open_regular_in(int root, const std::string& path, struct stat* info = nullptr);

// The first half of both, and the second: a handle (O_PATH) holds the file, whatever becomes of its
// name, and reads nothing.
Fd hold_regular(const std::string& path, struct stat* info = nullptr);
Fd hold_regular_in(int root, const std::string& path, struct stat* info = nullptr);
Fd open_held(const Fd& handle);

// The whole file, in procfs or of at most about `limit` bytes; otherwise nothing.
std::optional<std::string> read_all(int fd, std::size_t limit);

// What a line of /proc/PID/maps says. The path is a part of the line.
struct MapLine {
    std::uint64_t start = 0, end = 0, offset = 0, device = 0, inode = 0;
    std::string_view path; // as written: see unescaped_path()
    bool deleted = false;  // or replaced, as an update does: what has the path now is another file
    bool executable = false;
};
std::optional<MapLine> parse_map_line(std::string_view line); // nothing: it is not executed
std::optional<MapLine> parse_any_map_line(std::string_view line);
std::string unescaped_path(std::string_view path);

// What leads to the mapped file itself, whatever has its path now; below /proc/PID/.
std::string map_file(std::uint64_t start, std::uint64_t end);

} // namespace corebox
