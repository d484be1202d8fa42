// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "biostacks.h"
#include "output/escape.hpp"
#include "output/replace_file.hpp"
#include "request.hpp"
#include "request_event.hpp"
#include "session/transport.hpp"
#include "shape/alike.hpp"
#include "shape/hidden_names.hpp"
#include "shape/histogram.hpp"
#include "shape/reports.hpp"
#include "shape/stack_memo.hpp"
#include "shape/stacks.hpp"
#include "symbols/flame.hpp"
#include <algorithm>

#include "biostacks.skel.h"

namespace
{

using namespace corebox;

constexpr std::string_view kMissed = "[Missed Kernel Stack]";

struct Options : StackOptions {
    std::string_view disk_name;
    Seconds every{0};
    bool milliseconds = false;
};

// Latencies of one process, disk and stack.
struct Row {
    std::string comm, disk;
    std::uint32_t pid = 0, tid = 0;
    const Frames* kernel = nullptr;
    std::vector<std::size_t> histograms{}; // those that are its latencies
    std::uint64_t sum_ns = 0;

    std::uint64_t total_us() const { return sum_ns / 1000; }
};

constexpr Example kExamples[] = {
    {"biostacks 10", "Trace all waits for disks for ten seconds"},
    {"biostacks -d vda -p 181", "Trace one process and one disk until Ctrl-C"},
    {"biostacks --flame out.svg -- make", "Draw a flame graph of the disk latency of a command"},
    {"biostacks -f 10 > out.folded", "Write microseconds by stack for other tools"},
};

constexpr Option kOptions[] = {
    opt<&Options::disk_name>('d', "disk", "DISK", "Trace only this disk or partition", {}, {},
                             "disk"),
    flag<&Options::milliseconds>('m', "milliseconds", "Show milliseconds"),
    opt<&Options::every>('i', "interval", "SECONDS", "Print a report every interval"),
    stack_option::folded,
    stack_option::annotations,
    stack_option::threads,
    stack_option::flame,
    stack_option::storage,
    opt<&StackOptions::hash_storage>(0, "hash-storage-size", "KEYS",
                                     "Limit the number of table rows (default: 4096)",
                                     {1, 1 << 20}),
    stack_option::depth,
};

constexpr Letter kLetters[] = {{'p', "pid"}};

constexpr Column kColumns[] = {
    col<[](const Row& r) { return Value(std::string_view(r.comm)); }>(
        "comm", "COMM", 16, "Command name of the task that issued the I/O"),
    col<&Row::pid>("pid", "PID", 7, "Process ID of this task"),
    col<&Row::tid>("tid", "TID", 7, "Thread ID of this task", costly("per-thread")),
    col<[](const Row& r) { return Value(std::string_view(r.disk)); }>("disk", "DISK", 10,
                                                                      "Name of the disk"),
    col<[](const Row& r) { return StackRow::names(*r.kernel); }>(
        "kernel", "KERNEL", 0, "Kernel functions that issued the I/O, leaf first"),
};

using Programs = decltype(biostacks_bpf::progs);
constexpr Column kFields[] = {request_field::disk,   request_field::op,     request_field::bytes,
                              request_field::lat_us, request_field::lat_ms, request_field::lat_ns,
                              request_field::sector, request_field::pid,    request_field::tid,
                              request_field::comm};

constexpr Need kNeeds[] = {kRequestsMade<biostacks_bpf>, kRequestsIssued<biostacks_bpf>,
                           kRequestsDone<biostacks_bpf>};

Unit unit(const Options& o)
{
    return o.milliseconds ? Unit{"msecs", 1'000'000} : Unit{"usecs", 1'000};
}

constexpr StackUnit kStackUnit{.name = "microseconds", .total = true, .divisor = 1000};

class Report
{
public:
    using Row = ::Row;

    explicit Report(Reporting<biostacks_bpf, Options>& r)
        : r_(r), writer_(r.session, r.sink, unit(r.options)),
          generations_(r.skeleton.bss->cb_generation), memos_(r.skeleton.bss->cb_stack_memos),
          samples_(r.skeleton.maps.cb_stack_tasks, false, 0, on_sample, this)
    {
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
        writer_.header();
        if (Output* const text = r_.text(); text && !r_.options.folded && r_.options.flame.empty())
            text->text() += "Tracing block I/O with init stacks. Hit Ctrl-C to end.\n\n";
    }

    void report()
    {
        const Histograms histograms(r_.skeleton.maps.cb_stack_hists, generations_.flip());
        StackWords words(r_.options, kStackUnit, symbols_, r_.skeleton.maps.cb_stacks,
                         r_.skeleton.maps.cb_stacks_spill);
        std::vector<Row> rows = read(histograms, words);
        if (words.kernel_hidden())
            say_hidden_names(r_.session);
        writer_.begin(monotonic_ns());
        for (const Row& row : rows)
            print(row, histograms);
        if (!r_.options.flame.empty())
            draw(rows);
    }

private:
    static void on_sample(void* self, const void* record, std::size_t) noexcept
    {
        Report& report = *static_cast<Report*>(self);
        const auto& maps = report.r_.skeleton.maps;
        const auto& sample = *static_cast<const stack_sample*>(record);
        report.memos_.learn(sample, read_stack(maps.cb_stacks, maps.cb_stacks_spill, sample.id));
    }

    // The one that took longest last: there one looks first.
    std::vector<Row> read(const Histograms& histograms, StackWords& words)
    {
        std::vector<Row> rows(histograms.size());
        for (std::size_t i = 0; i < rows.size(); i++) {
            const auto& key = histograms.key<biostacks_key>(i);
            Row& row = rows[i];
            row.comm = c_str(key.comm);
            row.disk =
                key.disk ? DiskNames::of(r_.skeleton.maps.cb_disk_notes, key.disk) : "unknown";
            row.pid = key.pid;
            row.tid = key.tid;
            row.kernel = words.kernel(key.kernel);
            const Distribution latencies = histograms[i];
            row.histograms = {i};
            row.sum_ns = latencies.sum();
            // The kernel side counted these as lost.
            if (key.kernel >= 0 || key.kernel == STACK_NONE)
                r_.account.printed += latencies.count();
        }
        join_alike(rows);
        const auto order = [](const Row& row) {
            return std::tuple(row.sum_ns, std::string_view(row.comm), row.pid, row.tid,
                              std::string_view(row.disk));
        };
        std::ranges::stable_sort(rows, {}, order);
        return rows;
    }

    static void join_alike(std::vector<Row>& rows)
    {
        const auto text = [](const Row& r) {
            return std::tie(r.comm, r.pid, r.tid, r.disk, r.kernel->state, r.kernel->names);
        };
        corebox::join_alike(rows, text, [](Row& into, const Row& from) {
            into.histograms.insert(into.histograms.end(), from.histograms.begin(),
                                   from.histograms.end());
            into.sum_ns += from.sum_ns;
        });
    }

    void print(const Row& row, const Histograms& histograms)
    {
        Distribution latencies;
        for (const std::size_t i : row.histograms)
            histograms.add_to(latencies, i);
        Output* const text = r_.text();
        if (!text)
            return writer_.write(&row, latencies);
        std::string& out = text->text();
        if (r_.options.folded) {
            append_folded(out, process(row), {}, stack(row), row.total_us(),
                          {.annotate = r_.options.annotations});
        } else if (r_.options.flame.empty()) {
            std::string comm;
            escape_text(comm, row.comm, true);
            out += cat(padded_right(comm, 14), " ", padded_right(cat(row.pid), 6));
            out += row.tid ? cat(" ", padded_right(cat(row.tid), 6)) : "";
            out += cat(" ", row.disk, "\n");
            for (const StackFrame& frame : stack(row)) {
                escape_text(out, frame.name, false);
                out += r_.options.annotations && frame.kind == FrameKind::kernel ? "_[k]\n" : "\n";
            }
            writer_.write(nullptr, latencies);
            out += '\n';
        }
        text->end_record();
    }

    void draw(const std::vector<Row>& rows)
    {
        std::vector<FlameStack> stacks;
        std::deque<std::string> names;
        std::uint64_t sum = 0;
        for (const Row& row : rows) {
            FlameStack& flame = stacks.emplace_back();
            flame.weight = row.total_us();
            sum += flame.weight;
            flame.frames.push_back({names.emplace_back(process(row)), FrameKind::process});
            const std::vector<StackFrame> kernel = stack(row);
            flame.frames.insert(flame.frames.end(), kernel.rbegin(), kernel.rend());
        }
        std::string svg;
        write_flame_graph(svg,
                          {.title = "biostacks",
                           .subtitle = "Latency of block I/O by the stack that issued it",
                           .unit = std::string(kStackUnit.name)},
                          stacks);
        replace_file(std::string(r_.options.flame), svg);
        say(r_.session.tool, cat("wrote ", r_.options.flame, ": ", sum, " ", kStackUnit.name));
    }

    static std::string process(const Row& row)
    {
        return row.tid ? cat(row.comm, "-", row.pid, "/", row.tid) : row.comm;
    }

    static std::vector<StackFrame> stack(const Row& row)
    {
        std::vector<StackFrame> frames;
        if (row.kernel->state == Frames::State::lost)
            frames.push_back({kMissed, FrameKind::marker});
        for (std::size_t i = 0; i < row.kernel->names.size(); i++)
            frames.push_back({row.kernel->names[i], row.kernel->kinds[i]});
        return frames;
    }

    Reporting<biostacks_bpf, Options>& r_;
    HistogramWriter writer_;
    Generations generations_;
    ImageSymbols symbols_; // of user stacks: none are taken
    StackMemos memos_;
    EventReader samples_;
};

constexpr Reports<biostacks_bpf, Options, Report, Shared::duration | Shared::symbols> kTool{
    .about = {.name = "biostacks",
              .area = "block",
              .summary = "Show the latency of block I/O by the kernel stack that issued it",
              .details = "Measures requests from creation to completion. Prints a histogram for "
                         "each process, disk and stack, the largest total latency last. Folded "
                         "lines and flame graphs are weighted by latency.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .fields = kFields,
    .interval = std::chrono::seconds(1), // passes for a valid one until check() knows
    .prepare =
        [](Options& o, Session& session) {
            o.kernel_only = true;
            if (!session.given("hash-storage-size"))
                o.hash_storage = BIOSTACKS_STORAGE;
            check_stack_options(o);
            if (session.given("interval") && o.every.count() == 0)
                fail_usage("--interval must be greater than 0");
            session.interval = o.every;
        },
    .setup =
        [](biostacks_bpf& s, Options& o, const Session& session) {
            prepare_stacks(o, s.rodata->cb_stack, s.maps.cb_stack_hists, s.maps.cb_stacks,
                           s.maps.cb_stacks_spill);
            constexpr std::uint32_t kParts = 4; // of a histogram, as a rule
            bpf_map__set_max_entries(s.maps.cb_stack_hists, kParts * o.hash_storage);
            bpf_map__set_autocreate(s.maps.cb_stack_sums, false);
            s.rodata->cb_unit_ns = unit(o).raw;
            choose_disk(s, session, o.disk_name);
        },
    .resolved = [](biostacks_bpf& s, const Launcher& launcher) { request_resolved(s, launcher); },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
