// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cachetop.h"
#include "output/task_fields.hpp"
#include "page_cache.hpp"
#include "shape/top.hpp"

#include "cachetop.skel.h"

namespace
{

using namespace corebox;
using Progs = decltype(cachetop_bpf::progs);

enum class Sort : std::uint8_t { hits, misses, dirties, read_hit, write_hit, pid, uid, cmd };

struct Options {
    Sort sort = Sort::hits;
    bool ascending = false;
};

struct Row {
    std::uint64_t time_ns = 0;
    cachetop_key key{};
    cachetop_value value{};

    constexpr std::uint64_t pages(page_cache_event event) const { return value.pages[event]; }
    constexpr PageCacheUse use() const
    {
        return {pages(PAGE_CACHE_READ), pages(PAGE_CACHE_FAULT), pages(PAGE_CACHE_READ_IN)};
    }
    // Pages that were written to the cache without being there before.
    constexpr std::uint64_t created() const
    {
        const std::uint64_t added = pages(PAGE_CACHE_ADDED), read = pages(PAGE_CACHE_READ_IN);
        return std::min(pages(PAGE_CACHE_DIRTIED), added - std::min(added, read));
    }
    constexpr std::uint64_t read_hit() const { return share_percent_2(use().hits, use().asked); }
    constexpr std::uint64_t write_hit() const
    {
        const std::uint64_t dirties = pages(PAGE_CACHE_DIRTIED);
        return share_percent_2(dirties - created(), dirties);
    }
};

constexpr Example kExamples[] = {
    {"cachetop", "Show the processes on a screen, every 5 seconds"},
    {"cachetop -C -s misses -r 5 1 10", "Print the processes with most misses, ten times"},
    {"cachetop --json 60 1", "Print all processes of one minute, as JSON"},
};

constexpr Option kOptions[] = {
    choice<&Options::sort>('s', "sort", "hits|misses|dirties|read_hit|write_hit|pid|uid|cmd",
                           "Sort by this column"),
    flag<&Options::ascending>('R', "reverse", "Sort in ascending order"),
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'r', "rows"}, {'C', "noclear"}};

template <page_cache_event Event>
constexpr auto kPages = [](const Row& r) { return r.pages(Event); };

constexpr Column kColumns[] = {
    col<[](const Row& r) { return WallTime{r.time_ns}; }>("time_ns", "TIME", 8,
                                                          "End of the interval", kJsonOnly),
    col<[](const Row& r) { return r.key.pid; }>("pid", "PID", 8, "Process ID"),
    col<[](const Row& r) { return r.key.uid; }>("uid", "UID", 8, "User ID"),
    col<[](const Row& r) -> Value { return r.key.comm; }>("comm", "CMD", 16,
                                                          "Command name of the thread"),
    col<[](const Row& r) { return r.use().hits; }>("hits", "HITS", -8,
                                                   "Requested pages that were in the cache"),
    col<[](const Row& r) { return r.use().misses; }>("misses", "MISSES", -8,
                                                     "Requested pages that had to be read"),
    col<kPages<PAGE_CACHE_DIRTIED>>("dirties", "DIRTIES", -8, "Pages that became dirty"),
    col<[](const Row& r) -> Value {
        return r.use().asked ? Value(Fixed{r.read_hit(), 2}) : Absent{};
    }>("read_hit_percent", "READ_HIT%", -10, "Hits in percent of the requested pages"),
    col<[](const Row& r) -> Value {
        return r.pages(PAGE_CACHE_DIRTIED) ? Value(Fixed{r.write_hit(), 2}) : Absent{};
    }>("write_hit_percent", "WRITE_HIT%", -10,
       "Share of dirtied pages that were in the cache before, in percent"),
    col<kPages<PAGE_CACHE_READ>>("read_pages", "READ", -8, "Pages requested by reads", kJsonOnly),
    col<kPages<PAGE_CACHE_FAULT>>("fault_pages", "FAULTS", -8, "Pages requested by page faults",
                                  kJsonOnly),
    col<kPages<PAGE_CACHE_READ_IN>>("read_in_pages", "READ_IN", -8,
                                    "Pages read from storage, including read-ahead", kJsonOnly),
    col<[](const Row& r) { return r.created(); }>(
        "new_pages", "NEW", -8, "Dirtied pages that were not in the cache before", kJsonOnly),
};

// The pages that come into the cache tell which of the dirty ones are new.
template <std::size_t N>
consteval auto with_additions(const Need (&needs)[N])
{
    std::array<Need, N + 1> all{};
    std::ranges::copy(needs, all.begin());
    all[N] = {"pages coming into the cache",
              {rung<&Progs::add_tp_btf>("tp_btf"), rung<&Progs::add_raw_tp>("raw_tp")}};
    return all;
}
constexpr auto kNeeds = with_additions(kPageCacheNeeds<Progs>);

std::uint64_t sort_key(const Row& row, Sort by)
{
    switch (by) {
    case Sort::misses:
        return row.use().misses;
    case Sort::dirties:
        return row.pages(PAGE_CACHE_DIRTIED);
    case Sort::read_hit:
        return row.read_hit();
    case Sort::write_hit:
        return row.write_hit();
    case Sort::pid:
        return row.key.pid;
    case Sort::uid:
        return row.key.uid;
    case Sort::cmd: {
        std::uint64_t first_letters = 0;
        for (std::size_t i = 0; i < sizeof first_letters; i++)
            first_letters = first_letters << 8 | std::uint8_t(row.key.comm[i]);
        return first_letters;
    }
    case Sort::hits:
        break;
    }
    return row.use().hits;
}

// Of an event, for --where.
constexpr Column kFields[] = {task_field::pid, task_field::tid, task_field::comm, task_field::cpu};

constexpr Top<cachetop_bpf, Options, Row> kTool{
    .about =
        {.name = "cachetop",
         .area = "file",
         .summary = "Show hits and misses of the page cache by process",
         .details =
             "Prints one line for each process of the interval. The line shows how many requested "
             "pages were in the page cache, how many had to be read, and how many became dirty.",
         .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .fields = kFields,
    .interval = std::chrono::seconds(5),
    .decode =
        [](Row& row, const Entries& entries, std::size_t entry) {
            row.key = entries.key<cachetop_key>(entry);
            entries.values<cachetop_value>(entry, [&](const auto& v) { row.value = v; });
        },
    .weight =
        [](const Row& row, const Options& o) {
            const std::uint64_t key = sort_key(row, o.sort);
            return o.ascending ? ~key : key;
        },
    .events =
        [](const Row& row) {
            std::uint64_t all = 0;
            for (const auto n : row.value.pages)
                all += n;
            return all;
        },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
