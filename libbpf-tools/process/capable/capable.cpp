// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "capable.h"
#include "output/task_columns.hpp"
#include "shape/event_stacks.hpp"
#include "shape/hidden_names.hpp"
#include "shape/stream.hpp"
#include <algorithm>
#include <unordered_set>

#include "capable.skel.h"

namespace
{

using namespace corebox;
using P = decltype(capable_bpf::progs);

// By number; linux/capability.h.
constexpr std::string_view kNames[] = {
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
};

// A name with or without "CAP_", in any case, or a number.
std::string cap_bits(std::string_view text, std::uint64_t& bits)
{
    std::string name(text);
    std::ranges::transform(name, name.begin(),
                           [](char c) { return c >= 'a' && c <= 'z' ? char(c - 32) : c; });
    auto found = std::ranges::find(kNames, name);
    if (found == std::end(kNames))
        found = std::ranges::find(kNames, cat("CAP_", name));
    const auto number = found == std::end(kNames)
                            ? to_number<std::uint32_t>(text)
                            : std::optional<std::uint32_t>(found - std::begin(kNames));
    if (!number || *number > 63)
        return "the name or number of a capability";
    bits |= 1ull << *number;
    return {};
}

// "sys_admin,CAP_CHOWN"; given again, it adds.
struct Caps {
    std::uint64_t bits = 0;

    static std::string parse(std::string_view text, Caps& out)
    {
        std::string must_be = text.empty() ? "the name of a capability" : "";
        for (const std::string_view name : split(text, ','))
            if (must_be.empty())
                must_be = cap_bits(name, out.bits);
        return must_be;
    }
};

struct Options : capable_config {
    bool kernel_stack = false, user_stack = false;
    std::uint32_t depth = 0, storage = 0;
    Caps wanted;
    bool unique = false;
    enum UniqueBy { by_pid, by_cgroup } unique_by = by_pid;
};

struct Row {
    const capable_event* event = nullptr;
    EventStacks stacks;
    std::unordered_set<std::string> shown; // with --unique; emptied when it has so many
    static constexpr std::size_t kMostShown = 1 << 16;

    bool opts_known() const { return event->opts != CAP_OPTS_UNKNOWN; }
    Value opt(bool set) const { return opts_known() ? Value(set ? 1 : 0) : Value(Absent{"?"}); }
};

constexpr Example kExamples[] = {
    {"capable", "Trace which processes use which capabilities"},
    {"capable --deny", "Trace only denied checks, to find why something fails"},
    {"capable --unique -- nginx", "List the capabilities that a service needs, each once"},
    {"capable -K -U --cap sys_admin", "Show the code that causes checks of CAP_SYS_ADMIN"},
};

constexpr Option kOptions[] = {
    flag<&Options::all>('v', "non-audit", "Include checks that are not audited"),
    flag<&Options::deny>(0, "deny", "Trace only denied checks"),
    opt<&Options::wanted>(0, "cap", "NAME,...", "Trace only these capabilities"),
    flag<&Options::kernel_stack>('K', "kernel-stack", "Print the kernel stack of each check"),
    flag<&Options::user_stack>('U', "user-stack", "Print the user stack of each check"),
    show('x', "extra", "Print thread ID, and if a set*id call caused it", "extra-fields"),
    flag<&Options::unique>(0, "unique", "Print only the first of identical checks"),
    choice<&Options::unique_by>('u', "unique-by", "pid|cgroup",
                                "Print only the first for each process or cgroup"),
    opt<&Options::depth>(0, "perf-max-stack-depth", "FRAMES",
                         "Limit the frames of a stack (default: 127)", {1, EVENT_STACK_DEPTH}),
    opt<&Options::storage>(0, "stack-storage-size", "STACKS",
                           "Accept this option of BCC, which has no effect", {1, 1 << 22}),
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'t', "tid"}, {'c', "cgroup"}};

template <auto Member>
constexpr auto kTask = [](const Row& r) { return Value(r.event->task.*Member); };

constexpr Formula kCap = field<&capable_event::cap>;
constexpr Formula kOpts = field<&capable_event::opts>;
constexpr Formula kOptsKnown = kOpts != std::int64_t(CAP_OPTS_UNKNOWN);

constexpr std::string_view kVerdicts[] = {"allow", "deny"};

