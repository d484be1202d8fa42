// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "trace.h"
#include "binary_text.hpp"
#include "capture.hpp"
#include "instances.hpp"
#include "kernel_side.hpp"
#include "output/escape.hpp"
#include "output/task_columns.hpp"
#include "shape/event_stacks.hpp"
#include "shape/hidden_names.hpp"
#include "shape/stream.hpp"
#include "show.hpp"
#include "tap.hpp"
#include <algorithm>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <cstring>
#include <map>

#include "trace.skel.h"

namespace
{
using namespace corebox;
using P = decltype(trace_bpf::progs);

struct Options : EventStackOptions {
    SpecList specs, includes;
    std::uint32_t string_size = 80;
    std::uint64_t max_events = 0;
    std::string_view name, message, cgroup_path, symbol_files;
    bool include_self = false, addresses = false, binary = false;
    FunctionProbes* probes = nullptr; // of the instance that is being attached
};

class Trace;

struct Row {
    task_info task{};
    std::uint16_t cpu = 0;
    std::uint64_t wall_us = 0;
    std::string_view function{};
    std::string message{};
    bool has_message = false;
    EventStacks stacks{};
    // What JSON has besides the columns.
    const Capture* capture = nullptr;
    std::span<const std::byte> record{};
    stack_task user{};
    Trace* trace = nullptr;
};

constexpr RecordHead kHead{.size = sizeof(trace_record),
                           .missing = offsetof(trace_record, missing),
                           .undecided = offsetof(trace_record, undecided)};
static_assert(sizeof(trace_record) % 8 == 0);

// One instance of the object: a set of points, and what its record holds.
struct Traced {
    std::size_t spec = 0;
    Tap tap;
    std::unique_ptr<MessageFormat> format;
    Forms forms;
    std::unique_ptr<FunctionProbes> probes;
    std::array<Target, 1> targets{};
    std::span<const Need> needs{};
    std::vector<std::byte> object;
    KernelSide::Maps maps;
    bool names_user = false; // functions of programs

    std::uint32_t record_bytes() const { return forms.record_bytes(sizeof(trace_record)); }
};

constexpr Example kExamples[] = {
    {"trace 'do_sys_openat2 \"%s\", arg2@user'", "Trace the names of files that are opened"},
    {"trace 'x:vfs_read (retval < 0) \"error %d\", retval'", "Trace reads that fail"},
    {"trace 'f:vfs_open \"%s\", path->dentry->d_name.name'", "Trace files by the kernel's name"},
    {"trace 'c:malloc (arg1 > 1000000) \"%d bytes\", arg1' -U -p 181",
     "Trace large allocations in process 181, with stacks"},
    {"trace 't:block:block_rq_complete \"%d sectors\", args->nr_sector'",
     "Trace a tracepoint with one of its fields"},
    {"trace 'u:/usr/bin/python3:gc__start \"generation %d\", arg1'",
     "Trace a USDT probe with its argument"},
    {"trace -AM 1000 tcp_sendmsg", "Count identical lines until there were 1000"},
};

constexpr Alias kAliases[] = {
    {"stacksnoop", {"-K"}, "Trace a kernel function with the stacks of its calls"},
};

constexpr Option kPositionals[] = {
    repeated(opt<&Options::specs>(0, "probe", "PROBE...",
                                  "What to trace, when, and what to print of it")),
};

constexpr Option kOptions[] = {
    opt<&Options::string_size>('Z', "string-size", "BYTES", "Read texts up to this size",
                               {8, 4096}),
    flag<&Options::include_self>('S', "include-self", "Trace this tool itself too"),
    opt<&Options::max_events>('M', "max-events", "N", "End after this many events", kPositive),
    show('A', "aggregate", "Count identical lines; requires -M"),
    show('t', "timestamp", "Print seconds since the first event"),
    show('u', "unix-timestamp", "Print seconds since 1970"),
    show('T', "time", "Print the time of day"),
    show('C', "print-cpu", "Print the CPU"),
    opt<&Options::cgroup_path>('c', "cgroup-path", "PATH", "Trace only this cgroup (v2)", {}, {},
                               "cgroup"),
    opt<&Options::name>('n', "name", "TEXT", "Trace only commands whose name contains TEXT"),
    opt<&Options::message>('f', "msg-filter", "TEXT", "Print only messages that contain TEXT"),
    flag<&Options::kernel>('K', "kernel-stack", "Print the kernel stack"),
    flag<&Options::user>('U', "user-stack", "Print the user stack"),
    flag<&Options::addresses>('a', "address", "Print the addresses of stacks"),
    opt<&Options::includes>('I', "include", "FILE", "Take types from C declarations in a file", {},
                            {}, "file"),
    flag<&Options::binary>('B', "bin-cmp", "Let STRCMP compare lists of bytes"),
    opt<&Options::symbol_files>('s', "sym-file-list", "FILE,...",
                                "Accept BCC's list; symbols are found without it"),
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'L', "tid"}, {'b', "buffer-pages"}};

