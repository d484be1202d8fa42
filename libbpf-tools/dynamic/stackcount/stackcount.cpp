// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "stackcount.h"
#include "../function_where.hpp"
#include "../points_option.hpp"
#include "output/escape.hpp"
#include "shape/stacks.hpp"
#include <map>

#include "stackcount.skel.h"

namespace
{
using namespace corebox;

struct Options : StackOptions {
    FunctionProbes* probes = nullptr;
    std::string_view pattern;
    std::uint32_t cpu = 0;
    bool per_process = false, offset = false, verbose = false;
    PointCondition condition;
};

constexpr Example kExamples[] = {
    {"stackcount submit_bio", "Count the stacks that lead to submit_bio() until Ctrl-C"},
    {"stackcount t:sched:sched_switch", "Count the stacks of threads that leave the CPU"},
    {"stackcount -P -d 'tcp_send*'", "Separate processes, and kernel from user stacks"},
    {"stackcount -p 181 c:malloc --flame out.svg", "Draw a flame graph of the callers of malloc()"},
    {"stackcount -f -D 10 t:block:block_rq_issue > out.folded",
     "Write folded stacks of ten seconds"},
    {"stackcount -K -i 1 -T vfs_fsync", "Count kernel stacks only, every second, with the time"},
};

constexpr Option kPositionals[] = {
    opt<&Options::pattern>(0, "pattern", "PATTERN", kPatternHelp),
};

constexpr Option kOptions[] = {
    opt<&Options::cpu>('c', "cpu", "CPU", "Count only events on this CPU", {0, 1 << 16}),
    show('r', "regexp", "Treat the pattern as a regular expression"),
    show('T', "timestamp", "Print the time above each report"),
    flag<&Options::offset>('s', "offset", "Show offsets, and keep different ones separate"),
    flag<&Options::per_process>('P', "perpid", "Count each process separately"),
    stack_option::kernel_only,
    stack_option::user_only,
    flag<&StackOptions::address>('v', "address",
                                 "Show addresses, and keep different ones separate"),
    stack_option::delimited,
    stack_option::folded,
    stack_option::annotations,
    stack_option::flame,
    stack_option::storage,
    stack_option::hash_storage,
    stack_option::depth,
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'i', "interval"}, {'D', "duration"}};

constexpr Column kColumns[] = {
    col<&StackRow::event>("event", "EVENT", 24, "Function, category:event, or provider:probe"),
    col<[](const StackRow& r) -> Value {
        if (!r.pid)
            return Absent{};
        return r.comm;
    }>("comm", "COMM", 16, "Command name, with -P"),
    col<[](const StackRow& r) -> Value {
        if (!r.pid)
            return Absent{};
        return r.pid;
    }>("pid", "PID", 7, "Process ID, with -P"),
    col<&StackRow::events>("count", "COUNT", -8, "Number of events"),
    stack_column::user,
    stack_column::kernel,
    stack_column::user_address,
    stack_column::kernel_address,
};

constexpr StackUnit kUnit{.name = "events"};

// BCC's block: frames leaf first, process, count, empty line.
void append_frames(std::string& out, const Frames& frames, const Options& o)
{
    if (frames.state == Frames::State::lost)
        out += "  [Missed Stack]\n";
    for (std::size_t i = 0; i < frames.names.size(); i++) {
        std::string_view text = frames.names[i];
        if (o.address && frames.kinds[i] != FrameKind::marker) {
            text = frames.details[i]; // "0xffffffff81000000 name+0x1f [module]"
            if (o.offset && !o.verbose) {
                text.remove_prefix(text.find(' ') + 1);
                text = text.substr(0, text.rfind(" ["));
            }
        }
        out += "  ";
        escape_text(out, text, false);
        if (o.annotations && frames.kinds[i] == FrameKind::kernel)
            out += "_[k]";
        out += '\n';
    }
}

// Rows as they are printed.
class Look
{
public:
    Look(const Session& session, const Options& options, const FunctionProbes& probes)
        : session_(session), options_(options), probes_(probes)
    {
    }

    void row(StackRow& row, const stack_key& key)
    {
        row.event = probes_.functions()[key.event].name;
        if (!options_.per_process) {
            row.pid = 0;
            row.comm = row.event; // what a folded line begins with
        }
        // Of several events each stack tells its own, where it does not begin with it anyway.
        if (probes_.functions().size() == 1 || session_.format != Format::text)
            return;
        const Frames*& top = row.kernel->names.empty() ? row.user : row.kernel;
        if (top->names.empty() || top->names[0] != row.event)
            top = marked(top, row.event);
    }

    void block(std::string& out, const StackRow& row) const
    {
        append_frames(out, *row.kernel, options_);
        if (options_.delimited && !row.kernel->names.empty() && !row.user->names.empty())
            out += "    --\n";
        append_frames(out, *row.user, options_);
        if (row.pid && !(session_.pids.size() == 1 && !session_.given("perpid"))) {
            out += "    ";
            escape_text(out, row.comm, false);
            out += cat(" [", row.pid, "]\n");
        }
        out += cat("    ", row.events, "\n\n");
    }

