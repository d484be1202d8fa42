// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "ksnoop.h"
#include "call.hpp"
#include "function_info.hpp"
#include "instances.hpp"
#include "output/escape.hpp"
#include "output/task_columns.hpp"
#include "shape/stream.hpp"
#include "show.hpp"
#include <algorithm>
#include <csignal>
#include <cstring>
#include <deque>
#include <map>

#include "ksnoop.skel.h"

namespace
{
using namespace corebox;
using P = decltype(ksnoop_bpf::progs);

constexpr std::size_t kMostFunctions = 64;
constexpr std::uint32_t kMostOfStructure = 2048; // bytes, as BCC's
constexpr std::uint32_t kTextBytes = 128;

struct Options {
    SpecList specs;
    bool chain = false;
    FunctionProbes* probes = nullptr; // of the instance that is being attached
};

class Ksnoop;

struct Row {
    task_info task{};
    std::uint16_t cpu = 0;
    std::string_view function{};
    bool is_return = false;
    std::uint64_t lat_ns = 0;
    // What text and JSON have besides the columns.
    const Capture* capture = nullptr;
    std::span<const std::byte> record{};
    Ksnoop* ksnoop = nullptr;
    std::string values{};
};

constexpr RecordHead kHead{.size = sizeof(ksnoop_record),
                           .missing = offsetof(ksnoop_record, missing),
                           .undecided = offsetof(ksnoop_record, undecided)};
static_assert(sizeof(ksnoop_record) % 8 == 0);

// A value as it is shown: the pointer, what it leads to, or a value that is no pointer. Numbers of
// captured values.
struct ShownValue {
    std::string name;
    std::optional<std::size_t> pointer{}, value{};
};

// The entry or the return of a function: what is read there.
struct Moment {
    Tap tap;
    Forms forms;
    bool is_shown = false, has_condition = false;
};

// One instance of the object.
struct Snooped {
    const SnoopSpec* spec = nullptr;
    const ProbeSpec* probe = nullptr;
    Moment entry, leave;
    std::unique_ptr<FunctionProbes> probes;
    std::array<Target, 1> targets{};
    std::vector<Need> needs;
    std::vector<std::byte> object;
    KernelSide::Maps entry_maps, leave_maps;
};

constexpr Example kExamples[] = {
    {"ksnoop vfs_open", "Trace a function with its arguments and what it returns"},
    {"ksnoop info vfs_open", "Print its signature and the structures of its parameters"},
    {"ksnoop 'vfs_read(file->f_path.dentry->d_name.name, count > 4096, return)'",
     "Trace large reads: the file, the size and the result"},
    {"ksnoop -p 181 'tcp_sendmsg(sk, return < 0)'", "Trace calls of process 181 that fail"},
    {"ksnoop -s tcp_sendmsg ip_output", "Trace only calls of ip_output() below tcp_sendmsg()"},
};

constexpr Option kPositionals[] = {
    repeated(opt<&Options::specs>(0, "function", "[info|trace] FUNCTION...",
                                  "Functions: name, or 'name(value, value > 5, return)'")),
};

constexpr Option kOptions[] = {
    flag<&Options::chain>('s', "stack", "Show only calls within each other, in this order"),
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'P', "buffer-pages"}, {'d', "debug"}};

constexpr Column kColumns[] = {
    col<[](const Row& r) { return r.task.time_ns; }>("ktime_ns", "TIME", -16,
                                                     "Nanoseconds of the kernel's clock"),
    time_column<&Row::task>(kJsonOnly),
    col<&Row::cpu>("cpu", "CPU", -4, "CPU"),
    col<&Row::task, &task_info::pid>("pid", "PID", -8, "Process ID"),
    col<&Row::task, &task_info::tid>("tid", "TID", 7, "Thread ID", kJsonOnly),
    col<&Row::task, &task_info::uid>("uid", "UID", 7, "User ID", kJsonOnly),
    col<&Row::task, &task_info::comm>("comm", "COMM", 15, "Command name of the thread", kJsonOnly),
    col<[](const Row& r) { return Trusted{r.is_return ? "return" : "entry"}; }>(
        "event", "EVENT", 6, "entry or return", kJsonOnly),
    col<[](const Row& r) {
        return r.is_return ? Value(Fixed{r.lat_ns, 3}) : Value(Absent{});
    }>("lat_us", "LAT(us)", -10, "From entry to return, in microseconds", kJsonOnly)
        .as(ColumnType::decimal),
    col<&Row::function>("function", "FUNCTION/ARGS", 0, "Function"),
    col<[](const Row& r) { return Value(std::string_view(r.values)); }>(
        "values", "VALUES", 0, "Values in one line; JSON has args", costly("columns"))
        .as(ColumnType::text),
};

