// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "syscount.h"
#include "base/difference.hpp"
#include "kernel/syscall_names.hpp"
#include "output/task_fields.hpp"
#include "session/cpus.hpp"
#include "shape/reports.hpp"
#include <algorithm>
#include <bpf/bpf.h>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>
#include <sys/mman.h>

#include "syscount.skel.h"

namespace
{

using namespace corebox;
using P = decltype(syscount_bpf::progs);

// "ENOENT" or 2.
struct ErrorNumber {
    std::int32_t code = 0;

    static std::string parse(std::string_view text, ErrorNumber& out)
    {
        constexpr std::int32_t kMax = 4095;
        out.code = to_number<std::int32_t>(text).value_or(0);
        for (std::int32_t code = 1; code <= 255 && out.code == 0; code++)
            if (errno_name(code) == text)
                out.code = code;
        return out.code > 0 && out.code <= kMax ? "" : "the name or number of an errno";
    }
};

struct CallName {
    std::optional<SyscallId> id;

    static std::string parse(std::string_view text, CallName& out)
    {
        out.id = find_syscall(text);
        return out.id ? "" : "the name of a system call (--list prints them) or its number";
    }
};

struct Options : syscount_config {
    std::uint32_t top = 10;
    ErrorNumber errno_wanted;
    CallName call;
    std::string columns; // of a text report
    bool latency = false, milliseconds = false, unfinished = false, list = false;
};

struct Row {
    std::uint64_t time_ns = 0; // end of the interval
    std::uint32_t slot = SYSCOUNT_ANY, pid = 0;
    std::string syscall, comm;
    syscount_sums sums{};
    std::uint64_t unfinished = 0, unfinished_ns = 0;
    bool by_process = false, timed = false;