    void begin(Output& output)
    {
        reported_ = true;
        if (session_.given("timestamp") && session_.format == Format::text && !options_.folded)
            output.text() +=
                cat(output.clock().time_of_day(output.clock().wall_ns(monotonic_ns())), "\n");
    }

private:
    const Frames* marked(const Frames* frames, std::string_view name)
    {
        if (reported_) { // the frames were that report's
            marked_.clear();
            reported_ = false;
        }
        const auto [at, is_new] = marked_.try_emplace({frames, name}, *frames);
        Frames& copy = at->second;
        if (is_new) {
            copy.names.insert(copy.names.begin(), name);
            copy.kinds.insert(copy.kinds.begin(), FrameKind::marker);
            if (!copy.details.empty())
                copy.details.insert(copy.details.begin(), name);
        }
        return &copy;
    }

    const Session& session_;
    const Options& options_;
    const FunctionProbes& probes_;
    std::map<std::pair<const Frames*, std::string_view>, Frames> marked_;
    bool reported_ = false;
};

// The shape "stacks" for points of a pattern.
struct StackCount {
    About about;
    std::span<const Option> options{};
    std::span<const Option> positionals{};
    std::span<const Letter> letters{};
    Columns<StackRow> columns;
    std::span<const Need> needs;
    std::span<const Column> fields;

    using Skeleton = stackcount_bpf;
    using Asked = Options;
    static constexpr Shared kShared = Shared::every | Shared::filter | Shared::symbols;

    std::unique_ptr<Run> open(std::unique_ptr<Session> session, const SinkMaker& make_sink) const
    {
        struct State : Traced<stackcount_bpf, Options, StackCount> {
            using Traced::Traced;
            std::optional<FunctionProbes> probes;
            std::optional<Look> look;
            std::optional<StackReports> reports;

            void started()
            {
                const auto& s = skeleton();
                look.emplace(session(), options(), *probes);
                reports.emplace(
                    *run, options(), kUnit, points_banner(options().pattern, *probes),
                    StackReports::Maps{s.maps.cb_stack_sums, s.maps.cb_stacks,
                                       s.maps.cb_stacks_spill, s.maps.cb_stack_tasks,
                                       &s.bss->cb_generation},
                    StackLook{
                        [this](StackRow& row, const stack_key& key) { look->row(row, key); },
                        [this](std::string& out, const StackRow& row) { look->block(out, row); },
                        [this](Output& output) { look->begin(output); }});
            }
            int data_fd() const { return reports->data_fd(); }
            void begin() { reports->begin(); }
            bool drain() { return reports->drain(); }
            void report(bool last) { reports->report(last); }
            void detach()
            {
                account().nested = probes->skipped();
                tracing.detach(account());
                probes->detach();
            }
        };
        auto state = std::make_unique<State>(*this, *session);
        Options& o = state->options();
        check(o, *session);
        state->probes.emplace(chosen_points(o, *session),
                              session->pids.size() == 1 ? session->pids[0] : 0);
        FunctionProbes& probes = *state->probes;
        if (probes.functions().empty())
            fail("cannot find a traceable function that matches the pattern", ENOENT,
                 "tplist lists what this system has");
        o.probes = &probes;
        // What leads to a breakpoint in user space is, in the kernel, how it handles it.
        const auto kind = probes.kind();
        const bool user = kind == Point::Kind::user || kind == Point::Kind::usdt;
        if (user && !o.kernel_only)
            o.user_only = true;
        o.condition.take(*session);
        state->tracing.attach_needs(
            o.condition.apply(*session, probes, point_need(needs, probes), false,
                              stackcount_bpf::elf_bytes),
            [&](stackcount_bpf& s) {
                prepare_stacks(o, s.rodata->cb_stack, s.maps.cb_stack_sums, s.maps.cb_stacks,
                               s.maps.cb_stacks_spill);
                prepare_points(s, probes);
                s.rodata->cb_functions.count = std::uint32_t(probes.functions().size());
                s.rodata->cfg = {session->given("cpu"), o.per_process, o.cpu};
                s.rodata->cb_function_where = o.condition.config();
            },
            [](stackcount_bpf&, bool) {});
        if (session->check)
            return nullptr;
        return make_run(std::move(state), std::move(session), make_sink, columns.list);
    }

private:
    static void check(Options& o, Session& session)
    {
        if (o.pattern.empty())
            fail_usage("missing PATTERN; for example: stackcount submit_bio");
        check_stack_options(o);
        o.per_process |= !session.pids.empty();
        o.verbose = o.address;
        o.address |= o.offset;
    }
};

constexpr StackCount kTool{
    .about = {.name = "stackcount",
              .area = "dynamic",
              .summary = "Count the stacks that lead to functions, tracepoints and USDT probes",
              .details =
                  "Counts the stacks that lead to the functions, tracepoints or USDT probes that "
                  "match the pattern. Prints the counts at the end, the most frequent stack last.",
              .examples = kExamples,
              .smoke = {"vfs_open"}},
    .options = kOptions,
    .positionals = kPositionals,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kPointNeeds<stackcount_bpf, Options>,
    .fields = kCallFields,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