constexpr Need kNeeds[] = {
    {.what = "calls of the function and their returns",
     .rungs = {rung<&P::leave_fexit, &P::enter_fentry>("fexit"),
               call_rung<&Options::probes, &FunctionProbes::attach_kprobes, Options,
                         &P::leave_kprobe, &P::enter_kprobe>("kprobe")},
     .chosen = true},
    {.what = "threads as they end", .rungs = {rung<&P::call_thread_end>("raw_tp")}, .chosen = true},
};

// The state of a run.
class Ksnoop
{
public:
    Ksnoop(Session& session, Options& options);

    // False: the user only asked whether it can run.
    bool attach(Session& session);

    Account make_account() { return instances_.make_account(); }
    void started();
    int data_fd() const { return reader_->epoll_fd(); }
    void begin() { rows_->begin(); }
    bool drain() { return rows_->drain(); }
    std::uint64_t count_unread() const { return reader_->count_unread(); }
    bool is_complete() const { return rows_->is_complete(); }
    void detach();

    static const void* decode(void* self, const void* record, std::size_t size);
    static bool mirror(Output& output, const void* row, const Session& session);

    Ksnoop& tracing{*this}; // whom make_run() asks for the account
    Run* run = nullptr;

private:
    void add(std::string_view text, const Session& session);
    void prepare(Snooped& snooped);
    Forms make_forms(Snooped& snooped, Moment& moment);
    void fill(Capture& capture, const Snooped& snooped, const Moment& moment);
    void add_parameters(Capture& capture, const Snooped& snooped, const Place& place);
    void show(Capture& capture, std::string_view name, const Piece& piece);
    void configure(ksnoop_bpf& s, const Snooped& snooped);
    const void* take(std::span<const std::byte> record);
    void append_value(std::string& out, const Row& row, const ShownValue& value,
                      std::size_t indent);
    void print_text(Output& output, const Row& row);
    void print_json(Output& output, const Row& row);

    Options& options_;
    const Session& session_; // as long as its run
    KernelSide kernel_;
    std::vector<std::unique_ptr<SnoopSpec>> specs_;
    std::vector<std::unique_ptr<ProbeSpec>> probes_;
    std::deque<Snooped> snooped_;
    std::deque<std::string> texts_; // of expressions that the user did not write
    std::map<const Capture*, std::vector<ShownValue>> values_;
    std::uint32_t most_ = sizeof(ksnoop_record); // bytes of a record
    Instances<ksnoop_bpf> instances_;
    std::optional<EventReader> reader_;
    std::optional<RowStream> rows_;
    ArgumentWriter writer_;
    Row row_;
};

Ksnoop::Ksnoop(Session& session, Options& options)
    : options_(options), session_(session), kernel_(session), writer_(kernel_.types())
{
    for (const std::string_view text : options_.specs.texts)
        try {
            add(text, session);
        } catch (const expr::TextError& error) {
            expr::fail_at("cannot trace this", text, error);
        }
    if (snooped_.size() > kMostFunctions)
        fail_usage(cat("more than ", kMostFunctions, " functions"));
    if (options_.chain && snooped_.size() < 2)
        fail_usage("--stack requires two functions or more, the caller first");
}

// Each function of a pattern has its own parameters, and so an instance of its own.
void Ksnoop::add(std::string_view text, const Session& session)
{
    specs_.push_back(std::make_unique<SnoopSpec>(text));
    const SnoopSpec& spec = *specs_.back();
    probes_.push_back(std::make_unique<ProbeSpec>(cat("p::", spec.function.text)));
    for (Tap& tap : find_taps(*probes_.back(), session, true))
        for (Point& point : tap.points) {
            const bool is_known = std::ranges::any_of(snooped_, [&](const Snooped& other) {
                return other.entry.tap.points[0].name == point.name;
            });
            if (is_known)
                throw expr::TextError(spec.function.at, spec.function.text.size(),
                                      cat(point.name, " is given twice"));
            Snooped& snooped = snooped_.emplace_back();
            snooped.spec = &spec;
            snooped.probe = probes_.back().get();
            snooped.entry.tap = {.place = {.kind = PlaceKind::entry,
                                           .is_wrapper = is_syscall_wrapper(point.name),
                                           .name = point.name},
                                 .points = {std::move(point)},
                                 .may_be_typed = true};
        }
}

