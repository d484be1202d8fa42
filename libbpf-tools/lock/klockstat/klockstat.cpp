// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "klockstat.h"
#include "../address.hpp"
#include "../lock_names.hpp"
#include "output/escape.hpp"
#include "session/transport.hpp"
#include "shape/alike.hpp"
#include "shape/hidden_names.hpp"
#include "shape/reports.hpp"
#include "shape/stack_memo.hpp"
#include "shape/stacks.hpp"
#include <algorithm>
#include <optional>

#include "klockstat.skel.h"

namespace
{
using namespace corebox;
using P = decltype(klockstat_bpf::progs);

// -S: what the two tables are sorted by.
enum class By : std::uint8_t { max, total, count };
struct Order {
    By wait = By::max, hold = By::max;

    static std::string parse(std::string_view text, Order& order)
    {
        constexpr std::string_view kBy[] = {"max", "total", "count"};
        for (const std::string_view word : split(text, ',')) {
            const auto by =
                std::ranges::find(kBy, word.substr(std::min<std::size_t>(4, word.size())));
            if (by == std::end(kBy) || !(word.starts_with("acq_") || word.starts_with("hld_")))
                return "acq_max, acq_total or acq_count, and the same with hld_";
            (word[0] == 'a' ? order.wait : order.hold) = By(by - kBy);
        }
        return {};
    }
};

struct Options : StackOptions {
    std::string_view lock, caller;
    Order order;
    std::uint32_t locks = 0, frames = 1;
    std::uint64_t address = 0; // of `lock`
    bool by_lock = false, contention = false;
};

constexpr std::string_view kKinds[] = {"mutex",        "rwsem-read",  "rwsem-write",
                                       "rt-mutex",     "spin",        "rwlock-read",
                                       "rwlock-write", "percpu-read", "percpu-write"};

// The locks taken from one place, by one thread, or one lock.
struct Row {
    std::uint64_t time_ns = 0;
    const Frames* stack = &kNoFrames; // from the caller on
    std::uint32_t tid = 0, kind = 0;
    std::string lock{}; // with --by-lock
    klock_sum sum{};
    std::string longest_wait{}, longest_hold{}; // their locks

    std::string_view caller() const
    {
        return stack->names.empty() ? std::string_view() : stack->names[0];
    }
    std::uint64_t value(bool hold, By by) const
    {
        return by == By::count   ? sum.count
               : by == By::total ? (hold ? sum.hold_ns : sum.wait_ns)
                                 : (hold ? sum.hold : sum.wait).ns;
    }
};

constexpr Example kExamples[] = {
    {"klockstat", "Show where the kernel waits for mutexes and rwsems, and how long it holds them"},
    {"klockstat -d 10 -n 5 -s 3", "Trace ten seconds; show the five longest with three callers"},
    {"klockstat -L rtnl_mutex -S acq_total", "Trace one lock, the largest total wait first"},
    {"klockstat --contention -i 1", "Show waits for locks of every kind each second"},
    {"klockstat --by-lock -p 181", "Show which locks process 181 takes"},
};

constexpr Option kOptions[] = {
    opt<&Options::locks>('n', "locks", "ROWS", "Show only the first ROWS of each table",
                         {1, 1 << 20}),
    opt<&Options::frames>('s', "stacks", "FRAMES", "Show this many callers (default: 1)", {1, 127}),
    opt<&Options::caller>('c', "caller", "PREFIX", "Show only callers that begin with PREFIX"),
    opt<&Options::lock>('L', "lock", "LOCK", "Trace only this lock: a variable or an address"),
    opt<&Options::order>('S', "sort", "FIELD,...",
                         "Sort by acq_max, acq_total, acq_count, hld_..."),
    flag<&StackOptions::threads>('P', "per-thread", "Show each thread instead of each caller"),
    flag<&Options::by_lock>(0, "by-lock", "Show each lock instead of each caller"),
    flag<&Options::contention>('C', "contention", "Trace only waits, for locks of every kind"),
    show('R', "reset", "Accept this option, which is always in effect"),
    show('T', "timestamp", "Print the time above each report"),
    stack_option::storage,
    opt<&StackOptions::hash_storage>(0, "hash-storage-size", "KEYS",
                                     "Limit the number of table rows (default: 16384)",
                                     {1, 1 << 20}),
    stack_option::depth,
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'t', "tid"}, {'i', "interval"}, {'d', "duration"}};

