// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "opensnoop.h"
#include "base/path.hpp"
#include "open_flags.hpp"
#include "output/path_field.hpp"
#include "output/task_columns.hpp"
#include "shape/event_stacks.hpp"
#include "shape/stream.hpp"

#include "opensnoop.skel.h"

namespace
{
using namespace corebox;
using P = decltype(opensnoop_bpf::progs);

struct Options : open_config {
    std::string_view name;
};

struct Row {
    task_info task{};
    Value fd, err, error, flags, mode;
    std::string_view path;
    std::string full; // memory of a full path
    EventStacks callers;
};

constexpr Example kExamples[] = {
    {"opensnoop -x -p 181", "Trace failed opens of process 181"},
    {"opensnoop -c -p 181", "Show the code in process 181 that opens files"},
    {"opensnoop -F -- make", "Trace the opens of make and its children, with full paths"},
};

constexpr Option kOptions[] = {
    show('T', "timestamp", "Print seconds since the first event"),
    show('U', "print-uid", "Print the user ID"),
    flag<&Options::failed>('x', "failed", "Trace only failed opens"),
    opt<&Options::name>('n', "name", "TEXT", "Trace only commands whose name contains TEXT"),
    show('e', "extended-fields", "Print open flags and mode", "extended"),
    bits<&Options::flag_mask, open_flag>('f', "flag-filter", "FLAG",
                                         "Trace only opens with one of these flags"),
    flag<&Options::full_path>('F', "full-path", "Print full paths for relative names"),
    flag<&Options::callers>('c', "callers", "Print the functions that called each open"),
};

constexpr Letter kLetters[] = {
    {'p', "pid"}, {'t', "tid"}, {'u', "uid"}, {'d', "duration"}, {'b', "buffer-pages"}};

constexpr Formula kRet = field<&open_event::ret>;
constexpr Formula kIsKnown = kRet != URING_RESULT_UNKNOWN;
constexpr Formula kFlags = field<&open_event::flags>;

constexpr Column kColumns[] = {
    since_column<&Row::task>(with("timestamp")),
    time_column<&Row::task>(kJsonOnly),
    col<&Row::task, &task_info::uid>("uid", "UID", 6, "User ID", with("print-uid")),
    col<&Row::task, &task_info::pid>("pid", "PID", 7, "Process ID", without("tid")),
    col<&Row::task, &task_info::tid>("tid", "TID", 7, "Thread ID", with("tid")),
    col<&Row::task, &task_info::comm>("comm", "COMM", 16, "Command name of the thread"),
    col<&Row::fd>("fd", "FD", 4, "File descriptor, -1 on failure, ? if not known")
        .from<present(kIsKnown, result_of(kRet))>(),
    col<&Row::err>("err", "ERR", 4, "errno, 0 on success")
        .from<present(kIsKnown, errno_of(kRet))>(),
    col<&Row::error>("error", "ERROR", 8, "Name of the errno", kJsonOnly).as(ColumnType::text),
    col<&Row::flags>("flags", "FLAGS", 8, "Flags of open(2), octal", with("extended-fields"))
        .from<kFlags & visible_flags(~0u)>(),
    col<&Row::mode>("mode", "MODE", 4, "Mode of a new file, octal", with("extended-fields"))
        .from<present((kFlags & kCreatingFlags) != 0, field<&open_event::mode>)>(),
    col<[](const Row& r) { return r.callers.user(); }>(
        "callers", "CALLERS", 0, "Functions that called the open, leaf first", json_with("callers"))
        .as(ColumnType::list),
    col<&Row::path>("path", "PATH", 0, "Path passed to the call; the full path with -F")
        .from<path_field<&open_event::path>>(),
};

constexpr Need kNeeds[] = {
    {.what = "opens as they return",
     .rungs = {rung<&P::open_fexit>("fexit"),
               rung_any<&P::enter_open, &P::leave_open, &P::enter_creat, &P::leave_creat,
                        &P::enter_openat, &P::leave_openat, &P::enter_openat2, &P::leave_openat2>(
                   "tracepoint", "opens of 32-bit programs"),
               rung<&P::open_kprobe, &P::open_kretprobe>("kprobe")}},
    {.what = "opens by io_uring",
     .rungs = {rung<&P::uring_session>("session"), // they are few: what counts is how fast it
                                                   // attaches
               rung<&P::uring_kprobe, &P::uring_kretprobe>("kprobe"),
               rung<&P::uring_fentry, &P::uring_fexit>("fexit")},
     .optional = true,
     .without = "IORING_OP_OPENAT and IORING_OP_OPENAT2"},
};

bool decode(Row& row, const Options& options, const void* record, std::size_t size)
{
    const auto& e = *static_cast<const open_event*>(record);
    if (c_str(e.task.comm).find(options.name) == std::string_view::npos)
        return false;
    const bool known = e.ret != URING_RESULT_UNKNOWN;
    const int code = e.ret < 0 ? -e.ret : 0;
    row.task = e.task;
    row.fd = known ? Value(e.ret < 0 ? -1 : e.ret) : Absent{"?"};
    row.err = known ? Value(code) : Absent{"?"};
    row.error = known ? Value(Errno{code}) : Absent{"?"};
    row.flags = Octal{visible_flags(e.flags), 8};
    row.mode = may_create(e.flags) ? Value(Octal{e.mode, 4}) : Absent{"n/a"};
    row.path = path_of(e.path, static_cast<const char*>(record) + size, row.full);
    if (options.callers)
        row.callers.take(
            {static_cast<const std::byte*>(record), size},
            OPEN_STACKS_AT(offsetof(path_record, data) + e.path.path_len + e.path.dir_len),
            e.task.pid);
    return true;
}

// As libbpf-tools: the functions stand below the path, as far to the right.
bool mirror(Output& output, const void* row, const Session& session)
{
    if (session.format != Format::text || !session.given("callers"))
        return false;
    if (row) {
        std::size_t indent = 0;
        for (const Column* c : output.columns().first(output.columns().size() - 1))
            indent += std::size_t(std::abs(c->width)) + 1;
        output.row(row);
        static_cast<const Row*>(row)->callers.append(output.text(), indent);
        return true;
    }
    output.header();
    if (std::string& text = output.text(); text.ends_with("PATH\n"))
        text.replace(text.size() - 1, 1, "/CALLER\n");
    return true;
}

constexpr Stream<opensnoop_bpf, Options, Row> kTool{
    .about = {.name = "opensnoop",
              .area = "file",
              .summary = "Trace files being opened",
              .details = "Prints one line for each open(2), openat(2), openat2(2) and creat(2) "
                         "when it returns. Opens by io_uring are included.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .setup =
        [](opensnoop_bpf& s, Options& o, const Session&) {
            o.special = o.failed || o.full_path || o.callers;
            bpf_map__set_autocreate(s.maps.with_stacks, o.callers);
            bpf_map__set_autocreate(s.maps.cb_scratch, !o.callers);
            prepare_event_stacks({.user = o.callers}, s.rodata->cb_event_stacks);
            // A process may end soon, and take the names of its functions with it.
            if (o.callers)
                s.rodata->cb_event.wakeup_bytes = 0;
        },
    .decode = decode,
    .mirror = mirror,
    .also = Shared::callers,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
