// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "usdtlatency.h"
#include "base/text.hpp"
#include "probe/user_probe.hpp"
#include "shape/histogram.hpp"
#include <algorithm>
#include <bpf/bpf.h>

#include "usdtlatency.skel.h"

namespace
{
using namespace corebox;
using P = decltype(usdtlatency_bpf::progs);

struct Options : usdtlatency_config {
    std::string_view begin, end; // as given
    std::uint32_t argument = 1;
    std::uint32_t other_argument = 0;
    bool nanoseconds = false, milliseconds = false;
    UserSite begin_site{}, end_site{};
    std::vector<std::string_view> files; // a path was given
    std::string program;                 // "/NAME/"
};

struct Row {
    std::uint32_t pid;
};

constexpr Example kExamples[] = {
    {"usdtlatency postgres:postgresql:query__start query__done --arg 0",
     "Measure queries of PostgreSQL by thread"},
    {"usdtlatency /opt/app:app:operation_start operation_end",
     "Measure operations by their first argument"},
    {"usdtlatency -m -i 5 -p 181 jvm:hotspot:gc__begin gc__end --arg 0",
     "Measure pauses of Java every 5 seconds"},
};

constexpr Option kPositionals[] = {
    opt<&Options::begin>(0, "begin", "FILE:PROVIDER:BEGIN",
                         "Library, program or path, and its probe"),
    opt<&Options::end>(0, "end", "END", "Probe of the same provider, or PROVIDER:END"),
};

constexpr Option kOptions[] = {
    show('T', "timestamp", "Print the time above each report"),
    opt<&Options::argument>('a', "arg", "N", "Match by argument N (default: 1); 0: by thread",
                            {0, USDT_ARGUMENTS}),
    opt<&Options::other_argument>(0, "end-arg", "N", "Match with argument N of END",
                                  {1, USDT_ARGUMENTS}),
    flag<&Options::nanoseconds>('n', "nanoseconds", "Show nanoseconds"),
    flag<&Options::milliseconds>('m', "milliseconds", "Show milliseconds"),
    flag<&Options::per_process>('P', "per-process", "Show a histogram for each process"),
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'i', "interval"}, {'d', "duration"}};

constexpr Column kColumns[] = {
    col<&Row::pid>("pid", "PID", 7, "Process ID", costly("per-process")),
};

Unit unit(const Options& o)
{
    return o.milliseconds  ? Unit{"msecs", 1'000'000}
           : o.nanoseconds ? Unit{"nsecs", 1}
                           : Unit{"usecs", 1'000};
}

template <UserSite Options::*Site, UserWay Way>
std::vector<bpf_link*> attach_site(const Session& session, const bpf_program* program)
{
    const auto& o = session.options_as<Options>();
    return attach_user(session, program, o.*Site, Way, o.files);
}

template <auto Program, UserSite Options::*Site>
consteval std::array<Rung, 5> site_rungs()
{
    return {with_function(rung<Program>("uprobe.multi", {}, attach_site<Site, UserWay::multi>),
                          kUprobeMultiFunction),
            rung<Program>("uprobe", {}, attach_site<Site, UserWay::perf_events>)};
}

// Ends first: what is seen to begin is seen to end.
constexpr Need kNeeds[] = {
    {.what = "hits of END", .rungs = site_rungs<&P::pair_ends, &Options::end_site>()},
    {.what = "hits of BEGIN", .rungs = site_rungs<&P::pair_begins, &Options::begin_site>()},
};

void prepare(Options& o, Session& session)
{
    constexpr const char* kMissing =
        "missing FILE:PROVIDER:BEGIN and END; for example: usdtlatency "
        "/opt/app:app:operation_start operation_end";
    const auto begin = split(o.begin, ':');
    const auto end = split(o.end, ':');
    const auto has_empty = [](const auto& parts) {
        return std::ranges::any_of(parts, [](std::string_view part) { return part.empty(); });
    };
    if (begin.size() != 3 || end.empty() || end.size() > 2 || has_empty(begin) || has_empty(end))
        fail_usage(kMissing);
    if (o.nanoseconds && o.milliseconds)
        fail_usage("--nanoseconds and --milliseconds exclude each other");
    UserSite site{.provider = begin[1], .probe = begin[2]};
    if (begin[0].find('/') != begin[0].npos) {
        o.files = {begin[0]};
    } else {
        o.program = cat("/", begin[0], "/");
        site.libraries = {begin[0], o.program};
        site.in_program = true;
    }
    o.begin_site = o.end_site = site;
    o.end_site.provider = end.size() == 2 ? end[0] : site.provider;
    o.end_site.probe = end.back();
    o.begin_argument = o.argument;
    o.end_argument = session.given("end-arg") ? o.other_argument : o.argument;
    o.unit_ns = unit(o).raw;
}

// Begins that still wait.
std::uint64_t count_waiting(const bpf_map* map)
{
    std::uint64_t count = 0;
    pair_key key{}, next{};
    for (const pair_key* at = nullptr; bpf_map__get_next_key(map, at, &next, sizeof next) == 0;
         at = &key) {
        pair_waiting value{};
        key = next;
        if (bpf_map__lookup_elem(map, &key, sizeof key, &value, sizeof value, 0) == 0)
            count += value.used;
    }
    return count;
}

std::string describe_unmatched(const usdtlatency_bpf& s)
{
    pair_counts all{.begins = count_waiting(s.maps.waiting), .ends = 0, .unreadable = 0};
    for (const pair_counts& cpu : s.bss->pair_counts) {
        all.begins += cpu.begins;
        all.ends += cpu.ends;
        all.unreadable += cpu.unreadable;
    }
    std::string text;
    const auto add = [&](std::uint64_t count, std::string_view what) {
        if (count)
            text += cat(text.empty() ? "" : ", ", count, " ", what);
    };
    add(all.begins, "begins without an end");
    add(all.ends, "ends without a begin");
    add(all.unreadable, "hits whose argument cannot be read");
    return text;
}

constexpr Histogram<usdtlatency_bpf, Options, usdtlatency_key, Row> kTool{
    .about = {.name = "usdtlatency",
              .area = "dynamic",
              .summary = "Show the time between two USDT probes as a histogram",
              .details = "Measures the time from one USDT probe to another whose argument, or "
                         "thread, is the same.",
              .examples = kExamples,
              .smoke = {"app:app:operation_start", "operation_end"}},
    .options = kOptions,
    .positionals = kPositionals,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .unit = unit,
    .totals = true,
    .keyed = [](const Options& o) { return o.per_process; },
    .decode = [](Row& row, const Options&, const usdtlatency_key& key) { row.pid = key.pid; },
    .prepare = prepare,
    .detached = [](usdtlatency_bpf& s, Options&,
                   Account& account) { account.note = describe_unmatched(s); },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