std::uint64_t average(std::uint64_t total, const Row& r)
{
    return r.sum.count ? total / r.sum.count : 0;
}
Value held(const Row& r, Value value) { return r.sum.hold.lock ? value : Value(Absent{}); }
Value text_or_absent(std::string_view text) { return text.empty() ? Value(Absent{}) : Value(text); }

constexpr Column kColumns[] = {
    col<[](const Row& r) { return WallTime{r.time_ns}; }>("time_ns", "TIME", 8, "End of the report",
                                                          with("timestamp")),
    col<[](const Row& r) { return text_or_absent(r.caller()); }>("caller", "CALLER", 32,
                                                                 "Function that took the lock")
        .as(ColumnType::text),
    col<[](const Row& r) { return r.tid ? Value(r.tid) : Absent{}; }>("tid", "TID", 7, "Thread ID",
                                                                      with("per-thread")),
    col<[](const Row& r) -> Value {
        return r.tid ? Value(std::string_view(c_str(r.sum.wait.comm))) : Absent{};
    }>("comm", "COMM", 16, "Command name of the thread", with("per-thread"))
        .as(ColumnType::text),
    col<[](const Row& r) { return text_or_absent(r.lock); }>("lock", "LOCK", 24, "Lock",
                                                             with("by-lock"))
        .as(ColumnType::text),
    col<[](const Row& r) { return Trusted{kKinds[r.kind]}; }>("kind", "KIND", 12, "Kind of lock"),
    col<[](const Row& r) { return r.sum.count; }>("count", "COUNT", -8, "Number of locks taken"),
    col<[](const Row& r) { return average(r.sum.wait_ns, r); }>("wait_avg_ns", "AVG-WAIT", -10,
                                                                "Average wait in nanoseconds"),
    col<[](const Row& r) { return r.sum.wait.ns; }>("wait_max_ns", "MAX-WAIT", -10, "Longest wait"),
    col<[](const Row& r) { return r.sum.wait_ns; }>("wait_ns", "TOTAL-WAIT", -12, "All waits"),
    col<[](const Row& r) { return held(r, average(r.sum.hold_ns, r)); }>(
        "hold_avg_ns", "AVG-HOLD", -10, "Average time that the lock was held"),
    col<[](const Row& r) { return held(r, r.sum.hold.ns); }>("hold_max_ns", "MAX-HOLD", -10,
                                                             "Longest time"),
    col<[](const Row& r) { return held(r, r.sum.hold_ns); }>("hold_ns", "TOTAL-HOLD", -12,
                                                             "All of these times"),
    col<[](const Row& r) { return Value(std::string_view(r.longest_wait)); }>(
        "wait_max_lock", "WAIT-LOCK", 20, "Lock of the longest wait", kJsonOnly)
        .as(ColumnType::text),
    col<[](const Row& r) { return r.sum.wait.pid; }>("wait_max_pid", "WAIT-PID", 8,
                                                     "Process that waited longest", kJsonOnly),
    col<[](const Row& r) -> Value { return std::string_view(c_str(r.sum.wait.comm)); }>(
        "wait_max_comm", "WAIT-COMM", 16, "Command name of the thread that waited longest",
        kJsonOnly)
        .as(ColumnType::text),
    col<[](const Row& r) { return held(r, std::string_view(r.longest_hold)); }>(
        "hold_max_lock", "HOLD-LOCK", 20, "Lock that was held longest", kJsonOnly)
        .as(ColumnType::text),
    col<[](const Row& r) { return held(r, r.sum.hold.pid); }>(
        "hold_max_pid", "HOLD-PID", 8, "Process that held it longest", kJsonOnly),
    col<[](const Row& r) { return held(r, std::string_view(c_str(r.sum.hold.comm))); }>(
        "hold_max_comm", "HOLD-COMM", 16, "Command name of the thread that held it longest",
        kJsonOnly)
        .as(ColumnType::text),
    col<[](const Row& r) { return StackRow::names(*r.stack); }>(
        "stack", "STACK", 0, "Callers, the innermost first", kJsonOnly),
};