constexpr Column kColumns[] = {
    col<[](const Row& r) { return WallTime{r.event->task.time_ns}; }>("time_ns", "TIME", 9,
                                                                      "Time of the check"),
    col<kTask<&task_info::uid>>("uid", "UID", 6, "User ID").from<field<&task_info::uid>>(),
    col<kTask<&task_info::pid>>("pid", "PID", 6, "Process ID").from<field<&task_info::pid>>(),
    col<kTask<&task_info::tid>>("tid", "TID", 6, "Thread ID", with("extra"))
        .from<field<&task_info::tid>>(),
    col<[](const Row& r) { return Value(r.event->task.comm); }>("comm", "COMM", 16,
                                                                "Command name of the thread")
        .from<field<&task_info::comm>>(),
    col<[](const Row& r) { return r.event->cap; }>("cap", "CAP", 4, "Number of the capability")
        .from<kCap>(),
    col<[](const Row& r) {
        const auto cap = std::uint32_t(r.event->cap);
        return cap < std::size(kNames) ? Value(Trusted{kNames[cap]}) : Value(Absent{"?"});
    }>("name", "NAME", 20, "Name of the capability")
        .from_names<kCap, kNames>(),
    col<[](const Row& r) { return r.opt(!(r.event->opts & CAP_OPT_NOAUDIT)); }>(
        "audit", "AUDIT", 6, "1 if the check goes to the audit log, ? if not known")
        .from<present(kOptsKnown, !(kOpts & CAP_OPT_NOAUDIT))>(),
    col<[](const Row& r) { return Trusted{kVerdicts[r.event->ret != 0]}; }>("verdict", "VERDICT", 7,
                                                                            "allow or deny")
        .from_names<field<&capable_event::ret> != 0, kVerdicts>(),
    col<[](const Row& r) { return r.opt(r.event->opts & CAP_OPT_INSETID); }>(
        "insetid", "INSETID", 7, "1 if a set*id call causes the check", with("extra"))
        .from<present(kOptsKnown, (kOpts & CAP_OPT_INSETID) != 0)>(),
    col<[](const Row& r) { return r.event->user_ns; }>(
        "user_ns", "USERNS", 10, "User namespace of the check (inode number)", kJsonOnly)
        .from<field<&capable_event::user_ns>>(),
    col<[](const Row& r) { return r.event->cgroup; }>("cgroup_id", "CGROUP", 10,
                                                      "cgroup (v2) of the process", kJsonOnly)
        .from<field<&capable_event::cgroup>>(),
    col<[](const Row& r) { return r.stacks.kernel(); }>(
        "kernel_stack", "KERNEL", 0, "Kernel functions with -K, leaf first", kJsonOnly)
        .as(ColumnType::list),
    col<[](const Row& r) { return r.stacks.user(); }>(
        "user_stack", "USER", 0, "User functions with -U, leaf first", kJsonOnly)
        .as(ColumnType::list),
};

constexpr Need kNeeds[] = {
    {.what = "checks of capabilities and their results",
     .rungs = {rung<&P::check_fexit>("fexit"),
               // The one that is attached last runs first: while the kprobe takes the stack, the
               // kretprobe has not yet put itself in the place of the caller.
               rung<&P::check_kretprobe, &P::check_kprobe>("kprobe"),
               rung<&P::check_tp>("tp_btf", "whether a check is audited, so that all are shown")}},
};

// What makes two checks one.
std::string likeness(const Row& row, const Options& o)
{
    const capable_event& e = *row.event;
    std::string key;
    const auto add = [&](const auto& value) {
        key.append(reinterpret_cast<const char*>(&value), sizeof value);
    };
    if (o.unique_by == Options::by_cgroup) {
        add(e.cgroup);
    } else {
        add(e.task.pid);
        key.append(e.task.comm, sizeof e.task.comm);
    }
    add(e.task.uid);
    add(e.cap);
    add(e.opts);
    add(e.ret);
    add(e.user_ns);
    for (const std::uint64_t address : row.stacks.addresses())
        add(address);
    return key;
}

bool decode(Row& row, const Options& o, const void* record, std::size_t size)
{
    row.event = static_cast<const capable_event*>(record);
    row.stacks.take({static_cast<const std::byte*>(record), size}, offsetof(capable_event, stacks),
                    row.event->task.pid);
    if (row.shown.size() >= Row::kMostShown)
        row.shown.clear();
    return !o.unique || row.shown.insert(likeness(row, o)).second;
}

bool mirror(Output& output, const void* row, const Session& session)
{
    const auto& o = session.options_as<Options>();
    if (session.format != Format::text || (!o.kernel_stack && !o.user_stack))
        return false;
    if (!row) {
        output.header();
        return true;
    }
    output.row(row);
    static_cast<const Row*>(row)->stacks.append(output.text());
    return true;
}

constexpr Stream<capable_bpf, Options, Row> kTool{
    .about = {.name = "capable",
              .area = "process",
              .summary = "Trace checks of capabilities",
              .details =
                  "Prints a line each time the kernel checks whether a task has a capability, with "
                  "the result. Checks that are not audited appear only with -v: the kernel makes "
                  "them to choose between two ways. --unique compares process, capability, result "
                  "and stacks; --unique-by also sets what it compares.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .setup =
        [](capable_bpf& s, Options& o, const Session& session) {
            o.caps = o.wanted.bits;
            o.unique = o.unique || session.given("unique-by");
            prepare_event_stacks({o.kernel_stack, o.user_stack, o.depth},
                                 s.rodata->cb_event_stacks);
            // A process may end soon, and take the names of its functions with it.
            if (o.user_stack)
                s.rodata->cb_event.wakeup_bytes = 0;
        },
    .resolved =
        [](capable_bpf& s, const Launcher& launcher) {
            bpf_map__set_autocreate(s.maps.entry_stacks, s.rodata->cb_event_stacks.kernel &&
                                                             launcher.loads(s.progs.check_kprobe));
        },
    .decode = decode,
    .mirror = mirror,
    .also = Shared::symbols,
    .attached =
        [](const Options& o, const Session& session) {
            if (o.kernel_stack)
                say_hidden_names(session);
        },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
