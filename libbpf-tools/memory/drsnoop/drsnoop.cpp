// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "drsnoop.h"
#include "../gfp.hpp"
#include "output/task_columns.hpp"
#include "shape/event_stacks.hpp"
#include "shape/hidden_names.hpp"
#include "shape/stream.hpp"
#include <cstring>
#include <unistd.h>

#include "drsnoop.skel.h"

namespace
{
using namespace corebox;
using P = decltype(drsnoop_bpf::progs);

struct Options : drsnoop_config {
    std::string_view name;
    bool kernel_stack = false, user_stack = false;
};

struct Row {
    task_info task{};
    drsnoop_event event{}; // without its stacks
    std::string gfp;
    EventStacks stacks;
};

constexpr Example kExamples[] = {
    {"drsnoop", "Trace allocations that have to wait for memory to be reclaimed"},
    {"drsnoop -v -p 181", "Trace those of process 181, with the free memory"},
    {"drsnoop --cgroups --kernel-stack", "Include reclaim at limits of cgroups, and show stacks"},
};

constexpr Option kOptions[] = {
    show('T', "timestamp", "Print seconds since the first event"),
    show('U', "print-uid", "Print the user ID"),
    show('v', "extended", "Print the free memory of the system"),
    opt<&Options::name>('n', "name", "TEXT", "Trace only commands whose name contains TEXT"),
    show(0, "cgroups", "Trace reclaim at the limits of cgroups, too"),
    show(0, "nodes", "Trace reclaim of single NUMA nodes, too"),
    flag<&Options::kernel_stack>(0, "kernel-stack", "Print the kernel stack of each event"),
    flag<&Options::user_stack>(0, "user-stack", "Print the user stack of each event"),
};

constexpr Letter kLetters[] = {
    {'p', "pid"}, {'t', "tid"}, {'u', "uid"}, {'d', "duration"}, {'e', "extended"}};

constexpr std::string_view kKinds[RECLAIM_KINDS] = {"direct", "cgroup", "node"};
constexpr std::uint64_t kKiB = 1024;

template <auto Member>
constexpr auto kEvent = [](const Row& r) { return Value(r.event.*Member); };

constexpr Formula kFree = field<&drsnoop_event::free>;

constexpr Column kColumns[] = {
    since_column<&Row::task>(with("timestamp")),
    time_column<&Row::task>(kJsonOnly),
    col<&Row::task, &task_info::uid>("uid", "UID", 6, "User ID", with("print-uid")),
    col<&Row::task, &task_info::comm>("comm", "COMM", 16, "Command name of the thread"),
    col<&Row::task, &task_info::pid>("pid", "PID", 7, "Process ID", without("tid")),
    col<&Row::task, &task_info::tid>("tid", "TID", 7, "Thread ID", with("tid")),
    col<[](const Row& r) -> Value {
        return Fixed{r.event.ns / 1000, 3};
    }>("lat_ms", "LAT(ms)", -9, "Time that the reclaim took, in milliseconds")
        .from<fixed(field<&drsnoop_event::ns> / 1000, 3)>(),
    col<kEvent<&drsnoop_event::ns>>("lat_ns", "LAT(ns)", -12, "The same in nanoseconds", kJsonOnly)
        .from<field<&drsnoop_event::ns>>(),
    col<kEvent<&drsnoop_event::pages>>("pages", "PAGES", -6, "Pages that were reclaimed")
        .from<field<&drsnoop_event::pages>>(),
    col<[](const Row& r) -> Value {
        return r.event.free == DRSNOOP_FREE_UNKNOWN ? Value(Absent{}) : Value(r.event.free / kKiB);
    }>("free_kib", "FREE(KB)", -9, "Free memory before it, in KiB", with("extended"))
        .as(ColumnType::natural)
        .from<present(kFree != std::int64_t(DRSNOOP_FREE_UNKNOWN), kFree / 1024)>(),
    col<kEvent<&drsnoop_event::order>>("order", "ORDER", -5, "2^ORDER pages were requested")
        .from<field<&drsnoop_event::order>>(),
    col<[](const Row& r) { return Trusted{kKinds[r.event.kind]}; }>(
        "kind", "KIND", 6, "direct, cgroup or node", with("cgroups|nodes"))
        .from_names<field<&drsnoop_event::kind>, kKinds>(),
    col<kEvent<&drsnoop_event::cgroup>>("cgroup_id", "CGROUP", 10, "cgroup (v2) of the process",
                                        kJsonOnly)
        .from<field<&drsnoop_event::cgroup>>(),
    col<[](const Row& r) { return Trusted{r.gfp}; }>("gfp", "GFP", 0, "Flags of the allocation"),
    col<[](const Row& r) { return r.stacks.kernel(); }>("kernel_stack", "KERNEL", 0,
                                                        "Kernel functions, leaf first", kJsonOnly)
        .as(ColumnType::list),
    col<[](const Row& r) { return r.stacks.user(); }>("user_stack", "USER", 0,
                                                      "User functions, leaf first", kJsonOnly)
        .as(ColumnType::list),
};

constexpr Need kNeeds[] = {
    {.what = "direct reclaim",
     .rungs = {rung<&P::dr_begin_btf, &P::dr_end_btf>("tp_btf"),
               rung<&P::dr_begin_raw, &P::dr_end_raw>("raw_tp")}},
    {.what = "reclaim at the limits of cgroups",
     .rungs = {rung<&P::cg_begin_btf, &P::cg_end_btf>("tp_btf"),
               rung<&P::cg_begin_raw, &P::cg_end_raw>("raw_tp")},
     .option = "cgroups"},
    {.what = "reclaim of single nodes",
     .rungs = {rung<&P::node_begin_btf, &P::node_end_btf>("tp_btf"),
               rung<&P::node_begin_raw, &P::node_end_raw>("raw_tp")},
     .option = "nodes"},
};

bool decode(Row& row, const Options& o, const void* record, std::size_t size)
{
    constexpr std::size_t kHead = offsetof(drsnoop_event, stacks);
    std::memcpy(&row.event, record, kHead);
    row.task = row.event.task;
    if (c_str(row.task.comm).find(o.name) == std::string_view::npos)
        return false;
    row.gfp = gfp_text(row.event.gfp);
    row.stacks.take({static_cast<const std::byte*>(record), size}, kHead, row.task.pid);
    return true;
}

constexpr Stream<drsnoop_bpf, Options, Row> kTool{
    .about = {.name = "drsnoop",
              .area = "memory",
              .summary = "Trace direct reclaim: allocations that wait for memory",
              .details = "Prints one line each time a task has to reclaim memory before it gets "
                         "some, with the time that this took.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .setup =
        [](drsnoop_bpf& s, Options& o, const Session&) {
            o.page_bytes = std::uint32_t(::sysconf(_SC_PAGESIZE));
            prepare_event_stacks({o.kernel_stack, o.user_stack, 0}, s.rodata->cb_event_stacks);
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
