// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "compactsnoop.h"
#include "output/task_columns.hpp"
#include "shape/event_stacks.hpp"
#include "shape/hidden_names.hpp"
#include "shape/stream.hpp"
#include <cstring>

#include "compactsnoop.skel.h"

namespace
{
using namespace corebox;
using P = decltype(compactsnoop_bpf::progs);

struct Options : compactsnoop_config {
    bool kernel_stack = false;
};

struct Row {
    task_info task{};
    compactsnoop_event event{}; // without its stacks
    std::string fragmentation;
    EventStacks stacks;
};

constexpr Example kExamples[] = {
    {"compactsnoop", "Trace the compaction of memory"},
    {"compactsnoop -e -K", "Print also the state of the zone, and kernel stacks"},
    {"compactsnoop --where 'kind == \"direct\"'", "Trace only what an allocation waits for"},
};

constexpr Option kOptions[] = {
    show('T', "timestamp", "Print seconds since the first event"),
    flag<&Options::kernel_stack>('K', "kernel-stack", "Print the kernel stack of each event"),
    flag<&Options::extended>('e', "extended", "Print fragmentation, watermarks and free pages",
                             "extended_fields"),
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'d', "duration"}};

// By the numbers of enum compact_result, v5.10 to v7.2.
constexpr std::string_view kStatuses[] = {"not_suitable_zone", "skipped",   "deferred",
                                          "no_suitable_page",  "continue",  "complete",
                                          "partial_skipped",   "contended", "success"};
constexpr std::string_view kModes[] = {"ASYNC", "SYNC"};
constexpr std::string_view kKinds[COMPACT_KINDS] = {"direct", "kcompactd", "proactive", "manual"};

template <auto Member>
constexpr auto kEvent = [](const Row& r) { return Value(r.event.*Member); };
template <auto Member>
constexpr auto kZone = [](const Row& r) { return Value(r.event.zone.*Member); };

