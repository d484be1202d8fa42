// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "ugc.h"
#include "../runtime.hpp"
#include "base/difference.hpp"
#include "shape/stream.hpp"
#include "tool/milliseconds.hpp"
#include <algorithm>
#include <cstring>

#include "ugc.skel.h"

namespace
{
using namespace corebox;
using P = decltype(ugc_bpf::progs);

constexpr std::string_view kLanguages = "java|node|perl|php|python|ruby|tcl";

struct Options : ugc_config {
    RuntimeChoice language;
    std::uint32_t pid = 0;
    Milliseconds minimum{};
    std::uint64_t minimum_us = 0, begun_ns = 0;
    std::string_view text;
    bool milliseconds = false, pools = false;
    std::vector<const Runtime*> runtimes;
    std::vector<Need> needs; // of this runtime
};

struct Row : gc_pool_event {
    std::uint64_t begun_ns = 0;
    std::string description;
};

constexpr Alias kAliases[] = {
    {"javagc", {"-l", "java"}, "Trace garbage collection pauses of Java"},
    {"nodegc", {"-l", "node"}, "Trace garbage collections of Node.js"},
    {"pythongc", {"-l", "python"}, "Trace garbage collections of Python"},
    {"rubygc", {"-l", "ruby"}, "Trace garbage collections of Ruby"},
};

constexpr Example kExamples[] = {
    {"ugc 181", "Trace the garbage collections of process 181"},
    {"ugc -l java -m -M 10", "Trace pauses of at least 10 ms, of all JVMs, in milliseconds"},
    {"ugc --pools -F Eden 181", "Trace each memory pool of a JVM whose line contains Eden"},
    {"pythongc -- python3 job.py", "Trace the collections of a command"},
};

constexpr Option kPositionals[] = {
    opt<&Options::pid>(0, "process", "PID", "Trace this process", {1, 1 << 22}),
};

constexpr Option kOptions[] = {
    choice<&Options::language>('l', "language", kLanguages,
                               "Trace this language (default: of PID)"),
    flag<&Options::milliseconds>('m', "milliseconds", "Show milliseconds"),
    opt<&Options::minimum>('M', "minimum", "MS", "Trace only collections of at least MS"),
    opt<&Options::minimum_us>('t', "time", "US", "Trace only collections of at least US",
                              {0, std::int64_t(1) << 40}),
    opt<&Options::text>('F', "filter", "TEXT", "Show only descriptions that contain TEXT"),
    flag<&Options::pools>(0, "pools", "Trace each memory pool of a JVM, too"),
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'v', "debug"}};

constexpr std::string_view kKinds[] = {"pause",      "pool", "collection",
                                       "collection", "mark", "sweep"};
// v8's enum GarbageCollector.
constexpr std::string_view kCollectors[] = {"scavenge", "mark-compact", "minor mark-compact"};