// A value, and what it leads to.
void Ksnoop::show(Capture& capture, std::string_view name, const Piece& piece)
{
    std::vector<ShownValue>& values = values_[&capture];
    const expr::Types& types = kernel_.types();
    ShownValue shown{.name = std::string(name)};
    const std::size_t first = capture.arguments().size();
    const auto add = [&](const Piece& what, char letter) {
        capture.add(what, {.letter = letter}, expr::TypeId::none, name);
    };
    add(piece, 0);
    const Captured& captured = capture.arguments().back();
    const expr::Type type = types[captured.type];
    if (captured.form != Captured::Form::number || captured.show != expr::Show::number ||
        type.kind != expr::Type::Kind::pointer) {
        shown.value = first;
        values.push_back(std::move(shown));
        return;
    }
    shown.pointer = first;
    const expr::Type target = types[type.target];
    if (type.target == expr::TypeId::none)
        ;
    else if (target.is_char || (target.kind == expr::Type::Kind::structure && target.size))
        add(piece, 's');
    else if (target.is_number() || target.kind == expr::Type::Kind::pointer)
        add({texts_.emplace_back(cat("*(", piece.text, ")")), piece.at}, 0);
    if (capture.arguments().size() > first + 1)
        shown.value = first + 1;
    values.push_back(std::move(shown));
}

void Ksnoop::add_parameters(Capture& capture, const Snooped& snooped, const Place& place)
{
    const Piece& function = snooped.spec->function;
    const auto show_named = [&](std::string name) {
        const std::string& text = texts_.emplace_back(std::move(name));
        show(capture, text, {text, function.at});
    };
    if (place.is_wrapper) { // of a system call, whose own parameters BTF does not have
        for (unsigned i = 1; i <= 6; i++)
            show_named(cat("arg", i));
        return;
    }
    if (!place.prototype)
        throw expr::TextError(function.at, function.text.size(),
                              cat("no BTF describes ", place.name),
                              "name registers instead: FUNCTION(arg1, return)");
    for (const expr::Parameter& p : place.prototype->parameters) {
        const expr::Type& type = kernel_.types()[p.type];
        // No expression has others; `info` shows them.
        if (!p.name.empty() && (type.is_number() || type.kind == expr::Type::Kind::pointer))
            show_named(p.name);
    }
}

void Ksnoop::fill(Capture& capture, const Snooped& snooped, const Moment& moment)
{
    const bool is_return = &moment == &snooped.leave;
    values_[&capture].clear();
    capture.limit_structures(kMostOfStructure);
    if (is_return)
        capture.wrap_names([](expr::Names names) { return with_return(std::move(names)); });
    const SnoopSpec& spec = *snooped.spec;
    for (const SnoopSpec::Argument& argument : spec.arguments) {
        if (argument.of_return != is_return)
            continue;
        if (argument.is_condition) {
            capture.set_condition(argument.whole);
            if (!capture.is_decided_by_kernel())
                throw expr::TextError(argument.whole.at, argument.whole.text.size(),
                                      "the kernel cannot decide this", "use == or a pattern of ~");
        }
        const Piece& value = argument.value;
        const bool is_shown = std::ranges::any_of(
            values_[&capture], [&](const ShownValue& other) { return other.name == value.text; });
        if (!value.text.empty() && !is_shown)
            show(capture, value.text, value);
    }
    if (!spec.has_list && !is_return)
        add_parameters(capture, snooped, moment.tap.place);
    const auto& prototype = moment.tap.place.prototype;
    if (!spec.has_list && is_return && (!prototype || prototype->returns != expr::TypeId::none))
        show(capture, "return", {"return", spec.function.at});
    capture.lay_out(kTextBytes);
}

