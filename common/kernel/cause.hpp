// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Why something cannot be used on this machine: causes as values, each with its words and its fix
// in one table. Nothing decides by a message's text.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace corebox
{

enum class Cause : std::uint8_t {
    none,
    // types
    no_sysfs,
    no_types, // of the kernel, from anywhere
    no_btf,   // of its own, which programs attach by
    no_btf_function,
    no_btf_tracepoint,
    no_btf_member,
    no_module_btf,
    module_btf_hidden,
    unknown_argument,
    // what is attached to
    no_ftrace_site,
    no_function,
    no_tracepoint,
    no_system_call,
    no_module,
    no_mptcp,
    no_cycles,
    one_node,
    // what attaches
    no_tracefs,
    tracefs_hidden,
    no_kprobes,
    no_uprobes,
    no_sessions,
    no_kernel_function,
    no_perf_events,
    ftrace_off,
    ftrace_dead,
    forced_other, // COREBOX_PROBES names other probes
    load_refused,
    attach_refused,
    // for programs of users
    no_object,
    no_symbol,
    no_watch,
    // against tracing as such
    no_capability,
    user_namespace,
    lockdown,
    no_bpf,
    bpf_denied,
    bpf_fails,
    locked_memory,
    // against names
    kptr_restrict,
};

struct Obstacle {
    Cause cause = Cause::none;
    std::string detail{}; // what the words have in the place of "%"

    explicit operator bool() const { return cause != Cause::none; }
    bool operator==(const Obstacle&) const = default;
    std::string text() const; // "the kernel has no tracepoint sched:sched_waking"
    std::string fix() const;  // a command that removes it; empty: none is known
};

// All of them stand in the way at once.
using Obstacles = std::vector<Obstacle>;
std::string describe(std::span<const Obstacle> obstacles);                // "REASON; REASON"
std::vector<std::string> list_fixes(std::span<const Obstacle> obstacles); // each once
std::string join_fixes(const std::vector<std::string>& fixes);            // "FIX && FIX"

} // namespace corebox
