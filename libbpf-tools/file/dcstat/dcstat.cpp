// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "dcstat.h"
#include "dcache.hpp"
#include "shape/counters.hpp"

#include "dcstat.skel.h"

namespace
{

using namespace corebox;
using Progs = decltype(dcstat_bpf::progs);

struct Options {
};

// Look-ups, those that the path walk did not answer, those that nothing answered.
constexpr std::uint64_t refs(const CounterRow& r)
{
    return r.count.n[DCACHE_FAST] + r.count.n[DCACHE_SLOW] + r.count.n[DCACHE_MISS];
}
constexpr std::uint64_t slow(const CounterRow& r)
{
    return r.count.n[DCACHE_SLOW] + r.count.n[DCACHE_MISS];
}
constexpr std::uint64_t misses(const CounterRow& r) { return r.count.n[DCACHE_MISS]; }

constexpr Example kExamples[] = {
    {"dcstat", "Print a line every second"},
    {"dcstat -p 181 10 6", "Count for process 181, every 10 seconds for a minute"},
    {"dcstat --json -- git status", "Count the look-ups of one command"},
};

constexpr Letter kLetters[] = {{'p', "pid"}};

constexpr Column kColumns[] = {
    col<[](const CounterRow& r) { return WallTime{r.time_ns}; }>("time_ns", "TIME", 8,
                                                                 "End of the interval"),
    col<[](const CounterRow& r) { return r.per_second(refs(r)); }>("refs_per_s", "REFS/s", -9,
                                                                   "Look-ups per second"),
    col<[](const CounterRow& r) { return r.per_second(slow(r)); }>(
        "slow_per_s", "SLOW/s", -9,
        "Look-ups per second that the lock-free path walk did not answer"),
    col<[](const CounterRow& r) { return r.per_second(misses(r)); }>(
        "miss_per_s", "MISS/s", -9, "Look-ups per second that the file system had to answer"),
    col<[](const CounterRow& r) -> Value {
        constexpr std::uint64_t kPercent2 = 10'000;
        const std::uint64_t all = refs(r);
        return all ? Value(Fixed{(all - misses(r)) * kPercent2 / all, 2}) : Absent{};
    }>("hit_percent", "HIT%", -7, "Share of look-ups that the cache answered, in percent"),
    col<[](const CounterRow& r) { return refs(r); }>("refs", "REFS", -9, "Look-ups in the interval",
                                                     kJsonOnly),
    col<[](const CounterRow& r) { return slow(r); }>("slow", "SLOW", -9,
                                                     "Slow look-ups in the interval", kJsonOnly),
    col<[](const CounterRow& r) { return misses(r); }>("misses", "MISSES", -9,
                                                       "Misses in the interval", kJsonOnly),
    col<&CounterRow::interval_ns>("interval_ns", "INTERVAL", -12,
                                  "Measured length of the interval in nanoseconds", kJsonOnly),
};

constexpr Counters<dcstat_bpf, Options> kTool{
    .about = {.name = "dcstat",
              .area = "file",
              .summary = "Count hits and misses of the dentry cache",
              .details = "Prints one line per interval: how many names were looked up in the "
                         "dentry cache, and how many the file system had to answer.",
              .examples = kExamples},
    .letters = kLetters,
    .columns = kColumns,
    .needs = kDcacheNeeds<Progs>,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