Forms Ksnoop::make_forms(Snooped& snooped, Moment& moment)
{
    Place& place = moment.tap.place;
    place.record_pid = offsetof(ksnoop_record, task.pid);
    place.record_tid = offsetof(ksnoop_record, task.tid);
    Forms forms = kernel_.make_forms(moment.tap, *snooped.probe, kHead,
                                     [&](Capture& capture) { fill(capture, snooped, moment); });
    most_ = forms.record_bytes(most_);
    return forms;
}

void Ksnoop::prepare(Snooped& t)
{
    const SnoopSpec& spec = *t.spec;
    try {
        kernel_.describe(t.entry.tap, *t.probe);
        t.leave.tap = t.entry.tap;
        t.leave.tap.place.kind = PlaceKind::returns;
        t.entry.forms = make_forms(t, t.entry);
        t.leave.forms = make_forms(t, t.leave);
        for (const body_form form : {BODY_TYPED, BODY_PLAIN})
            if (!t.entry.forms.captures[form] || !t.leave.forms.captures[form]) {
                t.entry.forms.captures[form].reset();
                t.leave.forms.captures[form].reset();
            }
        if (!t.entry.forms.captures[BODY_TYPED] && !t.entry.forms.captures[BODY_PLAIN])
            throw expr::TextError(0, spec.text.size(), "entry and return need different probes");
    } catch (const expr::TextError& error) {
        expr::fail_at("cannot trace this", spec.text, error);
    }
    t.entry.is_shown = !spec.has_list;
    t.leave.is_shown = !spec.has_list;
    for (const SnoopSpec::Argument& argument : spec.arguments) {
        Moment& moment = argument.of_return ? t.leave : t.entry;
        moment.has_condition |= argument.is_condition;
        moment.is_shown |= !argument.value.text.empty();
    }
    if (spec.has_list && spec.arguments.empty()) // f(): its calls
        t.entry.is_shown = true;
    if (!t.entry.is_shown && !t.leave.is_shown) // conditions only
        (t.leave.has_condition ? t.leave : t.entry).is_shown = true;
    t.probes = std::make_unique<FunctionProbes>(t.entry.tap.points);
    const Point& point = t.entry.tap.points[0];
    t.targets[0] = {"%function", point.name, point.module};
    t.needs.push_back(kNeeds[0]);
    if (!t.entry.forms.captures[BODY_PLAIN])
        t.needs[0].rungs[1] = {};
    if (!t.entry.forms.captures[BODY_TYPED])
        t.needs[0].rungs[0] = std::exchange(t.needs[0].rungs[1], {});
    if (&t == &snooped_.front()) // whose map all share
        t.needs.push_back(kNeeds[1]);
}

void Ksnoop::configure(ksnoop_bpf& s, const Snooped& t)
{
    const auto number =
        std::uint32_t(std::ranges::find(snooped_, &t, [](const Snooped& other) { return &other; }) -
                      snooped_.begin());
    ksnoop_config config{};
    config.function = number;
    config.last = std::uint32_t(snooped_.size() - 1);
    config.most = most_;
    config.chain = options_.chain;
    config.held = !options_.chain && t.entry.is_shown && t.leave.has_condition;
    config.shows_entry = t.entry.is_shown;
    config.shows_return = t.leave.is_shown;
    config.reads_entry = t.entry.is_shown || t.entry.has_condition || options_.chain;
    s.rodata->cfg = config;
    bpf_map__set_value_size(s.maps.body_slots, std::uint32_t(sizeof(body_slot)) + most_);
    bpf_map__set_autocreate(s.maps.cb_calls, false);
    bpf_map__set_max_entries(s.maps.cb_threads, call_threads_room());
    // As many as fit into 16 MiB; each CPU keeps some of them for itself.
    constexpr std::uint32_t kHeldBytes = 16 << 20;
    const bool holds = options_.chain || std::ranges::any_of(snooped_, [](const Snooped& other) {
                           return other.leave.has_condition;
                       });
    bpf_map__set_value_size(s.maps.ksnoop_held, most_);
    bpf_map__set_max_entries(s.maps.ksnoop_held, holds ? std::max(kHeldBytes / most_, 1024u) : 1);
    instances_.share(s, &decltype(s.maps)::cb_threads);
    instances_.share(s, &decltype(s.maps)::ksnoop_held);
    s.rodata->cb_functions.count = std::uint32_t(snooped_.size());
    t.probes->use(s.maps.cb_function_ids);
}

