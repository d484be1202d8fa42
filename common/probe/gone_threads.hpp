// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Calls that never return: what the kernel side keeps for threads that are gone.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

struct bpf_map;

namespace corebox
{

// Whether no thread has this ID, or only one that has ended.
bool thread_gone(std::uint32_t tid);

// What `count` makes of the values of threads that are gone, in a map whose keys are IDs of threads
// or have them in their lower half. 0 in a PID namespace, and where the map was not made.
std::uint64_t
of_gone_threads(const bpf_map* map,
                const std::function<std::uint64_t(std::span<const std::byte>)>& count);

// Calls that began in threads that are gone and were not seen to end (cb_args of syscall.bpf.h).
std::uint64_t unreturned_calls(const bpf_map* args);

} // namespace corebox
