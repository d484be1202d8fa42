// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "softirqs.h"
#include "handler.hpp"
#include "vectors.hpp"

#include "softirqs.skel.h"

namespace
{

using namespace corebox;
using Progs = decltype(softirqs_bpf::progs);

constexpr Example kExamples[] = {
    {"softirqs", "Sum the time of each kind of softirq until Ctrl-C"},
    {"softirqs -N 1 10", "Print nanoseconds, ten times, every second"},
    {"softirqs -d -c 0 10", "Print histograms of CPU 0, every ten seconds"},
    {"softirqs --per-cpu --json 1", "Print each CPU separately, as JSON"},
};

constexpr Option kOptions[] = {
    handler_option::timestamp,
    handler_option::nanoseconds,
    handler_option::dist,
    handler_option::events,
    // libbpf-tools' -C; the letter is Python's.
    show(0, "count", "Print counts and times (default)"),
    handler_option::cpu,
    handler_option::per_cpu,
};

constexpr Column kColumns[] = {
    col<[](const HandlerRow& r) { return Value(Trusted{r.name}); }>("softirq", "SOFTIRQ", 16,
                                                                    "Kind of softirq"),
    handler_column::cpu,
    handler_column::total_us,
    handler_column::total_ns,
    handler_column::count,
    handler_column::max_us,
    handler_column::max_ns,
    handler_column::time,
};

constexpr Column kFields[] = {handler_field::vector, handler_field::cpu, handler_field::lat_us,
                              handler_field::lat_ns};

constexpr Need kNeeds[] = {
    {"softirqs as they end",
     {rung<&Progs::exit_tp_btf>("tp_btf"), rung<&Progs::exit_raw_tp>("raw_tp")}},
    {"softirqs as they begin",
     {rung<&Progs::entry_tp_btf>("tp_btf"), rung<&Progs::entry_raw_tp>("raw_tp")},
     "!events"},
};

constexpr Table<softirqs_bpf, HandlerOptions, HandlerRow> kTool{
    .about = {.name = "softirqs",
              .area = "irq",
              .summary = "Show the time that softirqs take",
              .details = "Prints one line for each kind of softirq: the total time of its handler, "
                         "the number of runs, and the longest run.",
              .examples = kExamples},
    .options = kOptions,
    .columns = kColumns,
    .needs = kNeeds,
    .fields = kFields,
    .prepare = [](HandlerOptions& o, Session& session) { check_handlers(session, o); },
    .setup = [](softirqs_bpf& s, HandlerOptions& o, const Session&) { setup_handlers(s, o); },
    .fill =
        [](softirqs_bpf& s, HandlerOptions& o) {
            o.places.map(s.maps.cpus);
            o.fixed_names = softirq_names();
        },
    .take =
        [](softirqs_bpf&, HandlerOptions& o, __u32 generation, std::vector<HandlerRow>& rows) {
            take_fixed(o, generation, rows);
            join_cpus(rows, o.per_cpu);
        },
    .weight = [](const HandlerRow& r, const HandlerOptions& o) -> std::uint64_t {
        return o.counts_only ? r.totals.count : r.totals.total_ns;
    },
    .events = [](const HandlerRow& r) -> std::uint64_t { return r.totals.count; },
    .distributed = [](const HandlerOptions& o) -> bool { return o.distributed; },
    .unit = handler_unit,
    .key_columns = 2,
    .take_distributions =
        [](softirqs_bpf& s, HandlerOptions& o, __u32 generation,
           std::vector<std::pair<HandlerRow, Distribution>>& all) {
            take_handler_histograms(s, o, generation, all, [](HandlerRow&, const handler_key&) {});
        },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
