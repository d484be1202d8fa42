// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What softirqs and hardirqs share: their options, their columns, and the reading of what
// handler.bpf.h counted.
#pragma once
#include "handler.h"
#include "session/cpus.hpp"
#include "shape/table.hpp"
#include <optional>
#include <string>

namespace corebox
{

struct HandlerOptions : handler_config {
    bool nanoseconds = false;
    MappedArray places;                   // of handler_cpu
    std::vector<std::string> fixed_names; // of the fixed kinds
};

struct HandlerRow {
    std::uint64_t time_ns = 0; // end of the interval
    std::string name;
    std::optional<std::uint32_t> irq;
    std::uint32_t cpu = 0;
    handler_totals totals{};
    bool timed = true;

    Value time(std::uint64_t ns, std::uint64_t unit) const
    {
        return timed ? Value(ns / unit) : Value(Absent{});
    }
};

namespace handler_option
{
inline constexpr Option timestamp = show('T', "timestamp", "Print the time of day");
inline constexpr Option nanoseconds =
    flag<&HandlerOptions::nanoseconds>('N', "nanoseconds", "Show nanoseconds");
inline constexpr Option dist =
    flag<&HandlerOptions::distributed>('d', "dist", "Show histograms of the times", "distributed");
inline constexpr Option events =
    flag<&HandlerOptions::counts_only>('C', "events", "Count events only, measure no times");
inline constexpr Option cpu =
    opt<&HandlerOptions::cpu>('c', "cpu", "CPU", "Trace only this CPU", {0, 1 << 16});
inline constexpr Option per_cpu =
    flag<&HandlerOptions::per_cpu>(0, "per-cpu", "Show each CPU separately", "CPU");
} // namespace handler_option

namespace handler_column
{
inline constexpr Column cpu =
    col<&HandlerRow::cpu>("cpu", "CPU", -4, "CPU that ran the handler", costly("per-cpu"));
inline constexpr Column total_us =
    col<[](const HandlerRow& r) { return r.time(r.totals.total_ns, 1000); }>(
        "total_us", "TOTAL_usecs", -11, "Total time of all runs, in microseconds",
        without("nanoseconds|events"));
inline constexpr Column total_ns =
    col<[](const HandlerRow& r) { return r.time(r.totals.total_ns, 1); }>(
        "total_ns", "TOTAL_nsecs", -14, "Total time of all runs, in nanoseconds",
        with("nanoseconds"));
inline constexpr Column count = col<[](const HandlerRow& r) { return r.totals.count; }>(
    "count", "TOTAL_count", -11, "Number of runs");
inline constexpr Column max_us =
    col<[](const HandlerRow& r) { return r.time(r.totals.max_ns, 1000); }>(
        "max_us", "MAX_usecs", -10, "Time of the longest run, in microseconds",
        without("nanoseconds|events"));
inline constexpr Column max_ns =
    col<[](const HandlerRow& r) { return r.time(r.totals.max_ns, 1); }>(
        "max_ns", "MAX_nsecs", -12, "Time of the longest run, in nanoseconds", with("nanoseconds"));
inline constexpr Column time = col<[](const HandlerRow& r) { return WallTime{r.time_ns}; }>(
    "time_ns", "TIME", 8, "End of the interval", kJsonOnly);
} // namespace handler_column

// Adds up the rows of one name (and CPU, where they are told apart).
void join_cpus(std::vector<HandlerRow>& rows, bool per_cpu);

// Takes the fixed kinds of one generation out of `o.places`.
void take_fixed(const HandlerOptions& o, __u32 generation, std::vector<HandlerRow>& rows);

void check_handlers(const Session& session, HandlerOptions& o);

inline Unit handler_unit(const HandlerOptions& o)
{
    return o.nanoseconds ? Unit{"nsecs", 1} : Unit{"usecs", 1000};
}

// The parts of setup and fill that need the skeleton.
template <class S>
void setup_handlers(S& s, HandlerOptions& o)
{
    bpf_map__set_max_entries(s.maps.cpus, cpu_limit());
    bpf_map__set_autocreate(s.maps.cb_hists, o.distributed);
    o.unit_ns = std::uint32_t(handler_unit(o).raw);
}

// The histograms of one generation: `named` finishes a row of a key with a name.
template <class S, class Named>
void take_handler_histograms(S& s, const HandlerOptions& o, __u32 generation,
                             std::vector<std::pair<HandlerRow, Distribution>>& all, Named&& named)
{
    const Histograms histograms(s.maps.cb_hists, generation);
    for (std::size_t i = 0; i < histograms.size(); i++) {
        const auto& key = histograms.template key<handler_key>(i);
        HandlerRow& row = all.emplace_back(HandlerRow{}, histograms[i]).first;
        row.cpu = key.cpu;
        if (key.name)
            named(row, key);
        else
            row.name =
                key.number < o.fixed_names.size() ? o.fixed_names[key.number] : cat(key.number);
    }
}

// What --where has of them.
namespace handler_field
{
inline constexpr Column irq =
    event_field<field<&handler_event::number>>("irq", "Number of the interrupt");
inline constexpr Column vector =
    event_field<field<&handler_event::number>>("vector", "Number of the kind of softirq");
inline constexpr Column name =
    event_field<field<&handler_event::name>>("name", "Name of the handler; empty for vectors");
inline constexpr Column cpu = event_field<field<&handler_event::cpu>>("cpu", "CPU");
inline constexpr Column lat_us =
    event_field<field<&handler_event::ns> / 1000>("lat_us", "Duration in microseconds");
inline constexpr Column lat_ns =
    event_field<field<&handler_event::ns>>("lat_ns", "Duration in nanoseconds");
} // namespace handler_field

} // namespace corebox