constexpr Column kColumns[] = {
    since_column<&Row::task>(with("timestamp")),
    time_column<&Row::task>(kJsonOnly),
    col<&Row::task, &task_info::uid>("uid", "UID", 6, "User ID", kJsonOnly),
    col<&Row::task, &task_info::comm>("comm", "COMM", 16, "Command name of the thread"),
    col<&Row::task, &task_info::pid>("pid", "PID", 7, "Process ID"),
    col<&Row::task, &task_info::tid>("tid", "TID", 7, "Thread ID", kJsonOnly),
    col<kEvent<&compactsnoop_event::node>>("node", "NODE", 4, "NUMA node of the zone")
        .from<field<&compactsnoop_event::node>>(),
    col<kEvent<&compactsnoop_event::zone_name>>("zone", "ZONE", 8, "Name of the zone")
        .from<field<&compactsnoop_event::zone_name>>(),
    col<kEvent<&compactsnoop_event::order>>("order", "ORDER", -5,
                                            "Wanted are blocks of 2^ORDER pages; -1: all")
        .from<field<&compactsnoop_event::order>>(),
    col<[](const Row& r) { return Trusted{kModes[r.event.sync]}; }>(
        "mode", "MODE", 5, "SYNC: waits for locks and writeback; ASYNC: does not")
        .from_names<field<&compactsnoop_event::sync>, kModes>(),
    col<[](const Row& r) -> Value {
        return r.event.order < 0 ? Value(Absent{}) : Value(Trusted{r.fragmentation});
    }>("fragidx", "FRAGIDX", -7, "Fragmentation, 0 to 1; -1: a block is large enough",
       costly("extended"))
        .as(ColumnType::text),
    col<kZone<&compact_zone_state::min>>("min_pages", "MIN", -8, "Lowest watermark of the zone",
                                         costly("extended"))
        .from<field<&compactsnoop_event::zone, &compact_zone_state::min>>(),
    col<kZone<&compact_zone_state::low>>("low_pages", "LOW", -8, "Low watermark",
                                         costly("extended"))
        .from<field<&compactsnoop_event::zone, &compact_zone_state::low>>(),
    col<kZone<&compact_zone_state::high>>("high_pages", "HIGH", -8, "High watermark",
                                          costly("extended"))
        .from<field<&compactsnoop_event::zone, &compact_zone_state::high>>(),
    col<kZone<&compact_zone_state::free>>("free_pages", "FREE", -8,
                                          "Free pages of the zone before it", costly("extended"))
        .from<field<&compactsnoop_event::zone, &compact_zone_state::free>>(),
    col<[](const Row& r) -> Value {
        return Fixed{r.event.ns / 1000, 3};
    }>("lat_ms", "LAT(ms)", -9, "Time that it took, in milliseconds")
        .from<fixed(field<&compactsnoop_event::ns> / 1000, 3)>(),
    col<kEvent<&compactsnoop_event::ns>>("lat_ns", "LAT(ns)", -12, "The same in nanoseconds",
                                         kJsonOnly)
        .from<field<&compactsnoop_event::ns>>(),
    col<[](const Row& r) -> Value {
        return r.event.status < std::size(kStatuses) ? Value(Trusted{kStatuses[r.event.status]})
                                                     : Value(Absent{"?"});
    }>("status", "STATUS", 17, "What came out of it")
        .from_names<field<&compactsnoop_event::status>, kStatuses>(),
    col<[](const Row& r) { return Trusted{kKinds[r.event.kind]}; }>(
        "kind", "KIND", 0, "direct, kcompactd, proactive or manual")
        .from_names<field<&compactsnoop_event::kind>, kKinds>(),
    col<kEvent<&compactsnoop_event::migrate_scanned>>(
        "migrate_scanned", "SCANNED", -8, "Pages scanned for those to be moved", kJsonOnly)
        .from<field<&compactsnoop_event::migrate_scanned>>(),
    col<kEvent<&compactsnoop_event::free_scanned>>("free_scanned", "FREESCANNED", -8,
                                                   "Pages scanned for room for them", kJsonOnly)
        .from<field<&compactsnoop_event::free_scanned>>(),
    col<[](const Row& r) { return r.stacks.kernel(); }>(
        "kernel_stack", "STACK", 0, "Kernel functions with -K, leaf first", kJsonOnly)
        .as(ColumnType::list),
};

constexpr Need kNeeds[] = {
    {.what = "compaction of zones",
     .rungs = {rung<&P::enter_fentry, &P::begin_btf, &P::leave_fexit>("fexit"),
               rung<&P::leave_kretprobe, &P::begin_raw, &P::enter_kprobe>("kprobe")}},
};

// Thousandths, as a decimal.
std::string decimal(std::int64_t thousandths)
{
    const auto size = std::uint64_t(thousandths < 0 ? -thousandths : thousandths);
    const std::string digits = std::to_string(size % 1000);
    return cat(thousandths < 0 ? "-" : "", size / 1000, ".", std::string(3 - digits.size(), '0'),
               digits);
}

bool decode(Row& row, const Options&, const void* record, std::size_t size)
{
    constexpr std::size_t kHead = offsetof(compactsnoop_event, stacks);
    std::memcpy(&row.event, record, kHead);
    row.task = row.event.task;
    row.fragmentation = decimal(row.event.zone.fragmentation);
    row.stacks.take({static_cast<const std::byte*>(record), size}, kHead, row.task.pid);
    return true;
}

constexpr Stream<compactsnoop_bpf, Options, Row> kTool{
    .about = {.name = "compactsnoop",
              .area = "memory",
              .summary = "Trace the compaction of memory zones",
              .details = "Prints one line each time the kernel has compacted a zone: moved pages "
                         "to make larger free blocks.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .setup =
        [](compactsnoop_bpf& s, Options& o, const Session&) {
            prepare_event_stacks({o.kernel_stack, false, 0}, s.rodata->cb_event_stacks);
        },
    .decode = decode,
    .below = [](std::string& text,
                const void* row) { static_cast<const Row*>(row)->stacks.append(text); },
    .also = Shared::symbols,
    .attached =
        [](const Options& o, const Session& session) {
            if (o.kernel_stack)
                say_hidden_names(session);
        },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
