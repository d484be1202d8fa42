// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "kvmexit.h"
#include "kvm_reasons.hpp"
#include "shape/table.hpp"
#include <map>
#include <optional>
#include <tuple>

#include "kvmexit.skel.h"

namespace
{

using namespace corebox;
using Progs = decltype(kvmexit_bpf::progs);

struct Options : kvmexit_config {
    std::vector<std::uint32_t> tids;
    bool all_tids = false;
    std::uint32_t parallelism = 0;
    bool per_thread = true; // as opposed to: all of them together
};

struct Row {
    std::uint64_t time_ns = 0;
    std::optional<std::uint32_t> pid, tid, vcpu; // none where several are in one row
    std::uint32_t code = 0;
    std::string reason;
    std::uint64_t count = 0;
};

constexpr Example kExamples[] = {
    {"kvmexit 5", "Count the exits of all virtual CPUs for five seconds"},
    {"kvmexit -p 3102 5", "Count the exits of one virtual machine"},
    {"kvmexit -p 3102 -a 5", "Count the exits of each of its threads"},
    {"kvmexit -p 3102 -v 0 --json 5", "Count the exits of its virtual CPU 0, as JSON"},
};

constexpr Option kOptions[] = {
    opt<&Options::tids>('T', "tids", "TID,...", "Trace only these threads, each on its own lines"),
    opt<&Options::vcpu>('v', "vcpu", "N", "Trace only this virtual CPU of process -p",
                        {0, 1 << 16}),
    flag<&Options::all_tids>('a', "alltids", "Show each thread of process -p separately"),
    opt<&Options::parallelism>('m', "max-parallelism", "N",
                               "Accept this option of BCC, which has no effect", {1, 1 << 16}),
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'t', "tid"}, {'d', "debug"}};

template <class T>
constexpr Value optional_value(const std::optional<T>& v)
{
    return v ? Value(*v) : Value(Absent{});
}

constexpr Column kColumns[] = {
    col<[](const Row& r) { return optional_value(r.pid); }>("pid", "PID", 8, "Process ID",
                                                            without("pid|tid|tids")),
    col<[](const Row& r) { return optional_value(r.tid); }>("tid", "TID", 8, "Thread ID",
                                                            without("pid|tid|tids")),
    col<[](const Row& r) { return optional_value(r.vcpu); }>(
        "vcpu", "VCPU", 5, "Number of the virtual CPU", kJsonOnly),
    col<[](const Row& r) { return Value(Trusted{r.reason}); }>(
        "reason", "KVM_EXIT_REASON", 33, "Reason for the exit from guest mode"),
    col<&Row::code>("reason_code", "CODE", -6, "Number of the reason, as the processor defines it",
                    kJsonOnly),
    col<&Row::count>("count", "COUNT", -8, "Number of exits"),
    col<[](const Row& r) { return WallTime{r.time_ns}; }>("time_ns", "TIME", 8, "End of the run",
                                                          kJsonOnly),
};

Obstacle no_kvm(const Facts& facts)
{
    if (facts.tracefs && facts.has(Facts::Name::tracepoint, "kvm/kvm_exit") == Answer::no)
        return {Cause::no_module, "kvm_intel or kvm_amd"};
    return {};
}

constexpr Need kNeeds[] = {
    {"exits of virtual machines", {rung<&Progs::kvm_exit>("tracepoint", {}, nullptr, no_kvm)}},
};

void prepare(Options& o, Session& session)
{
    const bool one = session.given("tid"), several = session.given("tids"),
               vcpu = session.given("vcpu");
    if (one + several + vcpu + o.all_tids > 1)
        fail_usage("--tid, --tids, --vcpu and --alltids exclude each other");
    if ((vcpu || o.all_tids) && session.pids.empty())
        fail_usage(
            cat("missing --pid PID of the virtual machine for --", vcpu ? "vcpu" : "alltids"));
    session.tids.insert(session.tids.end(), o.tids.begin(), o.tids.end());
    o.by_vcpu = vcpu;
    const bool whole = session.pids.empty() && session.tids.empty();
    o.per_thread =
        whole || several || o.all_tids || session.pids.size() > 1 || session.tids.size() > 1;
    // As BCC: what all rows have in common is not printed in each.
    if (session.columns.empty() && session.format == Format::text && !whole)
        session.columns = o.per_thread ? "tid,reason,count" : "reason,count";
}

void setup(kvmexit_bpf&, Options& o, const Session&)
{
    const std::string tracefs = tracefs_path();
    const auto format = read_file(cat(tracefs, "/events/kvm/kvm_exit/format"));
    const auto reason = field_offset(format.value_or(""), "exit_reason");
    const auto isa = field_offset(format.value_or(""), "isa");
    // No KVM: the ladder says so, in its own words.
    if (format && (!reason || !isa))
        fail("cannot read kvm:kvm_exit: it has no exit_reason on this architecture", 0);
    o.reason_at = reason.value_or(0);
    o.isa_at = isa.value_or(0);
    o.vcpu_at = field_offset(format.value_or(""), "vcpu_id").value_or(0);
    if (o.by_vcpu && format && !o.vcpu_at)
        fail("cannot identify virtual CPUs: kvm:kvm_exit has no vcpu_id on this kernel", 0);
}

void take(kvmexit_bpf& s, Options& o, __u32 generation, std::vector<Row>& rows)
{
    const Entries entries(s.maps.cb_top, generation);
    std::map<std::tuple<std::uint32_t, std::uint32_t>, Row> joined; // by thread and reason
    for (std::size_t i = 0; i < entries.size(); i++) {
        const auto& key = entries.key<kvmexit_key>(i);
        entries.values<kvmexit_count>(i, [&](const kvmexit_count& c) {
            const auto [at, made] = joined.try_emplace({o.per_thread ? key.tid : 0, key.reason});
            Row& row = at->second;
            if (made) {
                row.pid = c.pid;
                row.tid = key.tid;
                if (o.vcpu_at)
                    row.vcpu = key.vcpu;
                row.code = key.reason;
                row.reason = kvm_reason(KvmIsa(c.isa), key.reason);
            }
            const auto common = [](std::optional<std::uint32_t>& all, std::uint32_t one) {
                if (all && *all != one)
                    all.reset();
            };
            common(row.pid, c.pid);
            common(row.tid, key.tid);
            common(row.vcpu, key.vcpu);
            row.count += c.count;
        });
    }
    for (auto& [key, row] : joined)
        rows.push_back(std::move(row));
}

// Of an exit, for --where.
constexpr Column kFields[] = {
    event_field<field<&kvmexit_event::pid>>("pid", "Process ID"),
    event_field<field<&kvmexit_event::tid>>("tid", "Thread ID"),
    event_field<field<&kvmexit_event::comm>>("comm", "Command name of the thread"),
    event_field<field<&kvmexit_event::vcpu>>("vcpu", "Number of the virtual CPU"),
    event_field<field<&kvmexit_event::reason>>("reason_code", "Number of the reason")};

constexpr Table<kvmexit_bpf, Options, Row> kTool{
    .about = {.name = "kvmexit",
              .area = "cpu",
              .summary = "Count why virtual machines leave guest mode",
              .details = "Counts how often each virtual CPU leaves guest mode, by reason. Prints "
                         "the counts at the end of the run.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .fields = kFields,
    .prepare = prepare,
    .setup = setup,
    .take = take,
    .weight = [](const Row& r, const Options&) -> std::uint64_t { return r.count; },
    .events = [](const Row& r) -> std::uint64_t { return r.count; },
    .also = Shared::duration | Shared::every,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
