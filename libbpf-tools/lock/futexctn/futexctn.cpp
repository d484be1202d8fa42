// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "futexctn.h"
#include "../address.hpp"
#include "output/escape.hpp"
#include "session/transport.hpp"
#include "shape/alike.hpp"
#include "shape/histogram.hpp"
#include "shape/reports.hpp"
#include "shape/stacks.hpp"
#include <algorithm>
#include <bpf/bpf.h>
#include <deque>

#include "futexctn.skel.h"

namespace
{
using namespace corebox;
using P = decltype(futexctn_bpf::progs);

struct Options : StackOptions {
    LockAddress lock;
    std::uint64_t min_us = 0, max_us = 0;
    bool milliseconds = false, summary = false, woken = false;
};

// The waits of one thread at one lock from one place.
struct Row {
    std::string comm;
    std::uint32_t pid = 0, tid = 0;
    std::uint64_t lock = 0;
    std::uint32_t op = 0;
    bool shared = false;
    const Frames* user = &kNoFrames;
    std::uint64_t sum_ns = 0;
    std::vector<std::size_t> histograms{}; // those that are its waits
};

const Frames kUnwanted{.state = Frames::State::unwanted, .names = {}, .kinds = {}, .details = {}};
constexpr std::string_view kOps[] = {"wait", "lock_pi", "wait_requeue_pi", "waitv"};
constexpr std::string_view kEnds[] = {"woken", "timeout", "signal"};

constexpr Example kExamples[] = {
    {"futexctn", "Show how long threads wait for locks until Ctrl-C"},
    {"futexctn -p 181 --woken", "Leave out the waits that a timeout or a signal ended"},
    {"futexctn -s 1 10", "Sum by process and lock, and print every second"},
    {"futexctn -l 0x55d0c0ffee40 -m", "Trace one lock, and show milliseconds"},
};

constexpr Option kOptions[] = {
    opt<&Options::lock>('l', "lock", "ADDRESS", "Trace only the lock at this address"),
    show('T', "timestamp", "Print the time above each report"),
    flag<&Options::milliseconds>('m', "milliseconds", "Show milliseconds"),
    flag<&Options::summary>('s', "summary", "Sum by process and lock, without stacks"),
    flag<&Options::woken>(0, "woken", "Skip waits that a timeout or a signal ended"),
    opt<&Options::min_us>(0, "min-wait-time", "US", "Skip waits shorter than this",
                          {0, std::int64_t(1) << 50}),
    opt<&Options::max_us>(0, "max-wait-time", "US", "Skip waits longer than this",
                          {1, std::int64_t(1) << 50}),
    stack_option::address,
    stack_option::storage,
    opt<&StackOptions::hash_storage>(0, "hash-storage-size", "KEYS",
                                     "Limit the number of histograms (default: 10240)",
                                     {1, 1 << 20}),
    stack_option::depth,
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'t', "tid"}};

constexpr Column kColumns[] = {
    col<[](const Row& r) { return Value(std::string_view(r.comm)); }>(
        "comm", "COMM", 16, "Command name of the thread; with -s, of the process")
        .as(ColumnType::text),
    col<&Row::pid>("pid", "PID", 7, "Process ID"),
    col<[](const Row& r) { return r.tid ? Value(r.tid) : Absent{}; }>("tid", "TID", 7, "Thread ID",
                                                                      without("summary")),
    col<[](const Row& r) { return Hex{r.lock}; }>("lock", "LOCK", 18, "Address of the futex"),
    col<[](const Row& r) { return Trusted{kOps[r.op]}; }>(
        "op", "OP", 15, "wait, lock_pi, wait_requeue_pi, or waitv (one futex of a list)"),
    col<&Row::shared>("shared", "SHARED", 6, "Whether other processes may use the futex"),
    col<[](const Row& r) { return StackRow::names(*r.user); }>(
        "user", "USER", 0, "User functions that waited, leaf first", without("summary")),
    col<[](const Row& r) { return StackRow::details(*r.user); }>(
        "user_address", "USER-ADDRESS", 0, "The same functions with addresses", costly("address")),
};