constexpr Column kColumns[] = {
    time_column<&Row::task>(with("time")),
    since_column<&Row::task>(with("timestamp")),
    col<[](const Row& r) {
        return Fixed{r.wall_us, 6};
    }>("unix_s", "TIME", 17, "Seconds since 1970", costly("unix-timestamp")),
    col<&Row::cpu>("cpu", "CPU", 3, "CPU", with("print-cpu")),
    col<&Row::task, &task_info::pid>("pid", "PID", 7, "Process ID"),
    col<&Row::task, &task_info::tid>("tid", "TID", 7, "Thread ID"),
    col<&Row::task, &task_info::uid>("uid", "UID", 7, "User ID", kJsonOnly),
    col<&Row::task, &task_info::comm>("comm", "COMM", 15, "Command name of the thread"),
    col<&Row::function>("function", "FUNC", 16, "Function, tracepoint or USDT probe"),
    col<[](const Row& r) { return r.has_message ? Value(r.message) : Value(Absent{""}); }>(
        "message", "-", 0, "Message of the probe's format")
        .as(ColumnType::text),
    col<[](const Row& r) { return r.stacks.kernel(); }>(
        "kernel", "KERNEL", 0, "Kernel functions, leaf first", json_with("kernel-stack")),
    col<[](const Row& r) { return r.stacks.user(); }>(
        "user", "USER", 0, "User functions, leaf first", json_with("user-stack")),
};

template <auto Program, auto Attach>
consteval Rung points(std::string_view name, std::string_view function = {})
{
    return point_rung<Program, Attach, Options>(name, {}, function);
}
using F = FunctionProbes;
constexpr Rung kFentry = rung<&P::enter_fentry>("fentry");
constexpr Rung kFexit = rung<&P::leave_fexit>("fexit");
constexpr Rung kKprobe = points<&P::enter_kprobe, &F::attach_kprobes>("kprobe");
constexpr Rung kKretprobe = points<&P::leave_kprobe, &F::attach_kprobes>("kprobe");
constexpr Rung kMulti =
    points<&P::enter_multi, &F::attach_multi>("kprobe.multi", kKprobeMultiFunction);
constexpr Rung kRetMulti =
    points<&P::leave_multi, &F::attach_multi>("kprobe.multi", kKprobeMultiFunction);