    bool known() const { return slot < SYSCALL_SLOT_OTHER; }
};

constexpr Example kExamples[] = {
    {"syscount -i 1", "Print the ten most frequent system calls, every second"},
    {"syscount -P -L", "Print the processes that spend the most time in system calls"},
    {"syscount -x -p 181", "Count the failed system calls of process 181"},
    {"syscount -P --per-syscall -e ENOENT -- make",
     "Find which processes of a build look for missing files"},
};

constexpr Option kOptions[] = {
    opt<&Options::top>('T', "top", "N", "Print the N largest (default: 10; JSON, CSV: all)",
                       kPositive),
    flag<&Options::failed>('x', "failures", "Trace only failed calls"),
    opt<&Options::errno_wanted>('e', "errno", "ERRNO",
                                "Count only calls that fail with this errno"),
    opt<&Options::call>(0, "syscall", "NAME", "Count only this system call"),
    flag<&Options::latency>('L', "latency", "Measure the time in calls, and sort by it"),
    flag<&Options::milliseconds>('m', "milliseconds", "Show milliseconds"),
    flag<&Options::by_process>('P', "process", "Count by process instead of by system call"),
    flag<&Options::per_syscall>(0, "per-syscall", "Show each system call of a process, with -P"),
    flag<&Options::unfinished>(0, "unfinished", "Show calls that have not returned yet"),
    flag<&Options::list>('l', "list", "List the names of system calls, then exit"),
};

constexpr Letter kLetters[] = {
    {'p', "pid"}, {'t', "tid"}, {'c', "ppid"}, {'i', "interval"}, {'d', "duration"}};

constexpr Column kColumns[] = {
    col<[](const Row& r) { return WallTime{r.time_ns}; }>("time_ns", "TIME", 8,
                                                          "End of the interval", kJsonOnly),
    col<[](const Row& r) { return r.by_process ? Value(r.pid) : Value(); }>(
        "pid", "PID", 6, "Process ID", with("process")),
    col<[](const Row& r) { return r.by_process ? Value(std::string_view(r.comm)) : Value(); }>(
        "comm", "COMM", 15, "Command name of the process", with("process")),
    col<[](const Row& r) { return r.syscall.empty() ? Value() : Value(Trusted{r.syscall}); }>(
        "syscall", "SYSCALL", 22, "Name of the system call", without("process")),
    col<[](const Row& r) { return r.known() ? Value(r.slot % SYSCALLS_PER_ABI) : Value(); }>(
        "nr", "NR", 5, "Number of the system call", kJsonOnly),
    col<[](const Row& r) {
        const auto abi = r.known() ? abi_name(syscall_abi(r.slot / SYSCALLS_PER_ABI)) : "";
        return r.known() ? Value(Trusted{abi.empty() ? "native" : abi}) : Value();
    }>("abi", "ABI", 6, "Table of this number: native, i386, x32 or arm", kJsonOnly),
    col<[](const Row& r) { return r.sums.count; }>("count", "COUNT", -8, "Number of calls"),
    col<[](const Row& r) { return r.sums.failed; }>("failed", "FAILED", -8,
                                                    "Number of failed calls", kJsonOnly),
    col<[](const Row& r) {
        return r.timed ? Value(Fixed{r.sums.total_ns, 3}) : Value();
    }>("total_us", "TIME (us)", -16, "Total time of the calls in microseconds", with("latency")),
    col<[](const Row& r) {
        return r.timed ? Value(Fixed{r.sums.total_ns, 6}) : Value();
    }>("total_ms", "TIME (ms)", -16, "Total time of the calls in milliseconds",
       costly("milliseconds")),
    col<[](const Row& r) {
        return r.timed && r.sums.count ? Value(r.sums.total_ns / r.sums.count) : Value();
    }>("avg_ns", "AVG (ns)", -12, "Average time of a call", kJsonOnly),
    col<[](const Row& r) { return r.timed && !r.by_process ? Value(r.sums.max_ns) : Value(); }>(
        "max_ns", "MAX (ns)", -12, "Time of the longest call; not with -P", kJsonOnly),
    col<[](const Row& r) { return r.timed ? Value(r.unfinished) : Value(); }>(
        "unfinished", "UNFINISHED", -10, "Calls that have not returned yet, not included in COUNT",
        with("unfinished")),
    col<[](const Row& r) { return r.timed ? Value(r.unfinished_ns) : Value(); }>(
        "unfinished_ns", "SINCE (ns)", -16, "Time since these calls began, summed", kJsonOnly),
};

constexpr Column kFields[] = {
    event_field<field<&syscount_event::ret>>("ret", "Return value: negative for an errno"),
    task_field::microseconds("lat_us", "Duration in microseconds, with -L"),
    task_field::nanoseconds("lat_ns", "The same in nanoseconds"),
    task_field::pid,
    task_field::tid,
    task_field::comm,
    task_field::cpu};

constexpr Need kNeeds[] = {
    // First, so that it is the first to be detached: what was seen to begin is seen to end.
    {.what = "calls as they begin",
     .rungs = {rung<&P::btf_enter>("tp_btf"), rung<&P::raw_enter>("raw_tp")},
     .option = "latency|unfinished"},
    {.what = "calls as they return",
     .rungs = {rung<&P::btf_exit>("tp_btf"), rung<&P::raw_exit>("raw_tp")}},
    {.what = "calls of exit and exit_group",
     .rungs = {rung<&P::btf_end>("tp_btf"), rung<&P::raw_end>("raw_tp")}},
};

std::string slot_name(std::uint32_t slot)
{
    return slot == SYSCOUNT_ANY ? ""
           : slot >= SYSCALL_SLOT_OTHER
               ? "[other]"
               : syscall_name(syscall_abi(slot / SYSCALLS_PER_ABI), slot % SYSCALLS_PER_ABI);
}

[[noreturn]] void list_names()
{
    std::string text;
    for (const syscall_abi abi : {SYSCALL_NATIVE, SYSCALL_32BIT, SYSCALL_X32})
        for (const SyscallName& call : syscall_names(abi))
            text +=
                cat(padded_left(cat(call.number), 3), ": ", syscall_name(abi, call.number), "\n");
    std::exit(std::fputs(text.c_str(), stdout) >= 0 && std::fflush(stdout) == 0
                  ? int(Exit::complete)
                  : int(Exit::output));
}

void add(syscount_sums& to, const syscount_sums& from)
{
    to.count += from.count;
    to.failed += from.failed;
    to.total_ns += from.total_ns;
    to.max_ns = std::max(to.max_ns, from.max_ns);
}

class Report
{
public:
    using Row = ::Row;

