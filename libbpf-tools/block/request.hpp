// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// User space's side of request.bpf.h: what a tool needs, which disk, names of operations and flags.
#pragma once
#include "disks.hpp"
#include "probe/launch.hpp"
#include "request.h"
#include <algorithm>

namespace corebox
{

template <class S, class P = decltype(S::progs)>
inline constexpr Need kRequestsMade = {
    .what = "requests as they are made, for who asks for them",
    .rungs = {rung<&P::made_start>("tp_btf"), rung<&P::made_account>("fentry"),
              rung<&P::made_bio, &P::made_front>(
                  "bio", "the issuer of commands that a driver makes itself or for ioctl(2)")}};

template <class S, class P = decltype(S::progs)>
inline constexpr Need kRequestsIssued = {.what = "requests as they are issued to the driver",
                                         .rungs = {rung<&P::issue>("tp_btf")}};

// Those that end in another too.
template <class S, class P = decltype(S::progs)>
inline constexpr Need kRequestsDone = {.what = "requests as they complete",
                                       .rungs = {rung<&P::complete, &P::merge>("tp_btf")}};

// For the count of requeues.
template <class S, class P = decltype(S::progs)>
inline constexpr Need kRequestsRequeued = {.what = "requests that come back from the driver",
                                           .rungs = {rung<&P::requeue>("tp_btf")},
                                           .optional = true,
                                           .without = "how often a request came back"};

// The tool's `setup`: whose requests, and of which disk or partition; an empty name: of all.
template <class S>
void choose_disk(S& s, const Session& session, std::string_view name)
{
    s.rodata->cb_requests_of.filtered = is_filtered(session);
    restrict_to_disk(s, name);
}

// The tool's `resolved`: what the programs have to know of the kernel.
template <class S>
void request_resolved(S& s, const Launcher& launcher)
{
    s.rodata->cb_request_arg = launcher.argument("block_rq_issue", "request") == 1;
    const auto& load = launcher.plan().load;
    s.rodata->cb_requests_of.by_bio = std::ranges::find(load, s.progs.made_bio) != load.end();
    if (!s.rodata->cb_requests_of.by_bio)
        return;
    s.rodata->cb_bio_arg = std::uint32_t(launcher.argument("block_getrq", "bio"));
    s.rodata->cb_front_arg = std::uint32_t(launcher.argument("block_bio_frontmerge", "bio"));
}

inline constexpr std::string_view kRequestKinds[REQUEST_KINDS] = {
    "read",           "write",     "flush",      "discard",     "secure_erase", "write_same",
    "zeroout",        "zone_open", "zone_close", "zone_finish", "zone_append",  "zone_reset",
    "zone_reset_all", "scsi_in",   "scsi_out",   "drv_in",      "drv_out",      "unknown"};

// "read", "flush" ... of an enum request_kind.
std::string_view request_kind_name(std::uint32_t kind);

// One letter each, as the kernel's own trace events show requests: F for a flush before it, R W D
// DE F N, then F for FUA, A read ahead, S sync, M metadata. `flags`: cmd_flags.
using RequestLetters = char[9];
void request_letters(RequestLetters& out, std::uint32_t kind, std::uint32_t flags);

// The words of its flags ("sync", "meta" ...) in `words`; returns how many.
using FlagWords = std::string_view[11];
std::size_t request_flag_words(FlagWords& words, std::uint32_t flags);

// The errno of what block_rq_complete tells: a negative errno, or a positive blk_status_t.
int request_errno(int error);

} // namespace corebox
