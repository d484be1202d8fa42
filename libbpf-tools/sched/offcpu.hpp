// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What the tools of time off the CPU have in common: options, states, configuration.
#pragma once
#include "offcpu.h"
#include "shape/stacks.hpp"
#include <algorithm>

namespace corebox
{

// --state: bits of the kernel's task state, as in BCC, or letters.
struct TaskStates {
    std::uint32_t mask = 0;  // of the kernel's bits
    std::uint32_t codes = 0; // 1 << place in OFF_STATES
    bool given = false;

    static std::string parse(std::string_view text, TaskStates& states);
};

// Options of a tool derive from it.
struct OffOptions : StackOptions {
    std::uint64_t min_us = 1, max_us = 0;
    TaskStates states;
    bool user_threads = false, kernel_threads = false;
};

namespace off_option
{
consteval Option lettered(char key, Option option, std::string_view alias = {})
{
    option.key = key;
    option.alias = alias;
    return option;
}
inline constexpr Option user_threads = flag<&OffOptions::user_threads>(
    'u', "user-threads-only", "Trace only user threads", "useronly");
inline constexpr Option kernel_threads =
    flag<&OffOptions::kernel_threads>('k', "kernel-threads-only", "Trace only kernel threads");
inline constexpr Option min = opt<&OffOptions::min_us>('m', "min-block-time", "US",
                                                       "Skip times shorter than this (default: 1)",
                                                       {0, std::int64_t(1) << 50});
inline constexpr Option max = opt<&OffOptions::max_us>(
    'M', "max-block-time", "US", "Skip times longer than this", {1, std::int64_t(1) << 50});
inline constexpr Option state = opt<&OffOptions::states>(
    0, "state", "STATE", "Trace only these states: letters RSDITtP or bits");
inline constexpr Option address = lettered('v', stack_option::address);
} // namespace off_option

// Of the tools that show stacks of what is off the CPU.
inline constexpr Option kOffStackOptions[] = {
    off_option::user_threads,  off_option::kernel_threads,
    stack_option::user_only,   stack_option::kernel_only,
    off_option::min,           off_option::max,
    off_option::state,         stack_option::threads,
    stack_option::folded,      stack_option::delimited,
    stack_option::annotations, stack_option::offset,
    off_option::address,       stack_option::flame,
    stack_option::storage,     stack_option::hash_storage,
    stack_option::depth,
};

// A key of JSON: "S".
inline Value state_letter(std::uint32_t code)
{
    constexpr std::string_view kLetters = OFF_STATES;
    return Trusted{kLetters.substr(std::min(code, std::uint32_t(OFF_UNKNOWN)), 1)};
}

// Fails with a usage error where options exclude each other.
void check_off_options(const OffOptions& options);
// Before load.
void prepare_off(const OffOptions& options, off_config& config, bpf_map* tasks);
// "Tracing off-CPU time (us) of all threads by user + kernel stack".
std::string off_banner(std::string_view what, std::string_view by, const OffOptions& options,
                       const Session& session);

} // namespace corebox