    explicit Report(Reporting<syscount_bpf, Options>& r)
        : r_(r), generations_(r.skeleton.bss->cb_generation)
    {
        if (r.options.by_process)
            return;
        void* memory = ::mmap(nullptr, bytes(), PROT_READ | PROT_WRITE, MAP_SHARED,
                              bpf_map__fd(r.skeleton.maps.cb_syscalls), 0);
        if (memory == MAP_FAILED)
            fail("cannot map the counters", errno);
        sums_ = static_cast<syscount_sums*>(memory);
    }
    ~Report()
    {
        if (sums_)
            ::munmap(sums_, bytes());
    }
    Report(const Report&) = delete;
    Report& operator=(const Report&) = delete;

    void begin()
    {
        if (Output* const text = r_.text())
            text->text() += cat("Tracing ", r_.options.failed ? "failed " : "",
                                "syscalls, printing top ", r_.options.top, "... Ctrl+C to quit.\n");
        else
            r_.sink.header();
    }

    void report()
    {
        const __u32 generation = generations_.flip();
        const std::uint64_t now = monotonic_ns();
        std::map<Key, Row> rows;
        if (r_.options.by_process)
            read_processes(rows, generation);
        else
            read_syscalls(rows, generation);
        if (r_.options.timed)
            read_unfinished(rows, now);
        print(rows, now);
    }

private:
    using Key = std::pair<std::uint32_t, std::uint32_t>; // pid, slot

    std::size_t bytes() const
    {
        return 2 * std::size_t(r_.options.cpus) * SYSCALL_SLOTS * sizeof(syscount_sums);
    }

    void read_syscalls(std::map<Key, Row>& rows, __u32 generation)
    {
        const std::size_t half = std::size_t(r_.options.cpus) * SYSCALL_SLOTS;
        syscount_sums* const all = sums_ + generation * half;
        for (std::size_t i = 0; i < half; i++) {
            if (all[i].count == 0)
                continue;
            const std::uint32_t slot = i % SYSCALL_SLOTS;
            add(rows[{0, slot}].sums, all[i]);
            all[i] = {};
        }
    }

    void read_processes(std::map<Key, Row>& rows, __u32 generation)
    {
        const Entries entries(r_.skeleton.maps.cb_top, generation);
        for (std::size_t i = 0; i < entries.size(); i++) {
            const auto& key = entries.key<syscount_key>(i);
            Row& row = rows[{key.pid, key.slot}];
            entries.values<syscount_process>(i, [&](const syscount_process& process) {
                row.sums = process.sums;
                row.comm = c_str(process.comm);
            });
        }
    }

    // What the tasks are in now.
    void read_unfinished(std::map<Key, Row>& rows, std::uint64_t now)
    {
        const int fd = bpf_map__fd(r_.skeleton.maps.cb_calls);
        std::uint64_t task = 0, next;
        std::set<std::uint64_t> seen; // the walk begins again where its place was deleted
        for (bool first = true; bpf_map_get_next_key(fd, first ? nullptr : &task, &next) == 0;
             first = false) {
            task = next;
            syscount_call call;
            if (!seen.insert(task).second || bpf_map_lookup_elem(fd, &task, &call) != 0 ||
                call.start_ns == 0)
                continue;
            const Options& o = r_.options;
            const Key key{call.pid, o.by_process && !o.per_syscall ? SYSCOUNT_ANY : call.slot};
            // It is for --unfinished to make rows of them.
            if (!o.unfinished && !rows.contains(key))
                continue;
            Row& row = rows[key];
            if (o.by_process && row.comm.empty())
                row.comm = comm_of(call.pid);
            row.unfinished++;
            row.unfinished_ns += difference(now, call.start_ns);
        }
    }

