// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "funcslower.h"
#include "call.hpp"
#include "call_stacks.hpp"
#include "output/task_columns.hpp"
#include "shape/hidden_names.hpp"
#include "shape/stream.hpp"
#include <algorithm>

#include "funcslower.skel.h"

namespace
{
using namespace corebox;

// A time with a fraction.
template <std::uint64_t UnitNs>
struct Time {
    std::uint64_t ns = 0;

    static std::string parse(std::string_view s, Time& out)
    {
        Seconds seconds{};
        if (!detail::parse_seconds(s, seconds).empty())
            return "a number such as 1 or 0.5";
        out.ns = seconds.count() / (1'000'000'000 / UnitNs);
        return {};
    }
};

struct Options : funcslower_config, CallOptions {
    std::vector<std::string_view> patterns;
    Time<1'000'000> min_ms;
    Time<1'000> min_us;
    bool folded = false;
    std::uint32_t storage = STACK_STORAGE;
    std::unique_ptr<CallStacks> stacks;
};

struct Row {
    task_info task;
    std::uint64_t lat_ns, ret;
    std::string_view function;
    std::array<std::string, FUNCSLOWER_ARGS> arg_texts;
    std::array<std::string_view, FUNCSLOWER_ARGS> args;
    std::size_t args_size;
    Frames kernel, user;
};

constexpr Example kExamples[] = {
    {"funcslower vfs_read", "Trace calls of vfs_read() of 1 ms or longer"},
    {"funcslower -u 10 -a 2 c:open vfs_open",
     "Trace calls of 10 microseconds or longer, with two arguments"},
    {"funcslower -m 50 -UK -p 181 'vfs_*'", "Trace slow calls in process 181, with stacks"},
    {"funcslower -f -U -m 1 c:read > out.folded", "Write folded stacks for flame graphs"},
};

constexpr Option kPositionals[] = {
    repeated(
        opt<&Options::patterns>(0, "function", "FUNCTION...",
                                "Functions: vfs_read, 'ext4_*', c:malloc, /path/program:name")),
};

constexpr Option kOptions[] = {
    opt<&Options::min_ms>('m', "min-ms", "MS", "Skip calls shorter than this (default: 1; 0: all)"),
    opt<&Options::min_us>('u', "min-us", "US", "Skip shorter calls, and show microseconds"),
    opt<&Options::args>('a', "arguments", "N", "Print the first N arguments (at most 6)",
                        {1, FUNCSLOWER_ARGS}),
    show('T', "time", "Print the time of day"),
    show('t', "timestamp", "Print seconds since the first event"),
    flag<&Options::folded>('f', "folded", "Print one line per stack, for flame graphs"),
    flag<&Options::user_stack>('U', "user-stack", "Print the user stack"),
    flag<&Options::kernel_stack>('K', "kernel-stack", "Print the kernel stack"),
    show('r', "regexp", "Treat the functions as regular expressions"),
    opt<&Options::storage>(0, "stack-storage-size", "STACKS",
                           "Limit the number of stacks (default: 16384)", {1, 1 << 22}),
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'d', "duration"}};

constexpr Column kColumns[] = {
    time_column<&Row::task>(with("time")),
    since_column<&Row::task>(with("timestamp")),
    col<&Row::task, &task_info::comm>("comm", "COMM", 14, "Command name of the thread"),
    col<&Row::task, &task_info::pid>("pid", "PID", 6, "Process ID"),
    col<&Row::task, &task_info::tid>("tid", "TID", 6, "Thread ID", kJsonOnly),
    col<&Row::task, &task_info::uid>("uid", "UID", 6, "User ID", kJsonOnly),
    col<[](const Row& r) {
        return Fixed{r.lat_ns / 10'000, 2};
    }>("lat_ms", "LAT(ms)", -8, "Duration in milliseconds", without("min-us"))
        .from<fixed(field<&funcslower_event::lat_ns> / 10'000, 2)>(),
    col<[](const Row& r) {
        return Fixed{r.lat_ns / 10, 2};
    }>("lat_us", "LAT(us)", -8, "Duration in microseconds", with("min-us"))
        .from<fixed(field<&funcslower_event::lat_ns> / 10, 2)>(),
    col<&Row::lat_ns>("lat_ns", "LAT(ns)", -12, "Duration in nanoseconds", kJsonOnly)
        .from<field<&funcslower_event::lat_ns>>(),
    col<[](const Row& r) { return Hex{r.ret}; }>("rval", "RVAL", -18,
                                                 "Return value: the full register")
        .from<field<&funcslower_event::ret>>(),
    col<[](const Row& r) { return Value(r.function); }>("function", "FUNC", 24,
                                                        "Name of the function")
        .as(ColumnType::text),
    col<[](const Row& r) {
        return List{r.args.data(), r.args_size, List::Join::blank};
    }>("args", "ARGS", 0, "Arguments: the registers", costly("arguments")),
    col<[](const Row& r) { return StackRow::names(r.kernel); }>(
        "kernel", "KERNEL", 0, "Kernel functions, leaf first", kJsonOnly)
        .as(ColumnType::list),
    col<[](const Row& r) { return StackRow::names(r.user); }>(
        "user", "USER", 0, "User functions, leaf first", kJsonOnly)
        .as(ColumnType::list),
};

// Two patterns may choose one function.
bool same_place(const Point& a, const Point& b)
{
    if (a.kind != b.kind || a.name != b.name || a.module != b.module || a.address != b.address ||
        bool(a.object) != bool(b.object))
        return false;
    return !a.object ||
           (a.object->path == b.object->path && a.sites[0].offset == b.sites[0].offset);
}

// By fexit the result and the arguments are read by helpers of 5.17.
constexpr auto kNeeds = [] {
    auto needs = kCallNeeds<funcslower_bpf, Options>;
    needs[0].rungs[0].function = "get_func_ret";
    return needs;
}();

void prepare(Options& o, Session& session)
{
    if (o.patterns.empty())
        fail_usage("missing FUNCTION; for example: funcslower vfs_read");
    if (session.given("min-ms") && session.given("min-us"))
        fail_usage("--min-ms and --min-us exclude each other");
    if (o.folded && !o.kernel_stack && !o.user_stack)
        fail_usage("--folded requires --kernel-stack or --user-stack");
    constexpr std::uint64_t kDefaultNs = 1'000'000;
    o.min_ns = session.given("min-us")   ? o.min_us.ns
               : session.given("min-ms") ? o.min_ms.ns
                                         : kDefaultNs;
    std::vector<Point> points;
    for (const std::string_view pattern : o.patterns) {
        auto more = find_calls(pattern,
                               session.given("regexp") ? FunctionPattern::Syntax::regex
                                                       : FunctionPattern::Syntax::glob,
                               session);
        if (more.empty())
            fail(cat("cannot find a traceable function ", pattern), ENOENT);
        for (Point& point : more)
            if (std::ranges::none_of(points, [&](const Point& p) { return same_place(p, point); }))
                points.push_back(std::move(point));
    }
    o.choose(std::move(points), session);
    o.take_condition(session, kNeeds, funcslower_bpf::elf_bytes, kColumns);
}

void setup(funcslower_bpf& s, Options& o, const Session& session)
{
    prepare_calls(s, o);
    const bool entries = o.args || o.kernel_stack;
    bpf_map__set_max_entries(s.maps.cb_entries,
                             entries ? bpf_map__max_entries(s.maps.cb_threads) : 1);
    prepare_call_stacks(s, o.kernel_stack || o.user_stack ? o.storage : 0);
    if (!o.kernel_stack && !o.user_stack)
        return;
    if (o.user_stack)
        s.rodata->cb_event.wakeup_bytes = 0; // the process may end soon: read the record at once
    o.stacks = std::make_unique<CallStacks>(s.maps.cb_stacks, s.maps.cb_stacks_spill,
                                            o.kernel_stack, o.user_stack);
    for (const std::uint32_t pid : session.pids)
        o.stacks->note(pid);
}

// The leaf of a stack is the function that was called.
void begin_with(Frames& frames, std::string_view function, FrameKind kind)
{
    if (frames.state != Frames::State::there ||
        (!frames.names.empty() && frames.names[0].starts_with(function)))
        return;
    frames.names.insert(frames.names.begin(), function);
    frames.kinds.insert(frames.kinds.begin(), kind);
}

bool decode(Row& row, const Options& o, const void* record, std::size_t)
{
    const auto& event = *static_cast<const funcslower_event*>(record);
    row.task = event.task;
    row.lat_ns = event.lat_ns;
    row.ret = event.ret;
    row.function = event.function < o.size() ? std::string_view(o.point(event.function).name) : "?";
    row.args_size = o.args;
    for (std::size_t i = 0; i < o.args; i++) {
        row.arg_texts[i] = to_hex(event.args[i]);
        row.args[i] = row.arg_texts[i];
    }
    if (o.stacks) {
        const stack_task task{event.task.pid, event.image};
        if (event.user >= 0)
            o.stacks->meet(task);
        row.kernel = *o.stacks->kernel(event.kernel);
        row.user = *o.stacks->user(task, event.user);
        // The user stack is the caller's, and so are kernel stacks of fentry on some kernels.
        if (event.function >= o.kernel_size())
            begin_with(row.user, row.function, FrameKind::user);
        else
            begin_with(row.kernel, row.function, FrameKind::kernel);
    }
    return true;
}

void below(std::string& text, const void* data)
{
    const Row& row = *static_cast<const Row*>(data);
    append_frames(text, row.kernel, kMissedKernel);
    append_frames(text, row.user, kMissedUser);
}

bool stackless(const void* data)
{
    const Row& row = *static_cast<const Row*>(data);
    return row.kernel.state == Frames::State::lost || row.user.state == Frames::State::lost;
}

// --folded.
bool fold(Output& output, const void* data, const Session& session)
{
    if (!session.given("folded") || session.format != Format::text)
        return false;
    if (!data)
        return true;
    const Row& row = *static_cast<const Row*>(data);
    std::vector<StackFrame> user, kernel;
    append_stack(user, row.user, kMissedUser, false);
    append_stack(kernel, row.kernel, kMissedKernel, false);
    const std::string_view comm(row.task.comm, ::strnlen(row.task.comm, sizeof row.task.comm));
    append_folded(output.text(), comm, user, kernel, 1, {.delimiter = true});
    return true;
}

constexpr Stream<funcslower_bpf, Options, Row> kTool{
    .about = {.name = "funcslower",
              .area = "dynamic",
              .summary = "Trace slow calls of functions",
              .details = "Prints one line for each slow call of a function of the kernel, a "
                         "library or a program, when it returns.",
              .examples = kExamples,
              .smoke = {"vfs_read"}},
    .options = kOptions,
    .positionals = kPositionals,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .targets = [](const Options& o) { return o.targets(); },
    .setup = setup,
    .decode = decode,
    .mirror = fold,
    .below = below,
    .stackless = stackless,
    .also = Shared::symbols,
    .prepare = prepare,
    .chosen = [](const Options& o) { return chosen_calls(kNeeds, o); },
    .attached =
        [](const Options& o, const Session& session) {
            say_traced(o, session);
            if (o.kernel_stack)
                say_hidden_names(session);
        },
    .ending = [](funcslower_bpf& s, Options& o) { end_calls(s, o); },
    .detached =
        [](funcslower_bpf&, Options& o, Account& account) {
            o.detach();
            account.unreturned = o.unreturned;
        },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