// What a run attaches to one set of points: one of these.
enum class Ways : std::uint8_t {
    entry,        // of one function of the kernel
    entry_typed,  // by fentry only
    entries,      // by registers only, of any number of functions
    entry_inside, // at an offset, or with registers that are no arguments
    returns,
    returns_typed,
    returns_many,
    user,
    user_returns,
    tracepoint,
    raw,
    raw_typed,
    raw_words,
};
constexpr Need kNeeds[] = {
    {.what = "calls of the function", .rungs = {kFentry, kKprobe}, .chosen = true},
    {.what = "calls of the function", .rungs = {kFentry}, .chosen = true},
    {.what = "calls of the functions", .rungs = {kMulti, kKprobe}, .chosen = true},
    {.what = "runs of the instruction", .rungs = {kKprobe}, .chosen = true},
    {.what = "returns of the function", .rungs = {kFexit, kKretprobe}, .chosen = true},
    {.what = "returns of the function", .rungs = {kFexit}, .chosen = true},
    {.what = "returns of the functions", .rungs = {kRetMulti, kKretprobe}, .chosen = true},
    {.what = "calls of the user functions",
     .rungs = {points<&P::enter_umulti, &F::attach_uprobe_multi>("uprobe.multi",
                                                                 kUprobeMultiFunction),
               points<&P::enter_uprobe, &F::attach_uprobes>("uprobe")},
     .chosen = true},
    {.what = "returns of the user functions",
     .rungs = {points<&P::leave_umulti, &F::attach_uprobe_multi>("uprobe.multi",
                                                                 kUprobeMultiFunction),
               points<&P::leave_uprobe, &F::attach_uprobes>("uprobe")},
     .chosen = true},
    {.what = "the tracepoint",
     .rungs = {points<&P::event_perf, &F::attach_tracepoints>("tracepoint")},
     .chosen = true},
    {.what = "the raw tracepoint",
     .rungs = {rung<&P::event_btf>("tp_btf"),
               points<&P::event_raw, &F::attach_raw_tracepoints>("raw_tp")},
     .chosen = true},
    {.what = "the raw tracepoint", .rungs = {rung<&P::event_btf>("tp_btf")}, .chosen = true},
    {.what = "the raw tracepoint",
     .rungs = {points<&P::event_raw, &F::attach_raw_tracepoints>("raw_tp")},
     .chosen = true},
};

std::span<const Need> needs_of(const ProbeSpec& spec, const Traced& t)
{
    const bool typed = bool(t.forms.captures[BODY_TYPED]),
               plain = bool(t.forms.captures[BODY_PLAIN]);
    const bool of_program = t.tap.place.of_program;
    const auto need = [](Ways ways) { return std::span(kNeeds).subspan(std::size_t(ways), 1); };
    switch (spec.kind) {
    case PlaceKind::usdt:
        return need(Ways::user);
    case PlaceKind::tracepoint:
        return need(Ways::tracepoint);
    case PlaceKind::raw_tracepoint:
        return need(!plain ? Ways::raw_typed : !typed ? Ways::raw_words : Ways::raw);
    case PlaceKind::entry:
        if (of_program)
            return need(Ways::user);
        if (t.tap.offset || t.tap.place.reads_registers)
            return need(Ways::entry_inside);
        return need(!plain ? Ways::entry_typed : !typed ? Ways::entries : Ways::entry);
    case PlaceKind::returns:
        if (of_program)
            return need(Ways::user_returns);
        return need(!plain ? Ways::returns_typed : !typed ? Ways::returns_many : Ways::returns);
    }
    return {};
}

// The state of a run.
class Trace
{
public:
    Trace(Session& session, Options& options);

    // False: the user only asked whether it can run.
    bool attach(Session& session);

    Account make_account() { return instances_.make_account(); }
    void started();
    int data_fd() const { return reader_->epoll_fd(); }
    void begin() { rows_->begin(); }
    bool drain() { return rows_->drain(); }
    std::uint64_t count_unread() const { return reader_->count_unread(); }
    bool is_complete() const { return rows_->is_complete(); }
    void report(bool last);
    void detach();

    static const void* decode(void* self, const void* record, std::size_t size);
    static bool mirror(Output& output, const void* row, const Session& session);
    static void below(std::string& text, const void* row);

    Trace& tracing{*this}; // whom make_run() asks for the account
    Run* run = nullptr;

private:
    void prepare(Traced& traced);
    void fill(Capture& capture, const ProbeSpec& spec, const MessageFormat& format) const;
    void configure(trace_bpf& s, const Traced& traced);
    const void* take(std::span<const std::byte> record);
    void print_json(Output& output, const Row& row);
    void count(Output& output, const Row& row);

