// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cachestat.h"
#include "page_cache.hpp"
#include "shape/counters.hpp"

#include "cachestat.skel.h"

namespace
{

using namespace corebox;
using Progs = decltype(cachestat_bpf::progs);

struct Options {
};

struct Row : CounterRow {
    MemoryUse memory{};

    constexpr PageCacheUse use() const
    {
        return {count.n[PAGE_CACHE_READ], count.n[PAGE_CACHE_FAULT], count.n[PAGE_CACHE_READ_IN]};
    }
};

constexpr Example kExamples[] = {
    {"cachestat", "Print a line every second"},
    {"cachestat -T 5 12", "Print a line every 5 seconds for a minute, with the time"},
    {"cachestat --json -- grep -r text /usr", "Show what one command finds in the cache"},
};

constexpr Option kOptions[] = {
    show('T', "timestamp", "Print the time"),
};
constexpr Letter kLetters[] = {{'p', "pid"}};

constexpr std::uint64_t kKiBInMiB = 1024;

template <page_cache_event Event>
constexpr auto kCount = [](const Row& r) { return r.count.n[Event]; };

constexpr Column kColumns[] = {
    col<[](const Row& r) { return WallTime{r.time_ns}; }>("time_ns", "TIME", 8,
                                                          "End of the interval", with("timestamp")),
    col<[](const Row& r) { return r.use().hits; }>("hits", "HITS", -8,
                                                   "Requested pages that were in the cache"),
    col<[](const Row& r) { return r.use().misses; }>("misses", "MISSES", -8,
                                                     "Requested pages that had to be read"),
    col<kCount<PAGE_CACHE_DIRTIED>>("dirties", "DIRTIES", -8, "Pages that became dirty"),
    col<[](const Row& r) -> Value {
        if (r.use().asked == 0)
            return Absent{};
        return Fixed{share_percent_2(r.use().hits, r.use().asked), 2};
    }>("hit_percent", "HITRATIO", -9, "Hits in percent of the requested pages"),
    col<[](const Row& r) { return r.memory.buffers_kib / kKiBInMiB; }>(
        "buffers_mib", "BUFFERS_MB", -12, "Current cache of block devices, in MiB"),
    col<[](const Row& r) { return r.memory.cached_kib / kKiBInMiB; }>(
        "cached_mib", "CACHED_MB", -10, "Current page cache, in MiB"),
    col<kCount<PAGE_CACHE_READ>>("read_pages", "READ", -8, "Pages requested by reads", kJsonOnly),
    col<kCount<PAGE_CACHE_FAULT>>("fault_pages", "FAULTS", -8, "Pages requested by page faults",
                                  kJsonOnly),
    col<kCount<PAGE_CACHE_READ_IN>>("read_in_pages", "READ_IN", -8,
                                    "Pages read from storage, including read-ahead", kJsonOnly),
    col<[](const Row& r) { return r.interval_ns; }>(
        "interval_ns", "INTERVAL", -12, "Measured length of the interval in nanoseconds",
        kJsonOnly),
};

constexpr Counters<cachestat_bpf, Options, Row> kTool{
    .about = {.name = "cachestat",
              .area = "file",
              .summary = "Count hits and misses of the page cache",
              .details = "Prints one line per interval: how many requested pages were in the page "
                         "cache, how many had to be read, and how many became dirty.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kPageCacheNeeds<Progs>,
    .complete = [](Row& row) { row.memory = memory_use(); },
    .own = [](Options&) -> std::optional<counters> { return counters{}; },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
