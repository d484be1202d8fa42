// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "numamove.h"
#include "shape/counters.hpp"

#include "numamove.skel.h"

namespace
{
using namespace corebox;
using P = decltype(numamove_bpf::progs);

struct Options {
};

constexpr Example kExamples[] = {
    {"numamove", "Count the migrations every second"},
    {"numamove -p 181 10 6", "Count those that process 181 waits for, six times every 10 seconds"},
};

constexpr Letter kLetters[] = {{'p', "pid"}};

template <numamove_counter Counter>
constexpr auto kCount = [](const CounterRow& r) { return r.count.n[Counter]; };

constexpr Column kColumns[] = {
    col<[](const CounterRow& r) { return WallTime{r.time_ns}; }>("time_ns", "TIME", 8,
                                                                 "End of the interval"),
    col<kCount<NUMA_MIGRATIONS>>("migrations", "NUMA_migrations", 18,
                                 "Pages or huge pages that were moved to another node"),
    col<[](const CounterRow& r) {
        return Fixed{r.count.n[NUMA_NS] / 1000, 3};
    }>("ms", "NUMA_migrations_ms", 18, "Time that this took, failures included"),
    col<kCount<NUMA_PAGES>>("pages", "PAGES", -8, "The same in small pages"),
    col<kCount<NUMA_FAILURES>>("failures", "FAILED", -8, "Migrations that failed"),
    col<kCount<NUMA_NS>>("ns", "NS", -12, "The time in nanoseconds", kJsonOnly),
    col<&CounterRow::interval_ns>("interval_ns", "INTERVAL", -12,
                                  "Measured length of the interval in nanoseconds", kJsonOnly),
};

Obstacle one_node(const Facts& facts)
{
    return facts.several_nodes() ? Obstacle{} : Obstacle{Cause::one_node};
}

constexpr std::string_view kPrepare = "migrate_misplaced_folio_prepare";

// Without the types of the kernel nobody knows which result is success.
Obstacle not_old_folio(const Facts& facts)
{
    if (const Obstacle none = one_node(facts))
        return none;
    return facts.has(Facts::Name::own_function, kPrepare) == Answer::no ? Obstacle{}
                                                                        : Obstacle{Cause::no_btf};
}

constexpr Need kNeeds[] = {
    {.what = "migrations of pages",
     .rungs =
         {with_function(rung<&P::folio_fentry, &P::folio_fexit>("fexit", {}, nullptr, one_node),
                        kPrepare),
          rung<&P::page_fentry, &P::page_fexit>("fexit", {}, nullptr, one_node),
          with_function(rung<&P::folio_kprobe, &P::folio_return>("kprobe", {}, nullptr, one_node),
                        kPrepare),
          rung<&P::folio_kprobe, &P::oldfolio_return>("kprobe", {}, nullptr, not_old_folio),
          rung<&P::page_kprobe, &P::page_return>("kprobe", {}, nullptr, one_node)}},
    {.what = "migrations of huge pages by a function of their own",
     .rungs = {rung<&P::huge_kprobe, &P::huge_return>("kprobe", {}, nullptr, one_node)},
     .optional = true,
     .without = "huge pages up to Linux 5.12"},
};

constexpr Counters<numamove_bpf, Options> kTool{
    .about = {.name = "numamove",
              .area = "memory",
              .summary = "Count pages that NUMA balancing moves to another node",
              .details = "Prints one line per interval with the pages that the kernel moved to the "
                         "node of the task that uses them, and how long the tasks waited for that.",
              .examples = kExamples},
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .events = [](const CounterRow& r) -> std::uint64_t {
        return r.count.n[NUMA_MIGRATIONS] + r.count.n[NUMA_FAILURES];
    },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
