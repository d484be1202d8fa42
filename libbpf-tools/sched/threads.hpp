// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// How many threads tools of this area have places for; user space of thread_slots.bpf.h.
#pragma once
#include "base/text.hpp"
#include "session/session.hpp"
#include "threads.h"
#include <algorithm>
#include <bit>
#include <bpf/libbpf.h>

namespace corebox
{

// As many as the kernel gives out numbers, a power of two, and not more than `most`.
inline std::uint32_t thread_slots_within(std::uint32_t most)
{
    std::string pid_max = read_file("/proc/sys/kernel/pid_max").value_or("");
    pid_max.resize(std::min(pid_max.find('\n'), pid_max.size()));
    return std::min(std::bit_ceil(to_number<std::uint32_t>(pid_max).value_or(most)), most);
}

// As many as the kernel side may see, up to `most`: a namespace has a pid_max of its own (6.14),
// and the kernel side sees the host's IDs.
inline std::uint32_t thread_ids_within(std::uint32_t most)
{
    return own_pid_namespace() ? most : thread_slots_within(most);
}

// Before load: `table` has a slot for each thread, if there is room for that in `most`. The default
// is what 2 MB have room for; systemd's pid_max of 4194304 would ask for 32.
template <class S>
void size_thread_slots(S& s, bpf_map* table, std::uint32_t most = 1 << 18)
{
    constexpr std::uint32_t kPidMaxLimit = 1 << 22; // linux/threads.h
    const std::uint32_t all = thread_ids_within(kPidMaxLimit);
    const std::uint32_t slots = std::min(all, most);
    const bool shared = all > slots;
    bpf_map__set_max_entries(table, slots);
    // Of 50'000 threads 4'800 have no slot of their own. Without sharing: pid_max may be raised.
    bpf_map__set_max_entries(s.maps.cb_slotless, shared ? 1 << 14 : 64);
    bpf_map__set_max_entries(s.maps.cb_claims, shared ? 64 : 1);
    s.rodata->cb_slots = {.mask = slots - 1, .shared = shared};
}

} // namespace corebox
