// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "open_flags.hpp"

namespace corebox
{
namespace
{

struct Name {
    std::string_view name;
    std::uint32_t bits;
};

constexpr Name kNames[] = {
    {"O_WRONLY", O_WRONLY},
    {"O_RDWR", O_RDWR},
    {"O_CREAT", O_CREAT},
    {"O_EXCL", O_EXCL},
    {"O_NOCTTY", O_NOCTTY},
    {"O_TRUNC", O_TRUNC},
    {"O_APPEND", O_APPEND},
    {"O_NONBLOCK", O_NONBLOCK},
    {"O_NDELAY", O_NONBLOCK},
    {"O_DSYNC", O_DSYNC},
    {"O_SYNC", O_SYNC},
    {"O_ASYNC", O_ASYNC},
    {"O_DIRECT", O_DIRECT},
    {"O_DIRECTORY", O_DIRECTORY},
    {"O_NOFOLLOW", O_NOFOLLOW},
    {"O_NOATIME", O_NOATIME},
    {"O_CLOEXEC", O_CLOEXEC},
    {"O_PATH", O_PATH},
    {"O_TMPFILE", O_TMPFILE & ~O_DIRECTORY},
};

} // namespace

std::string open_flag(std::string_view name, std::uint32_t& bits)
{
    std::string known;
    for (const Name& n : kNames) {
        if (n.name == name) {
            bits = n.bits;
            return {};
        }
        known += known.empty() ? "" : ", ";
        known += n.name;
    }
    return "one of " + known;
}

} // namespace corebox