using E = futex_event;
constexpr Column kFields[] = {
    event_field<field<&E::ns> / 1000>("wait_us", "Length of the wait in microseconds"),
    event_field<field<&E::ns>>("wait_ns", "The same in nanoseconds"),
    event_field<field<&E::lock>>("lock", "Address of the futex"),
    event_field<field<&E::pid>>("pid", "Process ID"),
    event_field<field<&E::tid>>("tid", "Thread ID"),
    event_field<field<&E::comm>>("comm", "Command name of the thread"),
    event_field_of_names<field<&E::op>, kOps>("op", "wait, lock_pi, wait_requeue_pi or waitv"),
    event_field_of_names<field<&E::end>, kEnds>("end",
                                                "What ended the wait: woken, timeout or signal"),
    event_field<field<&E::shared> != 0>("shared", "Whether other processes may use the futex"),
};

template <auto... Needed>
struct With {
    template <auto... Optional>
    static consteval Rung rung(std::string_view name, std::string_view blind)
    {
        return {name, {detail::probe<Needed>(false)..., detail::probe<Optional>(true)...}, blind};
    }
};

constexpr std::string_view kFunctionsBlind =
    "futex_wait(2), which is not futex(2) (Linux 6.7); before Linux 5.16, FUTEX_WAIT_REQUEUE_PI";

// The verifier of 5.10 refuses these programs; this function came with 5.11.
constexpr std::string_view kSince511 = "bpf_get_current_task_btf";

constexpr Need kNeeds[] = {
    {"waits for futexes",
     {with_function(With<&P::wait_fentry, &P::wait_fexit, &P::pi_fentry, &P::pi_fexit>::rung<
                        &P::requeue_fentry, &P::requeue_fexit, &P::list_fentry, &P::list_fexit>(
                        "fexit", kFunctionsBlind),
                    kSince511),
      with_function(With<&P::wait_kprobe, &P::wait_kret, &P::pi_kprobe, &P::pi_kret>::rung<
                        &P::requeue_kprobe, &P::requeue_kret, &P::list_kprobe, &P::list_kret>(
                        "kprobe", kFunctionsBlind),
                    kSince511),
      With<&P::call_enter, &P::call_exit>::rung<&P::wait_enter, &P::wait_exit, &P::waitv_enter,
                                                &P::waitv_exit>("tracepoint", "32-bit programs")}},
    {"threads that end", {rung<&P::task_free>("raw_tp")}},
};

