// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// User space of call_time.bpf.h.
#pragma once
#include "base/text.hpp"
#include "call_time.h"
#include "probe/launch.hpp"
#include <algorithm>
#include <bit>

namespace corebox
{

// How many threads get a place of their own: the kernel's highest number, to a limit.
inline std::uint32_t call_threads()
{
    std::string pid_max = read_file("/proc/sys/kernel/pid_max").value_or("");
    pid_max.resize(std::min(pid_max.find('\n'), pid_max.size()));
    constexpr std::uint32_t kMost = 1u << CALL_THREAD_BITS;
    const std::uint32_t threads = to_number<std::uint32_t>(pid_max).value_or(kMost);
    return std::bit_ceil(std::clamp<std::uint32_t>(threads, 1, kMost));
}

// Before load: makes room for the starts of calls of so many kinds.
template <class S>
void size_calls(S& s, std::uint32_t kinds)
{
    const std::uint32_t threads = call_threads();
    s.rodata->cb_calls.thread_mask = threads - 1;
    bpf_map__set_max_entries(s.maps.cb_starts, threads * kinds);
    if constexpr (requires { s.maps.cb_objects; })
        bpf_map__set_max_entries(s.maps.cb_objects, threads * kinds);
}

// Calls by kretprobe whose threads are gone and that were not seen to end.
std::uint64_t unreturned_starts(const bpf_object* object, const bpf_map* starts);

template <class S, class Options>
void calls_detached(S& s, Options&, Account& account)
{
    account.unreturned += unreturned_starts(s.obj, s.maps.cb_starts);
}

} // namespace corebox