bool Ksnoop::attach(Session& session)
{
    kernel_.lend_types(session);
    for (Snooped& t : snooped_)
        prepare(t);
    for (Snooped& t : snooped_)
        t.object = kernel_.make_object(ksnoop_bpf::elf_bytes,
                                       {{t.entry.forms, "entry_typed", "entry_plain", t.entry_maps},
                                        {t.leave.forms, "body_typed", "body_plain", t.leave_maps}});
    for (Snooped& t : snooped_) {
        options_.probes = t.probes.get();
        session.targets = t.targets;
        instances_.attach(
            session, t.needs, t.object, [&](ksnoop_bpf& s) { configure(s, t); },
            [&](ksnoop_bpf& s, bool perf) {
                reader_.emplace(s.maps.cb_events, perf, session.buffer_bytes());
            });
    }
    return !session.check;
}

void Ksnoop::started()
{
    rows_.emplace(*run, *reader_, decode, this, mirror, nullptr, nullptr);
    row_.ksnoop = this;
}

void Ksnoop::detach()
{
    auto& all = instances_.all();
    all.front()->bss->cb_call_ending = true;
    run->account.unreturned += unreturned_frames(all.front()->maps.cb_threads);
    instances_.detach();
    for (const Snooped& t : snooped_) {
        run->account.nested += t.probes->skipped();
        t.probes->detach();
    }
}

const void* Ksnoop::decode(void* self, const void* record, std::size_t size)
{
    return static_cast<Ksnoop*>(self)->take({static_cast<const std::byte*>(record), size});
}

const void* Ksnoop::take(std::span<const std::byte> record)
{
    const auto& head = *reinterpret_cast<const ksnoop_record*>(record.data());
    if (record.size() < sizeof head || head.function >= snooped_.size())
        return nullptr;
    const Snooped& t = snooped_[head.function];
    row_.task = head.task;
    row_.cpu = head.cpu;
    row_.lat_ns = head.lat_ns;
    row_.is_return = head.is_return;
    row_.record = record;
    row_.function = t.entry.tap.points[0].name;
    row_.capture = (head.is_return ? t.leave : t.entry).forms.captures[head.form & 1].get();
    if (!row_.capture)
        return nullptr;
    row_.values.clear();
    if (!session_.columns.empty())
        for (const ShownValue& value : values_[row_.capture]) {
            row_.values += cat(row_.values.empty() ? "" : ", ", value.name, " = ");
            append_value(row_.values, row_, value, 0);
        }
    return &row_;
}

// `indent` 0: in one line, and not escaped yet.
void Ksnoop::append_value(std::string& out, const Row& row, const ShownValue& shown,
                          std::size_t indent)
{
    const auto arguments = row.capture->arguments();
    const auto read = [&](std::size_t i) {
        return read_captured(arguments[i], i, kHead, row.record);
    };
    if (shown.pointer) {
        const CapturedValue pointer = read(*shown.pointer);
        out += pointer.missing ? "-" : cat("*(", to_hex(pointer.number), ")");
        if (pointer.missing || pointer.number == 0 || !shown.value)
            return;
        out += ' ';
    }
    const Captured& captured = arguments[*shown.value];
    const CapturedValue value = read(*shown.value);
    std::string text;
    if (captured.show == expr::Show::structure && !value.missing && indent)
        return append_lines(out, kernel_.types(), captured.type, value.bytes, indent);
    if (captured.form == Captured::Form::text && !value.missing)
        return indent ? escape_quoted(out, value.text(), false)
                      : void(out += cat('"', value.text(), '"'));
    writer_.append_text(text, captured, value, {});
    indent ? escape_text(out, text, false) : void(out += text);
}

void Ksnoop::print_text(Output& output, const Row& row)
{
    constexpr std::size_t kIndent = 35; // as BCC's
    std::string& out = output.text();
    output.fields(&row);
    out += '(';
    for (const ShownValue& value : values_[row.capture]) {
        out += '\n';
        out.append(kIndent, ' ');
        escape_text(out, value.name, false);
        out += " = ";
        append_value(out, row, value, kIndent);
    }
    out += '\n';
    out.append(kIndent, ' ');
    out += ");\n\n";
}

