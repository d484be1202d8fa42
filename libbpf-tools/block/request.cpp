// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "request.hpp"
#include <algorithm>
#include <bit>
#include <cerrno>

namespace corebox
{
namespace
{

// From the lowest bit, REQUEST_FLAGS_SHIFT, up.
constexpr std::string_view kFlags[] = {"sync",  "meta",       "prio",  "nomerge",
                                       "idle",  "integrity",  "fua",   "preflush",
                                       "ahead", "background", "nowait"};
static_assert(REQUEST_FLAGS >> REQUEST_FLAGS_SHIFT == (1u << std::size(kFlags)) - 1);

// By blk_status_t, linux/blk_types.h and blk-core.c's blk_errors: 1 to 12 are the same on 5.10 to
// 7.2; of those behind, which moved, only what tells of the device is told apart.
constexpr int kStatus[] = {0,       EOPNOTSUPP, ETIMEDOUT, ENOSPC, ENOLINK, EREMOTEIO, EBADE,
                           ENODATA, EILSEQ,     ENOMEM,    EIO,    EREMCHG, EAGAIN,    EBUSY};

} // namespace

std::string_view request_kind_name(std::uint32_t kind)
{
    return kRequestKinds[std::min<std::uint32_t>(kind, REQUEST_UNKNOWN)];
}

void request_letters(RequestLetters& out, std::uint32_t kind, std::uint32_t flags)
{
    char* at = out;
    if (flags & REQUEST_PREFLUSH)
        *at++ = 'F';
    switch (kind) {
    case REQUEST_READ:
        *at++ = 'R';
        break;
    case REQUEST_WRITE:
    case REQUEST_WRITE_SAME:
    case REQUEST_ZONE_APPEND:
        *at++ = 'W';
        break;
    case REQUEST_FLUSH:
        *at++ = 'F';
        break;
    case REQUEST_SECURE_ERASE:
        *at++ = 'D';
        *at++ = 'E';
        break;
    case REQUEST_DISCARD:
        *at++ = 'D';
        break;
    case REQUEST_WRITE_ZEROES:
        *at++ = 'W';
        *at++ = 'Z';
        break;
    case REQUEST_ZONE_RESET:
    case REQUEST_ZONE_RESET_ALL:
    case REQUEST_ZONE_OPEN:
    case REQUEST_ZONE_CLOSE:
    case REQUEST_ZONE_FINISH:
        *at++ = 'Z';
        break;
    default:
        *at++ = 'N';
    }
    if (flags & REQUEST_FUA)
        *at++ = 'F';
    if (flags & REQUEST_AHEAD)
        *at++ = 'A';
    if (flags & REQUEST_SYNC)
        *at++ = 'S';
    if (flags & REQUEST_META)
        *at++ = 'M';
    *at = '\0';
}

std::size_t request_flag_words(FlagWords& words, std::uint32_t flags)
{
    std::size_t n = 0;
    for (std::uint32_t rest = (flags & REQUEST_FLAGS) >> REQUEST_FLAGS_SHIFT; rest;
         rest &= rest - 1)
        words[n++] = kFlags[std::countr_zero(rest)];
    return n;
}

int request_errno(int error)
{
    if (error <= 0)
        return -error;
    return error < int(std::size(kStatus)) ? kStatus[error] : EIO;
}

} // namespace corebox
