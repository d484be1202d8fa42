// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "ksnoop.h"
#include "call.hpp"
#include "function_info.hpp"
#include "instances.hpp"
#include "output/escape.hpp"
#include "output/task_columns.hpp"
#include "shape/stream.hpp"
#include "show.hpp"
#include "snoop_plan.hpp"
#include <algorithm>
#include <csignal>
#include <cstring>

#include "ksnoop.skel.h"

namespace
{
using namespace corebox;
using P = decltype(ksnoop_bpf::progs);

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
    void prepare(Snooped& snooped);
    void configure(ksnoop_bpf& s, const Snooped& snooped);
    const void* take(std::span<const std::byte> record);
    void append_value(std::string& out, const Row& row, const ShownValue& value,
                      std::size_t indent);
    void print_text(Output& output, const Row& row);
    void print_json(Output& output, const Row& row);

    Options& options_;
    const Session& session_; // as long as its run
    KernelSide kernel_;
    SnoopPlan plan_;
    std::deque<Snooped>& snooped_;
    Instances<ksnoop_bpf> instances_;
    std::optional<EventReader> reader_;
    std::optional<RowStream> rows_;
    ArgumentWriter writer_;
    Row row_;
};

Ksnoop::Ksnoop(Session& session, Options& options)
    : options_(options), session_(session), kernel_(session), plan_(kernel_),
      snooped_(plan_.functions()), writer_(kernel_.types())
{
    kernel_.lend_types(session);
    for (const std::string_view text : options_.specs.texts)
        try {
            plan_.add(text, session);
        } catch (const expr::TextError& error) {
            expr::fail_at("cannot trace this", text, error);
        }
    if (options_.chain && snooped_.size() < 2)
        fail_usage("--stack requires two functions or more, the caller first");
}

void Ksnoop::prepare(Snooped& t)
{
    plan_.prepare(t);
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
    config.most = plan_.record_bytes();
    config.chain = options_.chain;
    config.held = !options_.chain && t.entry.is_shown && t.leave.has_condition;
    config.shows_entry = t.entry.is_shown;
    config.shows_return = t.leave.is_shown;
    config.reads_entry = t.entry.is_shown || t.entry.has_condition || options_.chain;
    s.rodata->cfg = config;
    bpf_map__set_value_size(s.maps.body_slots,
                            std::uint32_t(sizeof(body_slot)) + plan_.record_bytes());
    bpf_map__set_autocreate(s.maps.cb_calls, false);
    bpf_map__set_max_entries(s.maps.cb_threads, call_threads_room());
    // As many as fit into 16 MiB; each CPU keeps some of them for itself.
    constexpr std::uint32_t kHeldBytes = 16 << 20;
    const bool holds = options_.chain || std::ranges::any_of(snooped_, [](const Snooped& other) {
                           return other.leave.has_condition;
                       });
    bpf_map__set_value_size(s.maps.ksnoop_held, plan_.record_bytes());
    bpf_map__set_max_entries(s.maps.ksnoop_held,
                             holds ? std::max(kHeldBytes / plan_.record_bytes(), 1024u) : 1);
    instances_.share(s, &decltype(s.maps)::cb_threads);
    instances_.share(s, &decltype(s.maps)::ksnoop_held);
    s.rodata->cb_functions.count = std::uint32_t(snooped_.size());
    t.probes->use(s.maps.cb_function_ids);
}

bool Ksnoop::attach(Session& session)
{
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
        for (const ShownValue& value : plan_.values(row_.capture)) {
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
        return read_captured(arguments[i], i, kSnoopHead, row.record);
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
    for (const ShownValue& value : plan_.values(row.capture)) {
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
    const std::vector<ShownValue>& values = plan_.values(row.capture);
    const auto read = [&](std::size_t i) {
        return read_captured(arguments[i], i, kSnoopHead, row.record);
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