void Ksnoop::print_json(Output& output, const Row& row)
{
    std::string& out = output.text();
    const auto arguments = row.capture->arguments();
    const std::vector<ShownValue>& values = values_[row.capture];
    const auto read = [&](std::size_t i) {
        return read_captured(arguments[i], i, kHead, row.record);
    };
    out += '{';
    output.fields(&row);
    put_json_key(out, "args");
    out += '{';
    for (const ShownValue& value : values) {
        put_json_key(out, value.name);
        if (value.value)
            writer_.append_json(out, arguments[*value.value], read(*value.value), {});
        else if (const CapturedValue pointer = read(*value.pointer); pointer.missing)
            out += "null";
        else
            put_json_string(out, to_hex(pointer.number));
    }
    out += '}';
    put_json_key(out, "pointers");
    out += '{';
    for (const ShownValue& value : values)
        if (value.pointer)
            if (const CapturedValue pointer = read(*value.pointer); !pointer.missing) {
                put_json_key(out, value.name);
                put_json_string(out, to_hex(pointer.number));
            }
    out += "}}\n";
}

bool Ksnoop::mirror(Output& output, const void* data, const Session& session)
{
    if (output.format() == Format::csv ||
        (output.format() == Format::text && !session.columns.empty()))
        return false;
    if (!data) {
        output.header();
        return true;
    }
    const Row& row = *static_cast<const Row*>(data);
    if (output.format() == Format::json)
        row.ksnoop->print_json(output, row);
    else
        row.ksnoop->print_text(output, row);
    return true;
}

// `ksnoop info`.
void print_info(const Options& options, const Session& session, Sink& sink)
{
    Output* const output = sink.output();
    if (session.format == Format::csv || !output)
        fail_usage("info prints text or JSON");
    KernelSide kernel(session);
    for (const std::string_view text : options.specs.texts)
        try {
            const SnoopSpec spec(text);
            if (session.format == Format::text && text.data() != options.specs.texts[0].data())
                output->text() += '\n';
            append_function_info(output->text(), kernel, spec, session.format == Format::json);
            output->end_record();
        } catch (const expr::TextError& error) {
            expr::fail_at("cannot show this", text, error);
        }
    sink.flush();
    if (sink.state() == Sink::State::failed)
        throw Failure{Exit::output,
                      cat("cannot write to standard output: ", strerrordesc_np(sink.error()))};
}

// What the kit declares of a tool; the run is Ksnoop's.
struct KsnoopTool {
    About about;
    std::span<const Option> options, positionals;
    std::span<const Letter> letters;
    Columns<Row> columns;
    std::span<const Need> needs;

    using Skeleton = ksnoop_bpf;
    using Asked = Options;
    static constexpr Shared kShared = Shared::events | Shared::filter | Shared::symbols;

    std::unique_ptr<Run> open(std::unique_ptr<Session> session, const SinkMaker& make_sink) const
    {
        Options& o = *static_cast<Options*>(session->options.get());
        auto& texts = o.specs.texts;
        const bool is_info = !texts.empty() && texts[0] == "info";
        if (is_info || (!texts.empty() && texts[0] == "trace"))
            texts.erase(texts.begin());
        if (texts.empty())
            fail_usage("missing FUNCTION; for example: ksnoop vfs_open");
        if (is_info) {
            std::signal(SIGPIPE, SIG_IGN); // a reader that goes away is an end like any other
            if (!session->check)
                print_info(o, *session, *make_sink(*session, columns.list));
            return nullptr;
        }
        auto state = std::make_unique<Ksnoop>(*session, o);
        if (!state->attach(*session))
            return nullptr;
        return make_run(std::move(state), std::move(session), make_sink, columns.list);
    }
};

constexpr KsnoopTool kTool{
    .about = {.name = "ksnoop",
              .area = "dynamic",
              .summary = "Trace kernel functions with arguments and return values as C has them",
              .details =
                  "Shows arguments when a function is called and its result when it returns, "
                  "with the members of structures, by the types of the kernel's BTF.",
              .examples = kExamples,
              .smoke = {"vfs_read"}},
    .options = kOptions,
    .positionals = kPositionals,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