    Options& options_;
    const Session& session_; // as long as its run
    KernelSide kernel_;
    std::vector<std::unique_ptr<ProbeSpec>> specs_;
    std::vector<Traced> traced_;
    Instances<trace_bpf> instances_;
    std::optional<EventReader> reader_;
    std::optional<RowStream> rows_;
    ArgumentWriter writer_;
    std::optional<Clock> clock_;
    Row row_;
    std::map<std::string, std::uint64_t> counts_; // -A: of the same text
};

// What of the kernel's types this run looks for, of functions that are named in full.
std::vector<KernelBtf::Name> names_of(std::span<const std::unique_ptr<ProbeSpec>> specs)
{
    Instances<trace_bpf>::Opened object(trace_bpf::open(nullptr));
    if (!object)
        return {};
    std::vector<KernelBtf::Name> names = relocated_names(bpf_object__btf(object->obj));
    add_target_names(names, object->obj, kNeeds, {});
    for (const auto& spec : specs) {
        const bool is_raw = spec->kind == PlaceKind::raw_tracepoint;
        const Target target{is_raw ? "%event" : "%function", spec->name.text, {}};
        add_target_names(names, object->obj, {}, {&target, 1});
        if (is_raw)
            names.push_back({BTF_KIND_FUNC, cat("__traceiter_", spec->name.text)});
    }
    return names;
}

Trace::Trace(Session& session, Options& options)
    : options_(options), session_(session), kernel_(session), writer_(kernel_.types())
{
    kernel_.include(options_.includes.texts);
    for (const std::string_view text : options_.specs.texts)
        try {
            specs_.push_back(std::make_unique<ProbeSpec>(options_.binary ? compare_bytes(text)
                                                                         : std::string(text)));
        } catch (const expr::TextError& error) {
            expr::fail_at("cannot trace this", text, error);
        }
    kernel_.lend_types(session, names_of(specs_));
    for (std::size_t i = 0; i < specs_.size(); i++)
        for (Tap& tap : find_taps(*specs_[i], session,
                                  specs_[i]->condition || !specs_[i]->arguments.empty())) {
            traced_.emplace_back();
            traced_.back().spec = i;
            traced_.back().tap = std::move(tap);
        }
}

void Trace::fill(Capture& capture, const ProbeSpec& spec, const MessageFormat& format) const
{
    if (spec.condition)
        capture.set_condition(*spec.condition);
    for (std::size_t i = 0; i < spec.arguments.size(); i++)
        capture.add(spec.arguments[i], format.conversions[i]);
    capture.lay_out(options_.string_size);
    capture.let_user_space_decide();
}

// Its names, its condition and its arguments, for each kind of program that could run there.
void Trace::prepare(Traced& t)
{
    const ProbeSpec& spec = *specs_[t.spec];
    Place& place = t.tap.place;
    place.record_pid = offsetof(trace_record, task.pid);
    place.record_tid = offsetof(trace_record, task.tid);
    try {
        // Where nothing is named, reading the kernel's types would be for nothing.
        if (spec.condition || spec.signature || spec.typed_only || !spec.arguments.empty())
            kernel_.describe(t.tap, spec);
        t.format = spec.format ? std::make_unique<MessageFormat>(*spec.format, spec.arguments)
                               : std::make_unique<MessageFormat>();
        t.forms = kernel_.make_forms(t.tap, spec, kHead,
                                     [&](Capture& capture) { fill(capture, spec, *t.format); });
    } catch (const expr::TextError& error) {
        expr::fail_at("cannot trace this", spec.text, error);
    }
    t.names_user = std::ranges::any_of(t.forms.captures, [](const auto& capture) {
        return capture && capture->needs_symbols(expr::Show::user_symbol);
    });
    t.needs = needs_of(spec, t);
    t.probes = std::make_unique<FunctionProbes>(
        t.tap.points, place.of_program && session_.pids.size() == 1 ? session_.pids[0] : 0);
    if (t.tap.may_be_typed)
        t.targets[0] = {spec.kind == PlaceKind::raw_tracepoint ? "%event" : "%function",
                        t.tap.points[0].name, t.tap.points[0].module};
}

