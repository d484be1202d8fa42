// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Internal to common/symbols: files of other processes, opened with care.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace corebox
{

class Fd
{
public:
    Fd() = default;
    explicit Fd(int fd) : fd_(fd) {}
    Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fd& operator=(Fd&& other) noexcept
    {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~Fd()
    {
        if (fd_ >= 0)
            ::close(fd_);
    }
    int get() const { return fd_; }
    explicit operator bool() const { return fd_ >= 0; }

private:
    int fd_ = -1;
};

// Opens a regular file for reading without ever opening anything else: a path that a traced process
// chose may name a pipe that blocks or a device that acts when opened. Follows the final link, so
// that /proc/PID/map_files/RANGE works. Fills `info` if given.
Fd open_regular(const std::string& path, struct stat* info = nullptr);

// The same below the directory `root` as if that were "/": no link, absolute or with "..", leads
// out of it. `root` < 0 means our own root.
Fd open_regular_in(int root, const std::string& path, struct stat* info = nullptr);

// The whole file (from procfs or of at most `limit` bytes), or nothing.
std::optional<std::string> read_all(int fd, std::size_t limit);
std::optional<std::string> read_all(const std::string& path, std::size_t limit);

} // namespace corebox