Unit unit(const Options& o)
{
    return o.milliseconds ? Unit{"msecs", 1'000'000} : Unit{"usecs", 1'000};
}

class Report
{
public:
    using Row = ::Row;

    explicit Report(Reporting<futexctn_bpf, Options>& r)
        : r_(r), writer_(r.session, r.sink, unit(r.options)),
          generations_(r.skeleton.bss->cb_generation),
          tasks_(r.skeleton.maps.cb_stack_tasks, false, 0, on_task, this)
    {
        if (!r.options.summary)
            for (const std::uint32_t pid : r.session.pids)
                pending_.add({pid, ImageSymbols::image(pid)});
        pending_.note_in(symbols_);
    }

    int fd() const { return tasks_.epoll_fd(); }
    void wake()
    {
        while (tasks_.consume())
            ;
        pending_.note_in(symbols_);
    }

    void begin()
    {
        writer_.header();
        if (Output* const text = r_.text())
            text->text() +=
                cat("Tracing waits for futexes of ", traced_tasks(r_.session), " by ",
                    r_.options.summary ? "process and lock" : "thread, lock and user stack",
                    traced_time(r_.session), "\n");
    }

    void report()
    {
        const Histograms histograms(r_.skeleton.maps.cb_stack_hists, generations_.flip());
        StackWords words(r_.options, kUnit, symbols_, r_.skeleton.maps.cb_stacks,
                         r_.skeleton.maps.cb_stacks_spill);
        writer_.begin(monotonic_ns());
        for (const Row& row : read(histograms, words)) {
            Distribution waits;
            for (const std::size_t i : row.histograms)
                histograms.add_to(waits, i);
            writer_.write(&row, waits, r_.text() ? heading(row, waits) : std::string());
        }
    }

private:
    static constexpr StackUnit kUnit{};

    static void on_task(void* self, const void* record, std::size_t) noexcept
    {
        static_cast<Report*>(self)->pending_.add(*static_cast<const stack_task*>(record));
    }

    std::string name_of(std::uint32_t pid, std::uint32_t tid) const
    {
        const futexctn_name key{pid, tid};
        futexctn_comm comm{};
        if (bpf_map_lookup_elem(bpf_map__fd(r_.skeleton.maps.cb_names), &key, &comm) != 0)
            return "?"; // so many threads were met since
        return std::string(c_str(comm.text));
    }

    // The longest waits last: there one looks first.
    std::vector<Row> read(const Histograms& histograms, StackWords& words)
    {
        std::vector<Row> rows(histograms.size());
        for (std::size_t i = 0; i < rows.size(); i++) {
            const auto& key = histograms.key<futexctn_key>(i);
            const Distribution waits = histograms[i];
            rows[i] = {.comm = name_of(key.pid, key.tid),
                       .pid = key.pid,
                       .tid = key.tid,
                       .lock = key.lock,
                       .op = key.op,
                       .shared = key.shared != 0,
                       .user = r_.options.summary ? &kUnwanted
                                                  : words.user({key.pid, key.image}, key.user),
                       .sum_ns = waits.sum(),
                       .histograms = {i}};
            if (rows[i].user->state != Frames::State::lost) // else it is counted as lost
                r_.account.printed += waits.count();
        }
        join_alike(rows);
        std::ranges::stable_sort(rows, {}, &Row::sum_ns);
        return rows;
    }

    static void join_alike(std::vector<Row>& rows)
    {
        const auto text = [](const Row& r) {
            return std::tie(r.pid, r.tid, r.comm, r.lock, r.op, r.shared, r.user->state,
                            r.user->names, r.user->details);
        };
        corebox::join_alike(rows, text, [](Row& into, const Row& from) {
            into.histograms.insert(into.histograms.end(), from.histograms.begin(),
                                   from.histograms.end());
            into.sum_ns += from.sum_ns;
        });
    }

    // BCC's line and stack above a histogram.
    std::string heading(const Row& row, const Distribution& waits) const
    {
        const Unit shown = unit(r_.options);
        const auto in_unit = [&](std::uint64_t ns) { return cat(ns / shown.raw, " ", shown.name); };
        std::string out;
        escape_text(out, row.comm, false);
        out += cat("[", r_.options.summary ? row.pid : row.tid, "] ",
                   row.shared ? "shared lock " : "lock ", to_hex(row.lock));
        if (row.op != OP_WAIT)
            out += cat(" (", kOps[row.op], ")");
        out += cat(" contended ", waits.count(), " times, ", in_unit(waits.sum() / waits.count()),
                   " avg [max: ", in_unit(waits.max()), ", min: ", in_unit(waits.min()), "]");
        if (!r_.options.summary) {
            out += "\n    -\n";
            append_frames(out, *row.user, kMissedUser);
            out += "    -";
        }
        return out;
    }

    Reporting<futexctn_bpf, Options>& r_;
    HistogramWriter writer_;
    Generations generations_;
    ImageSymbols symbols_;
    PendingImages pending_;
    EventReader tasks_;
};

constexpr Reports<futexctn_bpf, Options, Report, Shared::interval | Shared::user_symbols> kTool{
    .about = {.name = "futexctn",
              .area = "lock",
              .summary = "Show how long threads wait for futexes, by lock and user stack",
              .details = "Measures the time that threads wait in futex(2): for mutexes, condition "
                         "variables and semaphores. Prints a histogram for each thread, lock and "
                         "user stack, the largest total time last.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .fields = kFields,
    .prepare =
        [](Options& o, Session& session) {
            o.user_only = true;
            if (!session.given("hash-storage-size"))
                o.hash_storage = FUTEX_KEYS;
            check_stack_options(o);
            if (o.max_us && o.max_us < o.min_us)
                fail_usage("--max-wait-time must not be less than --min-wait-time");
        },
    .setup =
        [](futexctn_bpf& s, Options& o, const Session&) {
            prepare_stacks(o, s.rodata->cb_stack, s.maps.cb_stack_hists, s.maps.cb_stacks,
                           s.maps.cb_stacks_spill);
            constexpr std::uint32_t kParts = 4; // of a histogram, as a rule
            bpf_map__set_max_entries(s.maps.cb_stack_hists, kParts * o.hash_storage);
            bpf_map__set_autocreate(s.maps.cb_stack_sums, false);
            s.rodata->cfg = {.lock = o.lock.value,
                             .min_ns = o.min_us * 1000,
                             .max_ns = o.max_us ? o.max_us * 1000 + 999 : ~0ull,
                             .unit_ns = unit(o).raw,
                             .woken = o.woken,
                             .summary = o.summary};
        },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