void Trace::configure(trace_bpf& s, const Traced& t)
{
    const bool stacks = options_.kernel || options_.user;
    const std::uint32_t record = t.record_bytes();
    const std::uint32_t most = record + (stacks ? sizeof(event_stacks) : 0);
    s.rodata->cfg = {.spec = std::uint32_t(&t - traced_.data()), .record = record, .most = most};
    bpf_map__set_value_size(s.maps.body_slots, std::uint32_t(sizeof(body_slot)) + most);
    if (options_.include_self)
        s.rodata->cb_filter.self = 0;
    prepare_event_stacks(options_, s.rodata->cb_event_stacks);
    // A process may end soon, and take the names of its functions with it.
    if (options_.user || t.names_user)
        s.rodata->cb_event.wakeup_bytes = 0;
    s.rodata->cb_functions.count = std::uint32_t(t.tap.points.size());
    prepare_points(s, *t.probes);
}

bool Trace::attach(Session& session)
{
    for (Traced& t : traced_)
        prepare(t);
    for (Traced& t : traced_)
        t.object = kernel_.make_object(trace_bpf::elf_bytes,
                                       {{t.forms, "body_typed", "body_plain", t.maps}});
    for (Traced& t : traced_) {
        options_.probes = t.probes.get();
        session.targets = t.tap.may_be_typed ? Targets(t.targets) : Targets();
        instances_.attach(
            session, t.needs, t.object, [&](trace_bpf& s) { configure(s, t); },
            [&](trace_bpf& s, bool perf) {
                reader_.emplace(s.maps.cb_events, perf, session.buffer_bytes());
            });
    }
    return !session.check;
}

void Trace::started()
{
    clock_.emplace(session_.utc);
    rows_.emplace(*run, *reader_, decode, this, mirror, below, nullptr);
    row_.trace = this;
    row_.stacks.show_addresses(options_.addresses);
}

void Trace::detach()
{
    instances_.detach();
    for (const Traced& t : traced_) {
        run->account.nested += t.probes->skipped();
        t.probes->detach();
    }
}

const void* Trace::decode(void* self, const void* record, std::size_t size)
{
    return static_cast<Trace*>(self)->take({static_cast<const std::byte*>(record), size});
}

const void* Trace::take(std::span<const std::byte> record)
{
    const auto& head = *reinterpret_cast<const trace_record*>(record.data());
    if (record.size() < sizeof head || head.spec >= traced_.size())
        return nullptr;
    const Traced& t = traced_[head.spec];
    row_.task = head.task;
    if (c_str(head.task.comm).find(options_.name) == std::string_view::npos)
        return nullptr;
    row_.capture = t.forms.captures[head.form & 1].get();
    if (!row_.capture || (head.undecided && !row_.capture->decide(record)))
        return nullptr;
    row_.cpu = head.cpu;
    row_.record = record;
    row_.function = t.tap.points[head.point < t.tap.points.size() ? head.point : 0].name;
    if (const auto colon = row_.function.rfind(':'); colon != row_.function.npos &&
                                                     specs_[t.spec]->kind != PlaceKind::entry &&
                                                     specs_[t.spec]->kind != PlaceKind::returns)
        row_.function.remove_prefix(colon + 1);
    row_.user = {head.task.pid, t.names_user ? ImageSymbols::image(head.task.pid) : 0};
    row_.has_message = bool(specs_[t.spec]->format);
    row_.message.clear();
    const auto arguments = row_.capture->arguments();
    row_.message = t.format->texts[0];
    for (std::size_t i = 0; i < arguments.size(); i++) {
        writer_.append_text(row_.message, arguments[i],
                            read_captured(arguments[i], i, kHead, record), row_.user);
        row_.message += t.format->texts[i + 1];
    }
    if (row_.message.find(options_.message) == std::string::npos)
        return nullptr;
    row_.wall_us = clock_->wall_ns(head.task.time_ns) / 1000;
    if (options_.kernel || options_.user)
        row_.stacks.take(record, t.record_bytes(), head.task.pid);
    return &row_;
}

