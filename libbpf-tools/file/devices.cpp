// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "devices.hpp"
#include "base/error.hpp"
#include "base/text.hpp"

namespace corebox
{

std::uint32_t kernel_dev(int fd, const std::string& path)
{
    const auto info = read_file(cat("/proc/self/fdinfo/", fd));
    const auto mount = info ? status_field(*info, "mnt_id") : std::nullopt;
    const auto mounts = read_file("/proc/self/mountinfo");
    if (mount && mounts) {
        for (const std::string_view line : split(*mounts, '\n')) {
            // "ID PARENT MAJOR:MINOR ROOT ..."
            const auto words = split(line, ' ');
            if (words.size() < 3 || words[0] != *mount)
                continue;
            const auto numbers = split(words[2], ':');
            if (numbers.size() != 2)
                break;
            const auto major = to_number<std::uint32_t>(numbers[0]);
            const auto minor = to_number<std::uint32_t>(numbers[1]);
            if (major && minor)
                return *major << 20 | *minor;
        }
    }
    fail(cat("cannot find the device of ", path), "its mount is not in /proc/self/mountinfo");
}

} // namespace corebox