constexpr Column kColumns[] = {
    col<[](const Row& r) { return WallTime{r.gc.task.time_ns}; }>("time_ns", "TIME", 8,
                                                                  "Time of its end", kJsonOnly),
    col<[](const Row& r) {
        return Fixed{difference(r.gc.task.time_ns, r.begun_ns + r.gc.lat_ns) / 1'000'000, 3};
    }>("start_s", "START", 9, "Start of the collection, in seconds after the start of the tool"),
    col<[](const Row& r) {
        return Fixed{r.gc.lat_ns / 10, 2};
    }>("lat_us", "TIME (us)", -12, "Duration in microseconds", without("milliseconds"))
        .from<fixed(field<&gc_event::lat_ns> / 10, 2)>(),
    col<[](const Row& r) {
        return Fixed{r.gc.lat_ns / 10'000, 2};
    }>("lat_ms", "TIME (ms)", -12, "Duration in milliseconds", costly("milliseconds"))
        .from<fixed(field<&gc_event::lat_ns> / 10'000, 2)>(),
    col<[](const Row& r) { return r.gc.task.pid; }>("pid", "PID", 7, "Process ID")
        .from<field<&task_info::pid>>(),
    col<[](const Row& r) { return r.gc.task.tid; }>("tid", "TID", 7, "Thread that collected",
                                                    kJsonOnly)
        .from<field<&task_info::tid>>(),
    col<[](const Row& r) { return r.gc.cpu; }>("cpu", "CPU", 3, "CPU at its end", kJsonOnly)
        .from<field<&gc_event::cpu>>(),
    col<[](const Row& r) -> Value { return r.gc.task.comm; }>(
        "comm", "COMM", 16, "Name of the thread that collected", kJsonOnly)
        .from<field<&task_info::comm>>(),
    col<[](const Row& r) { return Trusted{kKinds[r.gc.kind % std::size(kKinds)]}; }>(
        "kind", "KIND", 10, "pause or pool (java), collection, mark or sweep (ruby)", kJsonOnly)
        .from_names<field<&gc_event::kind>, kKinds>(),
    col<[](const Row& r) { return r.gc.kind == GC_PAUSE ? Value(r.gc.value != 0) : Value(); }>(
        "full", "FULL", 5, "Whether a pause is of a full collection (java)", kJsonOnly)
        .as(ColumnType::boolean),
    col<[](const Row& r) { return r.gc.kind == GC_PYTHON ? Value(r.gc.value) : Value(); }>(
        "generation", "GEN", 3, "Generation that was collected (python)", kJsonOnly)
        .as(ColumnType::integer),
    col<[](const Row& r) { return r.gc.kind == GC_PYTHON ? Value(r.gc.end_value) : Value(); }>(
        "collected", "COLLECTED", 9, "Objects that were collected (python)", kJsonOnly)
        .as(ColumnType::integer),
    col<[](const Row& r) { return r.gc.kind == GC_POOL ? Value(r.used_before) : Value(); }>(
        "used_before", "BEFORE", 12, "Bytes of the pool in use before", kJsonOnly)
        .as(ColumnType::integer),
    col<[](const Row& r) { return r.gc.kind == GC_POOL ? Value(r.used) : Value(); }>(
        "used", "USED", 12, "Bytes of the pool in use after", kJsonOnly)
        .as(ColumnType::integer),
    col<[](const Row& r) { return std::string_view(r.description); }>(
        "description", "DESCRIPTION", 0, "What the runtime says of it"),
};

constexpr Need kNeeds[] = {
    {.what = "ends of collections",
     .rungs = runtime_rungs<&P::gc_end, RuntimeEvent::gc_end, Options>()},
    {.what = "returns of collections",
     .rungs = runtime_rungs<&P::gc_return, RuntimeEvent::gc_end, Options>()},
    {.what = "collections", .rungs = runtime_rungs<&P::gc_begin, RuntimeEvent::gc, Options>()},
    {.what = "ends of sweeps",
     .rungs = runtime_rungs<&P::sweep_end, RuntimeEvent::gc_sweep_end, Options>()},
    {.what = "sweeps", .rungs = runtime_rungs<&P::sweep_begin, RuntimeEvent::gc_sweep, Options>()},
    {.what = "ends of collections of pools",
     .rungs = runtime_rungs<&P::pool_end, RuntimeEvent::gc_pool_end, Options>()},
    {.what = "collections of pools",
     .rungs = runtime_rungs<&P::pool_begin, RuntimeEvent::gc_pool, Options>()},
};

gc_kind kind_of(std::string_view language)
{
    return language == "java"   ? GC_PAUSE
           : language == "node" ? GC_V8
           : language == "ruby" ? GC_MARK
                                : GC_PYTHON;
}

void prepare(Options& o, Session& session)
{
    if (o.pid)
        session.pids.push_back(o.pid);
    if (o.minimum.ns && o.minimum_us)
        fail_usage("--minimum and --time exclude each other");
    o.min_ns = o.minimum_us ? o.minimum_us * 1000 : o.minimum.ns;
    constexpr RuntimeEvent kEvents[] = {RuntimeEvent::gc, RuntimeEvent::gc_end};
    const Runtime& runtime = choose_runtime(session, o.language.name(kLanguages), kEvents);
    o.runtimes = {&runtime};
    o.kind = __u8(kind_of(runtime.name));
    if (o.pools && o.kind != GC_PAUSE)
        fail_usage(cat("--pools needs Java; ", runtime.name, " has no memory pools"));
    o.begin_value = name_arguments(runtime, RuntimeEvent::gc).value;
    o.end_value = name_arguments(runtime, RuntimeEvent::gc_end).value;
    // Ends before begins: none is seen to begin whose end is not.
    const auto all = std::span(kNeeds);
    o.needs = {all[o.kind == GC_V8 ? 1 : 0], all[2]};
    if (o.kind == GC_MARK)
        o.needs.insert(o.needs.end(), {all[3], all[4]});
    if (o.pools)
        o.needs.insert(o.needs.end(), {all[5], all[6]});
}

std::string describe(const Row& r)
{
    switch (r.gc.kind) {
    case GC_PAUSE:
        return r.gc.value ? "full pause" : "pause";
    case GC_POOL:
        return cat(class_of(r.name), " ", method_of(r.name), " used=", r.used_before, "->", r.used,
                   " max=", r.max);
    case GC_V8:
        return std::string(r.gc.value < std::size(kCollectors) ? kCollectors[r.gc.value]
                                                               : "collection");
    case GC_PYTHON:
        return cat("gen ", r.gc.value, " GC collected ", r.gc.end_value, " objects");
    case GC_MARK:
        return "GC mark stage";
    default:
        return "GC sweep stage";
    }
}

bool decode(Row& row, const Options& o, const void* record, std::size_t size)
{
    gc_pool_event& e = row;
    e = {};
    std::memcpy(&e, record, std::min(size, sizeof e));
    row.begun_ns = o.begun_ns;
    row.description = describe(row);
    return row.description.find(o.text) != std::string::npos;
}

constexpr Stream<ugc_bpf, Options, Row> kTool{
    .about = {.name = "ugc",
              .area = "user",
              .summary = "Trace garbage collections of high-level languages",
              .details = "Prints one line for each garbage collection of Java, Node.js, Python and "
                         "Ruby programs when it ends, with its duration.",
              .examples = kExamples,
              .aliases = kAliases,
              .smoke = {"-l", "java"}},
    .options = kOptions,
    .positionals = kPositionals,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .setup =
        [](ugc_bpf& s, Options& o, const Session&) {
            s.rodata->cb_names = name_arguments(*o.runtimes[0], RuntimeEvent::gc_pool);
            o.begun_ns = monotonic_ns();
        },
    .decode = decode,
    .also = Shared::user_symbols,
    .prepare = prepare,
    .chosen = [](const Options& o) -> std::span<const Need> { return o.needs; },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