void Trace::print_json(Output& output, const Row& row)
{
    std::string& out = output.text();
    out += '{';
    output.fields(&row);
    if (const auto arguments = row.capture->arguments(); !arguments.empty()) {
        put_json_key(out, "args");
        out += '{';
        for (std::size_t i = 0; i < arguments.size(); i++) {
            put_json_key(out, arguments[i].name);
            writer_.append_json(out, arguments[i],
                                read_captured(arguments[i], i, kHead, row.record), row.user);
        }
        out += '}';
    }
}

// -A: the line with its stacks is what is counted.
void Trace::count(Output& output, const Row& row)
{
    std::string& out = output.text();
    const std::size_t from = out.size();
    if (output.format() == Format::json) {
        print_json(output, row);
    } else {
        output.fields(&row);
        out += '\n';
        if (output.format() == Format::text)
            row.stacks.append(out);
    }
    counts_[out.substr(from)]++;
    out.resize(from);
}

bool Trace::mirror(Output& output, const void* data, const Session& session)
{
    const bool aggregates = session.given("aggregate");
    if (!aggregates && output.format() != Format::json)
        return false;
    if (!data) {
        output.header();
        return true;
    }
    const Row& row = *static_cast<const Row*>(data);
    if (aggregates) {
        row.trace->count(output, row);
        return true;
    }
    row.trace->print_json(output, row);
    output.text() += "}\n";
    return true;
}

void Trace::below(std::string& text, const void* data)
{
    const Row& row = *static_cast<const Row*>(data);
    const std::size_t before = text.size();
    row.stacks.append(text);
    if (text.size() != before)
        text += '\n';
}

void Trace::report(bool last)
{
    Output* const output = run->sink->output();
    if (!last || !output || counts_.empty())
        return;
    std::vector<const std::pair<const std::string, std::uint64_t>*> blocks;
    for (const auto& block : counts_)
        blocks.push_back(&block);
    std::ranges::stable_sort(blocks, std::greater{},
                             [](const auto* block) { return block->second; });
    std::string& out = output->text();
    for (const auto* block : blocks) {
        out += block->first;
        if (output->format() == Format::json)
            out += cat(",\"count\":", block->second, "}\n");
        else
            out += cat("-->COUNT ", block->second, "\n\n");
    }
    output->end_record();
}

// What the kit declares of a tool; the run is Trace's.
struct TraceTool {
    About about;
    std::span<const Option> options, positionals;
    std::span<const Letter> letters;
    Columns<Row> columns;
    std::span<const Need> needs;

    using Skeleton = trace_bpf;
    using Asked = Options;
    static constexpr Shared kShared = Shared::events | Shared::filter | Shared::symbols;

    std::unique_ptr<Run> open(std::unique_ptr<Session> session, const SinkMaker& make_sink) const
    {
        Options& o = *static_cast<Options*>(session->options.get());
        check(o, *session);
        auto state = std::make_unique<Trace>(*session, o);
        if (!state->attach(*session))
            return nullptr;
        if (o.kernel)
            say_hidden_names(*session);
        return make_run(std::move(state), std::move(session), make_sink, columns.list);
    }

    static void check(Options& o, Session& session)
    {
        if (o.specs.texts.empty())
            fail_usage("missing PROBE; for example: trace 'do_sys_openat2 \"%s\", arg2@user'");
        if (session.given("aggregate") && !o.max_events && !session.count)
            fail_usage("--aggregate requires --max-events");
        if (o.max_events)
            session.count = o.max_events;
        if (!o.cgroup_path.empty()) {
            session.cgroup = o.cgroup_path;
            session.given_names.insert("cgroup");
        }
        if (session.given("unix-timestamp")) // BCC: -tu
            session.given_names.erase("timestamp");
    }
};

constexpr TraceTool kTool{
    .about = {.name = "trace",
              .area = "dynamic",
              .summary = "Trace functions and tracepoints, with conditions and arguments",
              .details = "Prints one line each time a function, a tracepoint or a USDT probe runs "
                         "and its condition holds, with the arguments that its format names.",
              .examples = kExamples,
              .aliases = kAliases,
              .smoke = {"vfs_read"}},
    .options = kOptions,
    .positionals = kPositionals,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