using E = klock_event;
constexpr Column kFields[] = {
    event_field<field<&E::wait_ns> / 1000>("wait_us", "Wait for the lock in microseconds"),
    event_field<field<&E::wait_ns>>("wait_ns", "The same in nanoseconds"),
    event_field<field<&E::hold_ns> / 1000>("hold_us", "Time that it was held in microseconds"),
    event_field<field<&E::hold_ns>>("hold_ns", "The same in nanoseconds"),
    event_field<field<&E::lock>>("lock", "Address of the lock"),
    event_field<field<&E::pid>>("pid", "Process ID"),
    event_field<field<&E::tid>>("tid", "Thread ID"),
    event_field<field<&E::comm>>("comm", "Command name of the thread"),
    event_field_of_names<field<&E::kind>, kKinds>("kind", "Kind of lock"),
};

constexpr std::string_view kFunctions = "!contention";
// Of two kprobes the one that was attached last runs first: a kretprobe that runs before would have
// put its own address on the stack, at which 5.10 stops to unwind.

constexpr Need kNeeds[] = {
    {.what = "mutexes",
     .rungs = {rung<&P::m_lock_fentry, &P::m_lock_fexit, &P::m_int_fentry, &P::m_int_fexit,
                    &P::m_kill_fentry, &P::m_kill_fexit, &P::m_try_fexit, &P::m_unlock_fentry>(
                   "fexit"),
               rung<&P::m_lock_kret, &P::m_lock_kprobe, &P::m_int_kret, &P::m_int_kprobe,
                    &P::m_kill_kret, &P::m_kill_kprobe, &P::m_unlock_kprobe>("kprobe",
                                                                             "mutex_trylock()")},
     .option = kFunctions},
    {.what = "mutexes of tasks that wait for I/O",
     .rungs = {rung<&P::m_io_fentry, &P::m_io_fexit>("fexit"),
               rung<&P::m_io_kret, &P::m_io_kprobe>("kprobe")},
     .option = kFunctions,
     .optional = true,
     .without = "mutex_lock_io()"},
    {.what = "rwsems that are read",
     .rungs = {rung<&P::r_lock_fentry, &P::r_lock_fexit, &P::r_int_fentry, &P::r_int_fexit,
                    &P::r_kill_fentry, &P::r_kill_fexit, &P::r_try_fexit, &P::r_unlock_fentry>(
                   "fexit"),
               rung<&P::r_lock_kret, &P::r_lock_kprobe, &P::r_kill_kret, &P::r_kill_kprobe,
                    &P::r_try_kret, &P::r_try_kprobe, &P::r_unlock_kprobe>(
                   "kprobe", "down_read_interruptible()")},
     .option = kFunctions},
    {.what = "rwsems that are written",
     .rungs = {rung<&P::w_lock_fentry, &P::w_lock_fexit, &P::w_kill_fentry, &P::w_kill_fexit,
                    &P::w_try_fexit, &P::w_unlock_fentry, &P::demote_fentry>("fexit"),
               rung<&P::w_lock_kret, &P::w_lock_kprobe, &P::w_kill_kret, &P::w_kill_kprobe,
                    &P::w_try_kret, &P::w_try_kprobe, &P::w_unlock_kprobe, &P::demote_kprobe>(
                   "kprobe")},
     .option = kFunctions},
    {.what = "mutexes with priority inheritance",
     .rungs = {rung<&P::rt_lock_fentry, &P::rt_lock_fexit, &P::rt_int_fentry, &P::rt_int_fexit,
                    &P::rt_try_fexit, &P::rt_done_fentry>("fexit"),
               rung<&P::rt_lock_kret, &P::rt_lock_kprobe, &P::rt_int_kret, &P::rt_int_kprobe,
                    &P::rt_try_kret, &P::rt_try_kprobe, &P::rt_done_kprobe>("kprobe")},
     .option = kFunctions,
     .optional = true,
     .without = "rt_mutex_lock()"},
    {.what = "locks that tasks wait for",
     .rungs = {rung<&P::begin_tp_btf, &P::end_tp_btf>("tp_btf"),
               rung<&P::begin_raw_tp, &P::end_raw_tp>("raw_tp")},
     .option = "contention"},
    {.what = "tasks that end", .rungs = {rung<&P::task_free>("raw_tp")}},
};

