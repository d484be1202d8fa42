// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The probe ladder. A tool names what it needs and, in order of preference, the rungs that give
// it; which rung is taken is decided from the kernel's facts, and by the kernel itself: a rung
// that the verifier or the attach refuses falls to the next.
#pragma once
#include "tool/need.hpp"
#include <functional>
#include <map>

namespace corebox
{

// A program's section with its slot filled: "fexit/xfs_file_read_iter".
std::string target_section(std::string_view section, Targets targets);

// The target of a section's slot; null where it has no slot or there is no target for it.
const Target* slot_target(std::string_view section, Targets targets);

// Whether programs of this section run at the end of calls.
bool at_return(std::string_view section);
bool at_return(const bpf_program* program);

// Why a program cannot be used in a rung, by refusal_key(): learned when the kernel refused it.
using Refusals = std::map<std::string, Obstacle, std::less<>>;
std::string refusal_key(std::string_view program, const Rung& rung);

struct Step {
    const Need* need;
    const Rung* rung;
    bool taken;
    Obstacles obstacles;     // why not, or empty
    std::string functions{}; // of a taken rung with slots: what they were filled with
};

struct Plan {
    std::vector<Step> steps;        // every rung that was looked at, in order
    std::vector<bpf_program*> load; // all others are not loaded
    std::vector<const Rung*> rungs; // taken; beside `load`
    const Need* unmet = nullptr;    // the first need that no rung satisfies

    // One line a need: what was taken, what was passed over and why, what is not seen.
    std::string explain() const;
    // "fentry, kprobe: md_mod is not loaded; tracepoint: ...": why no rung of `unmet` is met.
    std::string why_unmet() const;
    // What lets one rung of the unmet need be taken, and requires the least; empty: none is known.
    std::string fix_unmet() const;
};

// `forced` is COREBOX_PROBES: of a need's rungs only the named ones, where it has one of them.
Plan resolve(std::span<const Need> needs, const void* progs, const Facts& facts,
             const Refusals& refused, const std::function<bool(std::string_view)>& given,
             std::string_view forced, Targets targets = {});

// Of the names in COREBOX_PROBES those that name no rung of a tool; "perf_buffer" always names one.
std::vector<std::string_view> unknown_rungs(std::span<const Need> needs, std::string_view forced);
// The names of a tool's rungs, each once: "fexit, tracepoint, kprobe".
std::string list_rungs(std::span<const Need> needs);

// What stands in the way of a section ("fexit/vfs_read") on a kernel with these facts.
Obstacle find_obstacle(std::string_view section, const Facts& facts);

} // namespace corebox
