// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Programs that a perf event runs: one event on each CPU that is online at the start.
#pragma once
#include "kernel/facts.hpp"
#include <optional>
#include <string>
#include <vector>

struct bpf_link;
struct bpf_map;
struct bpf_program;

namespace corebox
{

struct Sampling {
    std::uint64_t frequency = 0;      // Hz; exclusive with period
    std::uint64_t period = 0;         // events: cycles, or nanoseconds of the CPU clock
    std::optional<std::uint32_t> cpu; // only this one
    bool idle = false;                // the idle task too
};

enum class SampleSource : std::uint8_t {
    cycles, // hardware: interrupts where interrupts are disabled too; few virtual machines have it
    cpu_clock, // a timer: everywhere
};

// Fails, with what to do, where the kernel would refuse it: CPU offline, frequency beyond its
// limit.
void check_sampling(const Sampling& sampling);

// What is counted: `type` and `config` of perf_event_open(2).
struct PerfEvent {
    std::uint32_t type = 0;
    std::uint64_t config = 0;
};

// The event that perf(1) calls so, of those that count what programs do: "cache-misses",
// "LLC-loads", "page-faults".
std::optional<PerfEvent> perf_event(std::string_view name);

// Runs `program` at each sample of an event. The links, or none with errno set.
std::vector<bpf_link*> attach_perf_event(const bpf_program* program, const PerfEvent& event,
                                         const Sampling& sampling);
std::vector<bpf_link*> attach_sampler(const bpf_program* program, SampleSource source,
                                      const Sampling& sampling);

// A rung's obstacle: this machine counts no cycles.
Obstacle no_cycles(const Facts& facts);

// Before 6.1 the verifier refuses perf event programs hash maps that are not preallocated, which
// the filter's is. Call before load.
void preallocate(bpf_map* map, std::size_t entries);

// The sysctl kernel.NAME, if it is there and not negative.
std::optional<std::uint64_t> kernel_setting(std::string_view name);

// The kernel's notation of CPU sets: "0-3,5". Nothing where it is malformed.
std::optional<std::vector<std::uint32_t>> parse_cpu_list(std::string_view text);
std::vector<std::uint32_t> online_cpus();

} // namespace corebox