// BCC's: "1.2 us".
std::string scaled(std::uint64_t ns)
{
    constexpr struct {
        std::uint64_t ns;
        std::string_view name;
    } kUnits[] = {{3'600'000'000'000, "h"},
                  {60'000'000'000, "m"},
                  {1'000'000'000, "s"},
                  {1'000'000, "ms"},
                  {1'000, "us"}};
    for (const auto& unit : kUnits)
        if (ns >= unit.ns)
            return cat(ns / unit.ns, ".", ns % unit.ns * 10 / unit.ns, " ", unit.name);
    return cat(ns, " ns");
}

// Frames of the functions that take locks: the caller is the first that is none.
bool takes_locks(std::string_view name)
{
    constexpr std::string_view kBegins[] = {"mutex_lock",
                                            "mutex_trylock",
                                            "__mutex_",
                                            "down_",
                                            "__down_",
                                            "rwsem_",
                                            "rt_mutex_",
                                            "__rt_mutex_",
                                            "rt_read_",
                                            "rt_write_",
                                            "_raw_spin_",
                                            "_raw_read_",
                                            "_raw_write_",
                                            "native_queued_",
                                            "__pv_queued_",
                                            "queued_",
                                            "percpu_down_",
                                            "__percpu_down_",
                                            "percpu_rwsem_",
                                            "ww_mutex_",
                                            "trace_contention_",
                                            "__traceiter_contention_",
                                            "__bpf_trace_contention_",
                                            "rtlock_",
                                            "do_raw_spin_"};
    // BPF programs take none of these locks: it is the trampoline of another tool around a function
    // that does. Once that tool has ended, the address has the name of a program beside it.
    return name.ends_with(" [bpf]") ||
           std::ranges::any_of(kBegins, [&](auto begin) { return name.starts_with(begin); });
}

class Report
{
public:
    using Row = ::Row;

    explicit Report(Reporting<klockstat_bpf, Options>& r)
        : r_(r), generations_(r.skeleton.bss->cb_generation),
          memos_(r.skeleton.bss->cb_stack_memos),
          samples_(r.skeleton.maps.cb_stack_tasks, false, 0, on_sample, this)
    {
        r.skeleton.bss->is_complete = true;
    }

    // Stacks to be learnt.
    int fd() const { return samples_.epoll_fd(); }
    void wake()
    {
        while (samples_.consume())
            ;
    }

    void begin()
    {
        if (Output* const text = r_.text())
            text->text() += cat(r_.options.contention ? "Tracing lock contention of "
                                                      : "Tracing mutex/sem lock events of ",
                                traced_tasks(r_.session), traced_time(r_.session), "\n");
        else
            r_.sink.header();
    }

    void report()
    {
        const Entries entries(r_.skeleton.maps.cb_lock_sums, generations_.flip());
        const std::uint64_t now = monotonic_ns();
        StackWords words(r_.options, kUnit, symbols_, r_.skeleton.maps.cb_stacks,
                         r_.skeleton.maps.cb_stacks_spill);
        if (entries.size() && !names_)
            names_ = LockNames::load();
        kept_.clear();
        std::vector<Row> rows = read(entries, words);
        if (words.kernel_hidden())
            say_hidden_names(r_.session);
        for (Row& row : rows) {
            row.time_ns = now;
            row.longest_wait = names_->name_of(row.sum.wait.lock);
            if (row.sum.hold.lock)
                row.longest_hold = names_->name_of(row.sum.hold.lock);
        }
        if (Output* const text = r_.text()) {
            text->text() += '\n';
            if (r_.session.given("timestamp"))
                text->text() += cat(text->clock().time_of_day(text->clock().wall_ns(now)), "\n");
            print(*text, rows, false);
            if (!r_.options.contention)
                print(*text, rows, true);
            return;
        }
        sort(rows, false);
        for (std::size_t i = 0; i < shown(rows); i++)
            r_.sink.row(&rows[i]);
    }

private:
    static constexpr StackUnit kUnit{};

    static void on_sample(void* self, const void* record, std::size_t size) noexcept
    {
        Report& report = *static_cast<Report*>(self);
        if (size <= sizeof(stack_task))
            return;
        const auto& maps = report.r_.skeleton.maps;
        const auto& sample = *static_cast<const stack_sample*>(record);
        report.memos_.learn(sample, read_stack(maps.cb_stacks, maps.cb_stacks_spill, sample.id));
    }

    std::size_t shown(const std::vector<Row>& rows) const
    {
        return r_.options.locks ? std::min<std::size_t>(r_.options.locks, rows.size())
                                : rows.size();
    }

    // From the caller on; so many frames as are shown.
    const Frames* callers(const Frames& stack)
    {
        Frames& kept = kept_.emplace_back();
        kept.state = stack.state;
        std::size_t first = 0;
        while (first < stack.names.size() && takes_locks(stack.names[first]))
            first++;
        const std::size_t end = std::min(stack.names.size(), first + r_.options.frames);
        kept.names.assign(stack.names.begin() + std::ptrdiff_t(first),
                          stack.names.begin() + std::ptrdiff_t(end));
        return &kept;
    }

    std::vector<Row> read(const Entries& entries, StackWords& words)
    {
        std::vector<Row> rows;
        for (std::size_t i = 0; i < entries.size(); i++) {
            const auto& key = entries.key<klock_key>(i);
            Row row{.tid = key.tid, .kind = key.kind};
            entries.values<klock_sum>(i, [&](const klock_sum& sum) { row.sum = sum; });
            const bool by_stack = !r_.options.threads && !r_.options.by_lock;
            if (by_stack)
                row.stack = callers(*words.kernel(key.stack));
            if (r_.options.by_lock)
                row.lock = names_->name_of(key.lock);
            if (!row.caller().starts_with(r_.options.caller)) {
                r_.account.filtered += row.sum.count;
                continue;
            }
            if (!by_stack || row.stack->state != Frames::State::lost) // else it is counted as lost
                r_.account.printed += row.sum.count;
            rows.push_back(std::move(row));
        }
        join_alike(rows);
        return rows;
    }

    static void join_alike(std::vector<Row>& rows)
    {
        const auto text = [](const Row& r) {
            return std::tie(r.stack->names, r.tid, r.lock, r.kind, r.stack->state);
        };
        corebox::join_alike(rows, text, [](Row& into, const Row& from) {
            klock_sum& sum = into.sum;
            sum.count += from.sum.count;
            sum.wait_ns += from.sum.wait_ns;
            sum.hold_ns += from.sum.hold_ns;
            if (from.sum.wait.ns > sum.wait.ns)
                sum.wait = from.sum.wait;
            if (from.sum.hold.ns > sum.hold.ns)
                sum.hold = from.sum.hold;
        });
    }

    void sort(std::vector<Row>& rows, bool hold) const
    {
        const By by = hold ? r_.options.order.hold : r_.options.order.wait;
        std::ranges::stable_sort(rows, std::ranges::greater(),
                                 [&](const Row& r) { return r.value(hold, by); });
    }

    // BCC's table.
    void print(Output& output, std::vector<Row>& rows, bool hold) const
    {
        const Options& o = r_.options;
        std::string& out = output.text();
        const std::string_view what = hold ? "Hold" : "Wait";
        const std::string_view who = o.threads ? "Tid Comm" : o.by_lock ? "Lock" : "Caller";
        out += cat(hold ? "\n" : "", padded_left(std::string(who), 40), " ",
                   padded_right("Kind", 12), " ", padded_left(cat("Avg ", what), 9), " ",
                   padded_left("Count", 8), " ", padded_left(cat("Max ", what), 10), " ",
                   padded_left(cat("Total ", what), 12), "\n");
        sort(rows, hold);
        for (std::size_t i = 0; i < shown(rows); i++) {
            const Row& r = rows[i];
            const klock_longest& longest = hold ? r.sum.hold : r.sum.wait;
            const std::uint64_t total = hold ? r.sum.hold_ns : r.sum.wait_ns;
            std::string name;
            if (o.threads) {
                name = cat(r.tid, " ");
                escape_text(name, c_str(longest.comm), false);
            } else {
                name = o.by_lock                               ? r.lock
                       : r.stack->state == Frames::State::lost ? std::string(kMissedKernel)
                       : r.caller().empty()                    ? "[unknown]"
                                                               : std::string(r.caller());
            }
            out += cat(padded_left(name, 40), " ", padded_right(std::string(kKinds[r.kind]), 12),
                       " ", padded_left(scaled(average(total, r)), 9), " ",
                       padded_left(cat(r.sum.count), 8), " ", padded_left(scaled(longest.ns), 10),
                       " ", padded_left(scaled(total), 12), "\n");
            if (o.frames > 1) {
                for (std::size_t f = 1; f < r.stack->names.size(); f++)
                    out += cat(padded_left(std::string(r.stack->names[f]), 40), "\n");
                out += cat(padded_left("", 30), "Max PID ", longest.pid, ", COMM ");
                escape_text(out, c_str(longest.comm), false);
                out += cat(", Lock ", hold ? r.longest_hold : r.longest_wait, "\n");
            }
            output.end_record();
        }
    }

    Reporting<klockstat_bpf, Options>& r_;
    Generations generations_;
    ImageSymbols symbols_; // of user stacks: none are taken
    StackMemos memos_;
    std::optional<LockNames> names_;
    std::deque<Frames> kept_;
    EventReader samples_;
};

void prepare(Options& o, Session& session)
{
    o.kernel_only = true;
    if (!session.given("hash-storage-size"))
        o.hash_storage = KLOCK_SUMS;
    check_stack_options(o);
    if (o.threads && o.by_lock)
        fail_usage("--per-thread and --by-lock exclude each other");
    if ((o.threads || o.by_lock) && (o.frames > 1 || !o.caller.empty()))
        fail_usage("--stacks and --caller need callers; omit --per-thread and --by-lock");
    if (o.lock.empty())
        return;
    LockAddress address;
    if (LockAddress::parse(o.lock, address).empty() && o.lock.starts_with("0x")) {
        o.address = address.value;
    } else if (const auto found = LockNames::load().address_of(o.lock)) {
        o.address = *found;
    } else {
        fail(cat("cannot find the lock ", o.lock), "the kernel has no variable of this name",
             "klockstat --by-lock shows the locks that are taken");
    }
}

constexpr Reports<klockstat_bpf, Options, Report, Shared::every | Shared::symbols> kTool{
    .about = {.name = "klockstat",
              .area = "lock",
              .summary = "Show where the kernel waits for locks, and how long it holds them",
              .details =
                  "Measures for each mutex and rwsem of the kernel how long tasks wait for "
                  "it and hold it. Prints a table of waits and one of holds, by the function "
                  "that took the lock. --contention shows waits for locks of every kind.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .fields = kFields,
    .prepare = prepare,
    .setup =
        [](klockstat_bpf& s, Options& o, const Session&) {
            prepare_stacks(o, s.rodata->cb_stack, s.maps.cb_lock_sums, s.maps.cb_stacks,
                           s.maps.cb_stacks_spill);
            bpf_map__set_autocreate(s.maps.cb_stack_sums, false);
            s.rodata->cfg = {.lock = o.address,
                             .threads = o.threads,
                             .locks = o.by_lock,
                             .contention = o.contention};
        },
    .ending = [](klockstat_bpf& s, Options&) { s.bss->is_complete = false; },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
