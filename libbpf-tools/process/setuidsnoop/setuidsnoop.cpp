// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "setuidsnoop.h"
#include "shape/stream.hpp"
#include <algorithm>
#include <array>

#include "setuidsnoop.skel.h"

namespace
{
using namespace corebox;
using P = decltype(setuidsnoop_bpf::progs);

using Options = id_config;

struct Row {
    id_event event{};
    std::string request, was, is;

    bool of_groups() const { return event.call == CALL_SETGROUPS; }
    bool of_group() const
    {
        return event.call == CALL_EXEC ? event.requested[0] == EXEC_GROUP
                                       : event.call >= CALL_SETGID;
    }
    const id_set& of(const identity& who) const { return of_group() ? who.group : who.user; }
};

constexpr Example kExamples[] = {
    {"setuidsnoop", "Trace changes of user and group IDs, and failed attempts"},
    {"setuidsnoop -x", "Trace only failed attempts"},
    {"setuidsnoop --json -- su user -c true", "Trace what su does, as JSON"},
};

// The name of BCC's example.
constexpr Alias kAliases[] = {
    {"setuid_monitor", {}, "Trace changes of user and group IDs"},
};

constexpr Option kOptions[] = {
    flag<&Options::failed>('x', "failed", "Trace only failed calls"),
};

constexpr Letter kLetters[] = {{'p', "pid"}};

struct Call {
    std::string_view name;
    unsigned arguments;
};
constexpr Call kCalls[] = {{"setuid", 1},    {"setreuid", 2}, {"setresuid", 3}, {"setfsuid", 1},
                           {"setgid", 1},    {"setregid", 2}, {"setresgid", 3}, {"setfsgid", 1},
                           {"setgroups", 0}, {"execve", 0}};

// The ids before (Now: after) that the call is about; setgroups is about none of them.
template <bool Now, auto Member>
constexpr auto kId = [](const Row& r) -> Value {
    if (r.of_groups())
        return {};
    return r.of(Now ? r.event.now : r.event.old).*Member;
};

// setfsuid and setfsgid return the ID before, and never an error.
bool gives_old_id(const Row& r)
{
    return r.event.call == CALL_SETFSUID || r.event.call == CALL_SETFSGID;
}

constexpr Formula kCall = field<&id_event::call>;
constexpr Formula kRet = field<&id_event::ret>;
constexpr Formula kOfGroup = select(
    kCall == CALL_EXEC, element<&id_event::requested, 0> == EXEC_GROUP, !(kCall < CALL_SETGID));

template <auto Who, auto Member>
constexpr Formula kIdField = present(kCall != CALL_SETGROUPS,
                                     select(kOfGroup, field<Who, &identity::group, Member>,
                                            field<Who, &identity::user, Member>));

constexpr auto kNames = [] {
    std::array<std::string_view, std::size(kCalls)> names;
    for (std::size_t i = 0; i < names.size(); i++)
        names[i] = kCalls[i].name;
    return names;
}();

constexpr Column kColumns[] = {
    col<[](const Row& r) {
        return SinceFirst{r.event.task.time_ns, 3};
    }>("since_s", "TIME(s)", 9, "Seconds since the first event"),
    col<[](const Row& r) { return WallTime{r.event.task.time_ns}; }>(
        "time_ns", "TIME", 8, "Time when the call returned", kJsonOnly),
    col<[](const Row& r) -> Value { return r.event.task.comm; }>(
        "comm", "COMM", 16, "Command name; for an exec, of the new program")
        .from<field<&task_info::comm>>(),
    col<[](const Row& r) { return r.event.task.pid; }>("pid", "PID", 7, "Process ID")
        .from<field<&task_info::pid>>(),
    col<[](const Row& r) { return r.event.task.tid; }>("tid", "TID", 7, "Thread ID", kJsonOnly)
        .from<field<&task_info::tid>>(),
    col<[](const Row& r) { return r.event.old.user.real; }>("uid", "UID", 7,
                                                            "Real user ID before the call")
        .from<field<&id_event::old, &identity::user, &id_set::real>>(),
    col<[](const Row& r) { return Trusted{kCalls[r.event.call].name}; }>("call", "CALL", 9,
                                                                         "System call")
        .from_names<kCall, kNames>(),
    col<[](const Row& r) -> Value { return Trusted{r.request}; }>(
        "requested", "REQUEST", 17, "Arguments of the call; -1 means no change")
        .as(ColumnType::text),
    col<[](const Row& r) {
        return gives_old_id(r) ? Value(std::uint32_t(r.event.ret)) : Value(r.event.ret);
    }>("ret", "RET", 5, "Return value: 0 or the negative errno; for setfsuid the old ID")
        .from<select(kCall == CALL_SETFSUID || kCall == CALL_SETFSGID, kRet & 0xffffffff, kRet)>(),
    col<[](const Row& r) { return Errno{!gives_old_id(r) && r.event.ret < 0 ? -r.event.ret : 0}; }>(
        "error", "ERROR", 8, "Name of the errno", kJsonOnly),
    col<[](const Row& r) { return r.event.failed != 0; }>("failed", "FAILED", 6,
                                                          "Whether the call failed", kJsonOnly)
        .from<field<&id_event::failed> != 0>(),
    col<[](const Row& r) -> Value { return Trusted{r.was}; }>(
        "old", "OLD", 17,
        "IDs before: real, effective, saved, file system; one ID if all are equal")
        .as(ColumnType::text),
    col<[](const Row& r) -> Value { return Trusted{r.is}; }>("new", "NEW", 0,
                                                             "The same IDs after the call")
        .as(ColumnType::text),
    col<kId<false, &id_set::real>>("old_real", "OLD_R", 7, "Real ID before", kJsonOnly)
        .from<kIdField<&id_event::old, &id_set::real>>(),
    col<kId<false, &id_set::effective>>("old_effective", "OLD_E", 7, "Effective ID before",
                                        kJsonOnly)
        .from<kIdField<&id_event::old, &id_set::effective>>(),
    col<kId<false, &id_set::saved>>("old_saved", "OLD_S", 7, "Saved ID before", kJsonOnly)
        .from<kIdField<&id_event::old, &id_set::saved>>(),
    col<kId<false, &id_set::fs>>("old_fs", "OLD_F", 7, "File system ID before", kJsonOnly)
        .from<kIdField<&id_event::old, &id_set::fs>>(),
    col<kId<true, &id_set::real>>("new_real", "NEW_R", 7, "Real ID after", kJsonOnly)
        .from<kIdField<&id_event::now, &id_set::real>>(),
    col<kId<true, &id_set::effective>>("new_effective", "NEW_E", 7, "Effective ID after", kJsonOnly)
        .from<kIdField<&id_event::now, &id_set::effective>>(),
    col<kId<true, &id_set::saved>>("new_saved", "NEW_S", 7, "Saved ID after", kJsonOnly)
        .from<kIdField<&id_event::now, &id_set::saved>>(),
    col<kId<true, &id_set::fs>>("new_fs", "NEW_F", 7, "File system ID after", kJsonOnly)
        .from<kIdField<&id_event::now, &id_set::fs>>(),
    col<[](const Row& r) { return r.event.old.groups; }>(
        "old_groups", "OLD_GROUPS", 6, "Number of supplementary groups before", kJsonOnly)
        .from<field<&id_event::old, &identity::groups>>(),
    col<[](const Row& r) { return r.event.now.groups; }>(
        "new_groups", "NEW_GROUPS", 6, "Number of supplementary groups after", kJsonOnly)
        .from<field<&id_event::now, &identity::groups>>(),
};

constexpr std::string_view kForeign = "calls of 32-bit programs";

template <auto Fexit, auto Enter, auto Leave>
constexpr Need call(std::string_view what)
{
    return {.what = what,
            .rungs = {rung<&P::calls_session>("session"), rung<Fexit>("fexit"),
                      rung<Enter, Leave>("tracepoint", kForeign)}};
}

// First who a thread was: a call that is seen needs that.
constexpr Need kNeeds[] = {
    {.what = "changes of IDs",
     .rungs = {rung<&P::commit_fentry>("fentry"), rung<&P::commit_kprobe>("kprobe")}},
    call<&P::setuid_fexit, &P::setuid_enter, &P::setuid_leave>("setuid"),
    call<&P::setreuid_fexit, &P::setreuid_enter, &P::setreuid_leave>("setreuid"),
    call<&P::setresuid_fexit, &P::setresuid_enter, &P::setresuid_leave>("setresuid"),
    call<&P::setfsuid_fexit, &P::setfsuid_enter, &P::setfsuid_leave>("setfsuid"),
    call<&P::setgid_fexit, &P::setgid_enter, &P::setgid_leave>("setgid"),
    call<&P::setregid_fexit, &P::setregid_enter, &P::setregid_leave>("setregid"),
    call<&P::setresgid_fexit, &P::setresgid_enter, &P::setresgid_leave>("setresgid"),
    call<&P::setfsgid_fexit, &P::setfsgid_enter, &P::setfsgid_leave>("setfsgid"),
    {.what = "setgroups",
     .rungs = {rung<&P::calls_session>("session"), rung<&P::setgroups_fexit>("fexit"),
               rung<&P::setgroups_enter, &P::setgroups_leave>("tracepoint")}},
#ifdef __x86_64__ // elsewhere it is the same function
    // On 5.10 as with execveat (execsnoop). The older call, with 16-bit IDs, is seen by none.
    {.what = "setgroups of 32-bit programs",
     .rungs = {rung<&P::groups_fexit32>("fexit"),
               rung<&P::groups_kprobe, &P::groups_kret>("kprobe")},
     .optional = true,
     .without = "setgroups of 32-bit programs"},
#endif
    {.what = "programs that change IDs", .rungs = {rung<&P::exec_raw_tp>("raw_tp")}},
};

std::string text_of(const id_set& ids)
{
    if (ids.real == ids.effective && ids.real == ids.saved && ids.real == ids.fs)
        return cat(ids.real);
    return cat(ids.real, ",", ids.effective, ",", ids.saved, ",", ids.fs);
}

bool decode(Row& row, const Options&, const void* record, std::size_t size)
{
    row.event = {};
    std::memcpy(&row.event, record, std::min(size, sizeof row.event));
    const id_event& e = row.event;
    row.request.clear();
    // The kernel takes and means unsigned numbers, but for the one that leaves an id as it is.
    const auto list = [&](std::span<const __u32> numbers) {
        for (const __u32 number : numbers)
            row.request +=
                cat(row.request.empty() ? "" : ",", std::int64_t(number == ~0u ? -1ll : number));
    };
    list(std::span(e.requested).first(kCalls[e.call].arguments));
    if (row.of_groups()) {
        list(std::span(e.listed).first(std::min<std::size_t>(e.n_listed, ID_GROUPS)));
        if (e.requested[0] > e.n_listed)
            row.request += row.request.empty() ? cat(std::int32_t(e.requested[0]), "?") : ",...";
        row.was = cat("groups:", e.old.groups);
        row.is = cat("groups:", e.now.groups);
    } else {
        row.was = text_of(row.of(e.old));
        row.is = text_of(row.of(e.now));
    }
    if (row.request.empty())
        row.request = "-";
    return true;
}

constexpr Stream<setuidsnoop_bpf, Options, Row> kTool{
    .about = {.name = "setuidsnoop",
              .area = "process",
              .summary = "Trace changes of user and group IDs",
              .details = "Prints one line for each call of the setuid(2) family when it returns, "
                         "with the IDs before and after. An exec of a set-user-ID or set-group-ID "
                         "program that changes IDs is printed too.",
              .examples = kExamples,
              .aliases = kAliases},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .decode = decode,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
