// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "oomkill.h"
#include "../gfp.hpp"
#include "base/path.hpp"
#include "output/cgroup_note.hpp"
#include "shape/event_stacks.hpp"
#include "shape/hidden_names.hpp"
#include "shape/stream.hpp"
#include <cstring>
#include <unistd.h>

#include "oomkill.skel.h"

namespace
{
using namespace corebox;
using P = decltype(oomkill_bpf::progs);

struct Options : oomkill_config {
    bool kernel_stack = false, user_stack = false;
};

struct Row {
    oomkill_event event{}; // without its stacks
    std::string cgroup, limit, gfp, load;
    EventStacks stacks;

    bool has_score() const { return event.chosen && event.points && event.pages; }
};

constexpr Example kExamples[] = {
    {"oomkill", "Trace the processes that the OOM killer kills"},
    {"oomkill -K", "Print also what the kernel was doing when memory ran out"},
    {"oomkill --where 'scope != \"cgroup\"'", "Trace only those of the whole machine"},
};

constexpr Option kOptions[] = {
    flag<&Options::kernel_stack>('K', "kernel-stack", "Print the kernel stack of the trigger"),
    flag<&Options::user_stack>('U', "user-stack", "Print the user stack of the trigger"),
};

constexpr Letter kLetters[] = {{'p', "pid"}};

constexpr std::string_view kScopes[] = {"host", "cpuset", "mempolicy", "cgroup"};
constexpr std::uint64_t kKiB = 1024;

template <auto Member>
constexpr auto kEvent = [](const Row& r) { return Value(r.event.*Member); };
template <auto Member>
constexpr auto kTrigger = [](const Row& r) { return Value(r.event.trigger.*Member); };
template <auto Member>
constexpr auto kKib = [](const Row& r) { return Value(r.event.*Member / kKiB); };

constexpr Formula kChosen = field<&oomkill_event::chosen>;
constexpr Formula kPoints = field<&oomkill_event::points>;
constexpr Formula kPages = field<&oomkill_event::pages>;
constexpr Formula kRss =
    field<&oomkill_event::anon> + field<&oomkill_event::file> + field<&oomkill_event::shmem>;

constexpr Column kColumns[] = {
    col<[](const Row& r) { return WallTime{r.event.trigger.time_ns}; }>("time_ns", "TIME", 8,
                                                                        "Time of the kill"),
    col<kTrigger<&task_info::pid>>("trigger_pid", "TPID", 7,
                                   "Process whose allocation found no memory")
        .from<field<&task_info::pid>>(),
    col<kTrigger<&task_info::tid>>("trigger_tid", "TTID", 7, "Its thread", kJsonOnly)
        .from<field<&task_info::tid>>(),
    col<kTrigger<&task_info::uid>>("trigger_uid", "TUID", 6, "Its user ID", kJsonOnly)
        .from<field<&task_info::uid>>(),
    col<kTrigger<&task_info::comm>>("trigger_comm", "TCOMM", 16, "Command name of the thread")
        .from<field<&task_info::comm>>(),
    col<kEvent<&oomkill_event::pid>>("pid", "PID", 7, "Process that is killed, the victim")
        .from<field<&oomkill_event::pid>>(),
    col<kEvent<&oomkill_event::uid>>("uid", "UID", 6, "User ID of the victim", kJsonOnly)
        .from<field<&oomkill_event::uid>>(),
    col<kEvent<&oomkill_event::comm>>("comm", "COMM", 16, "Command name of the victim")
        .from<field<&oomkill_event::comm>>(),
    col<kEvent<&oomkill_event::pages>>(
        "pages", "PAGES", -9, "Limit in pages: of the cgroup, or all memory and swap of the scope")
        .from<kPages>(),
    col<kKib<&oomkill_event::total_vm>>("total_vm_kib", "VM(KB)", -10,
                                        "Address space of the victim in KiB")
        .from<field<&oomkill_event::total_vm> / 1024>(),
    col<[](const Row& r) -> std::uint64_t {
        return (r.event.anon + r.event.file + r.event.shmem) / kKiB;
    }>("rss_kib", "RSS(KB)", -9, "Memory of the victim in KiB")
        .from<kRss / 1024>(),
    col<kKib<&oomkill_event::anon>>("anon_kib", "ANON(KB)", -9, "Anonymous part of it", kJsonOnly)
        .from<field<&oomkill_event::anon> / 1024>(),
    col<kKib<&oomkill_event::file>>("file_kib", "FILE(KB)", -9, "Part of it that maps files",
                                    kJsonOnly)
        .from<field<&oomkill_event::file> / 1024>(),
    col<kKib<&oomkill_event::shmem>>("shmem_kib", "SHMEM(KB)", -9, "Part of it that is shared",
                                     kJsonOnly)
        .from<field<&oomkill_event::shmem> / 1024>(),
    col<kKib<&oomkill_event::swap>>("swap_kib", "SWAP(KB)", -9, "Swap of the victim in KiB",
                                    kJsonOnly)
        .from<field<&oomkill_event::swap> / 1024>(),
    col<kKib<&oomkill_event::page_tables>>("page_tables_kib", "PGTABLES(KB)", -9,
                                           "Page tables of the victim in KiB", kJsonOnly)
        .from<field<&oomkill_event::page_tables> / 1024>(),
    col<kEvent<&oomkill_event::score_adj>>("oom_score_adj", "ADJ", -5,
                                           "oom_score_adj of the victim")
        .from<field<&oomkill_event::score_adj>>(),
    col<[](const Row& r) -> Value {
        return r.has_score() ? Value(r.event.points) : Value(Absent{});
    }>("points", "POINTS", -9, "Pages by which the kernel chose the victim", kJsonOnly)
        .as(ColumnType::integer)
        .from<present(kChosen&& kPoints != 0 && kPages != 0, kPoints)>(),
    col<[](const Row& r) -> Value {
        return r.has_score() ? Value(r.event.points * 1000 / std::int64_t(r.event.pages))
                             : Value(Absent{});
    }>("score", "SCORE", -5, "The same as thousandths of PAGES; -: the kernel did not choose")
        .as(ColumnType::integer),
    col<kEvent<&oomkill_event::chosen>>("chosen", "CHOSEN", 6,
                                        "false: killed because its whole cgroup is", kJsonOnly)
        .from<kChosen>(),
    col<kEvent<&oomkill_event::order>>("order", "ORDER", -5,
                                       "2^ORDER pages were requested; -1: by SysRq", kJsonOnly)
        .from<field<&oomkill_event::order>>(),
    col<[](const Row& r) { return Trusted{r.gfp}; }>("gfp", "GFP", 20, "Flags of the allocation",
                                                     kJsonOnly),
    col<[](const Row& r) -> Value {
        return r.event.scope < std::size(kScopes) ? Value(Trusted{kScopes[r.event.scope]})
                                                  : Value(Absent{});
    }>("scope", "SCOPE", 9, "What ran out of memory: host, cpuset, mempolicy or cgroup")
        .from_names<field<&oomkill_event::scope>, kScopes>(),
    col<[](const Row& r) { return Trusted{r.load}; }>("loadavg", "LOADAVG", 16,
                                                      "Load averages of 1, 5 and 15 minutes"),
    col<[](const Row& r) { return std::string_view(r.cgroup); }>("cgroup", "CGROUP", 24,
                                                                 "Memory cgroup of the victim"),
    col<[](const Row& r) -> Value {
        return r.event.scope == OOM_SCOPE_CGROUP ? Value(std::string_view(r.limit))
                                                 : Value(Absent{});
    }>("limit_cgroup", "LIMIT", 0, "Cgroup whose limit was reached")
        .as(ColumnType::text),
    col<[](const Row& r) { return r.stacks.kernel(); }>(
        "kernel_stack", "KERNEL", 0, "Kernel functions with -K, leaf first", kJsonOnly)
        .as(ColumnType::list),
    col<[](const Row& r) { return r.stacks.user(); }>(
        "user_stack", "USER", 0, "User functions with -U, leaf first", kJsonOnly)
        .as(ColumnType::list),
};

constexpr Need kNeeds[] = {
    {.what = "kills of the OOM killer",
     .rungs = {rung<&P::begin_fentry, &P::victim_fentry>("fentry"),
               rung<&P::begin_kprobe, &P::victim_kprobe>("kprobe"),
               rung<&P::chosen_kprobe>("chosen",
                                       "processes that are killed with all of their cgroup")}},
};

// The root's names are none.
std::string path_or_root(const cgroup_note& note)
{
    std::string path = noted_path(note);
    return path.empty() ? "/" : path;
}

bool decode(Row& row, const Options&, const void* record, std::size_t size)
{
    constexpr std::size_t kHead = offsetof(oomkill_event, stacks);
    std::memcpy(&row.event, record, kHead);
    row.cgroup = path_or_root(row.event.cgroup);
    row.limit = path_or_root(row.event.limit);
    row.gfp = gfp_text(row.event.gfp);
    const std::string load = read_file("/proc/loadavg").value_or("");
    std::size_t end = 0;
    for (int n = 0; n < 3 && end != std::string::npos; n++)
        end = load.find(' ', end + 1);
    row.load = load.substr(0, end);
    row.stacks.take({static_cast<const std::byte*>(record), size}, kHead, row.event.trigger.pid);
    return true;
}

constexpr Stream<oomkill_bpf, Options, Row> kTool{
    .about = {.name = "oomkill",
              .area = "memory",
              .summary = "Trace processes that the OOM killer kills",
              .details = "Prints one line for each process that the kernel kills because memory "
                         "ran out: of the host, or of a cgroup that reached its limit. T columns "
                         "are of the process whose allocation failed.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .setup =
        [](oomkill_bpf& s, Options& o, const Session&) {
            o.page_bytes = std::uint32_t(::sysconf(_SC_PAGESIZE));
            prepare_event_stacks({o.kernel_stack, o.user_stack, 0}, s.rodata->cb_event_stacks);
            // The trigger is often the victim: its names go with it.
            if (o.user_stack)
                s.rodata->cb_event.wakeup_bytes = 0;
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