    static std::string comm_of(std::uint32_t pid)
    {
        auto text = read_file(cat("/proc/", pid, "/comm"));
        if (text && text->ends_with('\n'))
            text->pop_back();
        return text.value_or("");
    }

    void print(std::map<Key, Row>& rows, std::uint64_t now)
    {
        std::vector<Row*> order;
        for (auto& [key, row] : rows) {
            row.time_ns = now;
            std::tie(row.pid, row.slot) = key;
            row.syscall = slot_name(row.slot);
            row.by_process = r_.options.by_process;
            row.timed = r_.options.timed;
            r_.account.printed += row.sums.count;
            order.push_back(&row);
        }
        // The map has brought equal ones into an order already.
        const auto weight = [&](const Row* row) {
            return r_.options.latency ? row->sums.total_ns : row->sums.count;
        };
        std::ranges::stable_sort(order, std::greater{}, weight);
        Output* const text = r_.text();
        if (text || r_.session.given("top"))
            order.resize(std::min<std::size_t>(order.size(), r_.options.top));
        if (text) {
            Clock& clock = text->clock();
            clock.synchronise();
            text->text() += cat("[", clock.time_of_day(clock.wall_ns(now)), "]\n");
            r_.sink.header();
        }
        for (const Row* row : order)
            r_.sink.row(row);
        if (text)
            text->text() += '\n';
    }

    Reporting<syscount_bpf, Options>& r_;
    Generations generations_;
    syscount_sums* sums_ = nullptr; // by generation, CPU and slot
};

// The columns of a text report. Which one has the time depends on two options, which tables of
// columns cannot say.
std::string text_columns(const Options& o)
{
    return cat(o.by_process ? "pid,comm," : "", !o.by_process || o.per_syscall ? "syscall," : "",
               "count",
               !o.latency       ? ""
               : o.milliseconds ? ",total_ms"
                                : ",total_us",
               o.unfinished ? ",unfinished" : "");
}

constexpr Reports<syscount_bpf, Options, Report, Shared::every> kTool{
    .about = {.name = "syscount",
              .area = "process",
              .summary = "Count system calls, and the time they take",
              .details = "Prints the counts by system call or by process, the largest first, at "
                         "the end or every interval with -i. A call is counted when it returns; "
                         "exit and exit_group when the task ends.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .fields = kFields,
    .prepare =
        [](Options& o, Session& session) {
            if (o.list)
                list_names();
            if (o.per_syscall && !o.by_process)
                fail_usage("--per-syscall requires -P");
            o.timed = o.latency || o.unfinished;
            o.error = o.errno_wanted.code;
            o.by_slot = o.call.id.has_value();
            if (o.by_slot)
                o.slot = SYSCALL_SLOT(o.call.id->abi, o.call.id->number);
            if (session.format == Format::text && session.columns.empty())
                session.columns = o.columns = text_columns(o);
        },
    .setup =
        [](syscount_bpf& s, Options& o, const Session&) {
            o.cpus = cpu_limit();
            bpf_map__set_max_entries(s.maps.cb_syscalls, 2 * o.cpus * SYSCALL_SLOTS);
            bpf_map__set_autocreate(s.maps.cb_syscalls, !o.by_process);
            bpf_map__set_autocreate(s.maps.cb_top, o.by_process);
            bpf_map__set_autocreate(s.maps.cb_calls, o.timed);
            if (!o.timed && !o.by_process && !o.by_slot && !o.failed && !o.error &&
                !s.rodata->cb_filter.any && !s.rodata->cb_where_on)
                s.progs.btf_exit = s.progs.plain_exit;
        },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
