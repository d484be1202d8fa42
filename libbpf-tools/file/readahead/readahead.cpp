// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "readahead.h"
#include "base/difference.hpp"
#include "shape/histogram.hpp"

#include "readahead.skel.h"

namespace
{

using namespace corebox;
using Progs = decltype(readahead_bpf::progs);

struct Options {
    bool periodic = false;
    std::uint32_t folios = 131072;
    readahead_pages told{}; // by the reports before
};

struct Row {
    readahead_pages interval{}, all{};
};

constexpr Example kExamples[] = {
    {"readahead", "Run until Ctrl-C"},
    {"readahead -d 10", "Run for 10 seconds"},
    {"readahead -i 5 -p 181", "Show the read-ahead of process 181, every 5 seconds"},
};

constexpr Option kOptions[] = {
    opt<&Options::folios>(0, "folios", "N", "Remember this many unused pages or folios",
                          {64, 1 << 24}),
};

constexpr Letter kLetters[] = {{'d', "duration"}, {'i', "interval"}, {'p', "pid"}};

constexpr std::uint64_t unused(const readahead_pages& p) { return difference(p.ahead, p.used); }

constexpr Column kColumns[] = {
    col<[](const Row& r) { return unused(r.all); }>(
        "unused_pages", "UNUSED", -8, "Pages read ahead since the start and not used until now"),
    col<[](const Row& r) { return r.all.ahead; }>("total_pages", "TOTAL", -8,
                                                  "Pages read ahead since the start"),
    col<[](const Row& r) { return r.all.dropped; }>(
        "dropped_pages", "DROPPED", -8, "Unused pages that left the cache since the start"),
    col<[](const Row& r) { return r.interval.ahead; }>("interval_total_pages", "READ", -8,
                                                       "Pages read ahead in the interval"),
    col<[](const Row& r) { return r.interval.used; }>(
        "interval_used_pages", "USED", -8,
        "Pages that were used for the first time in the interval"),
    col<[](const Row& r) { return r.interval.dropped; }>(
        "interval_dropped_pages", "GONE", -8, "Unused pages that left the cache in the interval"),
};

constexpr std::string_view kUnmapped = "the use of a mapped page until it is unmapped";

constexpr Need kNeeds[] = {
    {"threads that read ahead",
     {rung_any<&Progs::unbound_fentry, &Progs::unbound_fexit, &Progs::order_fentry,
               &Progs::order_fexit, &Progs::plain_fentry, &Progs::plain_fexit,
               &Progs::forced_fentry, &Progs::forced_fexit>("fentry"),
      rung_any<&Progs::unbound_kprobe, &Progs::unbound_kret, &Progs::order_kprobe,
               &Progs::order_kret, &Progs::plain_kprobe, &Progs::plain_kret, &Progs::forced_kprobe,
               &Progs::forced_kret>("kprobe")}},
    {"pages coming into the cache",
     {rung<&Progs::born_tp_btf>("tp_btf"), rung<&Progs::born_raw_tp>("raw_tp")}},
    {"pages leaving the cache", {rung<&Progs::gone_raw_tp>("raw_tp")}},
    {"pages being used",
     {rung<&Progs::used_fentry>("fentry"), rung<&Progs::oldused_fentry>("fentry"),
      rung<&Progs::used_kprobe>("kprobe"), rung<&Progs::oldused_kprobe>("kprobe")}},
    {.what = "pages being mapped by a fault",
     .rungs = {rung<&Progs::fault_fexit>("fexit")},
     .optional = true,
     .without = kUnmapped},
};

std::string beside(Row& row, readahead_bpf& s, Options& o)
{
    const auto now = [](const __u64& n) { return *const_cast<const volatile __u64*>(&n); };
    const auto& p = s.bss->pages;
    // Used and dropped first: so they are never more than those that were read ahead.
    row.all.used = now(p.used);
    row.all.dropped = now(p.dropped);
    row.all.ahead = now(p.ahead);
    row.interval = {difference(row.all.ahead, o.told.ahead), difference(row.all.used, o.told.used),
                    difference(row.all.dropped, o.told.dropped)};
    o.told = row.all;
    return cat("Read-ahead unused/total pages: ", unused(row.all), "/", row.all.ahead,
               ", of these ", row.all.dropped, " have left the cache unused",
               o.periodic ? cat("\nIn this interval: ", row.interval.ahead, " read ahead, ",
                                row.interval.used, " used, ", row.interval.dropped,
                                " left the cache unused")
                          : "",
               row.interval.used ? "\nRead-ahead used page age:" : "");
}

struct NoKey {
    std::uint32_t generation;
};

constexpr Histogram<readahead_bpf, Options, NoKey, Row> kTool{
    .about = {.name = "readahead",
              .area = "file",
              .summary = "Show how much of read-ahead is used, and when",
              .details = "Counts the pages that read-ahead brings into the page cache. Shows how "
                         "many were never used, and the age of the others at their first use.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .unit =
        [](const Options&) {
            return Unit{"msecs", 1'000'000};
        },
    .setup = [](readahead_bpf& s, Options& o,
                const Session&) { bpf_map__set_max_entries(s.maps.births, o.folios); },
    .beside = beside,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
