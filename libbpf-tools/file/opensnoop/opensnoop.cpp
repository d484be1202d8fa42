// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "opensnoop.h"
#include "base/path.hpp"
#include "open_flags.hpp"
#include "shape/stream.hpp"
#include "opensnoop.skel.h"
#include <fcntl.h>

namespace
{

using namespace corebox;
using Progs = decltype(opensnoop_bpf::progs);

struct Options : open_config {
    std::string_view name;
    std::vector<OpenFlag> flags;
};

struct Row {
    const open_event* event = nullptr;
    std::string_view path;
    std::string full;
};

constexpr Example kExamples[] = {
    {"opensnoop -x -p 181", "Failed opens of process 181"},
    {"opensnoop -F -- make", "Every open by make and its children, with full paths"},
    {"opensnoop --json -f O_WRONLY -f O_RDWR", "Opens for writing, as JSON"},
};

constexpr Option kOptions[] = {
    show('T', "timestamp", "Time since the first event in seconds"),
    show('U', "print-uid", "Print the user ID"),
    flag<&Options::failed>('x', "failed", "Only failed opens"),
    opt<&Options::name>('n', "name", "TEXT", "Only commands whose name contains TEXT"),
    show('e', "extended-fields", "Print open flags and mode", "extended_fields"),
    opt<&Options::flags>('f', "flag-filter", "FLAG", "Only opens with this flag, such as O_CREAT; again for more"),
    flag<&Options::full_path>('F', "full-path", "Full path for relative names"),
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'t', "tid"}, {'u', "uid"}, {'d', "duration"}, {'b', "buffer-pages"}};

// The kernel adds it to every open of a 64-bit process; glibc hides it there (O_LARGEFILE is 0).
constexpr std::uint32_t kLargeFile = 0100000;

constexpr bool creates(const open_event& e) { return e.flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY)); }

constexpr bool known(const Row& r) { return r.event->ret != OPEN_RESULT_UNKNOWN; }

constexpr Column kColumns[] = {
    col<[](const Row& r) { return SinceFirst{r.event->time_ns}; }>("since_s", "TIME(s)", 14, "Seconds since the first event", with("timestamp")),
    col<[](const Row& r) { return WallTime{r.event->time_ns}; }>("time_ns", "TIME", 8, "Time of the return", kJsonOnly),
    col<[](const Row& r) { return r.event->uid; }>("uid", "UID", 6, "User ID", with("print-uid")),
    col<[](const Row& r) { return r.event->pid; }>("pid", "PID", 7, "Process ID", without("tid")),
    col<[](const Row& r) { return r.event->tid; }>("tid", "TID", 7, "Thread ID", with("tid")),
    col<[](const Row& r) -> Value { return r.event->comm; }>("comm", "COMM", 16, "Command name of the thread"),
    col<[](const Row& r) -> Value { return known(r) ? Value(r.event->ret < 0 ? -1 : r.event->ret) : Value(Absent{"?"}); }>("fd", "FD", 4, "File descriptor, -1 on failure"),
    col<[](const Row& r) -> Value { return known(r) ? Value(r.event->ret < 0 ? -r.event->ret : 0) : Value(Absent{"?"}); }>("err", "ERR", 4, "errno, 0 on success"),
    col<[](const Row& r) -> Value { return known(r) ? Value(Errno{r.event->ret < 0 ? -r.event->ret : 0}) : Value(Absent{"?"}); }>("error", "ERROR", 8, "Name of the errno", kJsonOnly),
    col<[](const Row& r) { return Octal{r.event->flags & ~kLargeFile, 8}; }>("flags", "FLAGS", 8, "Flags of open(2), octal", with("extended-fields")),
    col<[](const Row& r) -> Value { return creates(*r.event) ? Value(Octal{r.event->mode, 4}) : Value(Absent{"n/a"}); }>("mode", "MODE", 4, "Mode of a new file, octal", with("extended-fields")),
    col<&Row::path>("path", "PATH", 0, "Path as given to the call, full with -F"),
};

constexpr Need kNeeds[] = {
    {"opens as they return",
     {rung<&Progs::open_fexit>("fexit"),
      rung_any<&Progs::enter_open, &Progs::leave_open, &Progs::enter_creat, &Progs::leave_creat,
               &Progs::enter_openat, &Progs::leave_openat, &Progs::enter_openat2,
               &Progs::leave_openat2>("tracepoint"),
      rung<&Progs::open_kprobe, &Progs::open_kretprobe>("kprobe")}},
    {.what = "opens by io_uring",
     .rungs = {rung<&Progs::uring_fentry, &Progs::uring_fexit>("fexit"),
               rung<&Progs::uring_kprobe, &Progs::uring_kretprobe>("kprobe")},
     .optional = true,
     .without = "IORING_OP_OPENAT and IORING_OP_OPENAT2"},
};

bool decode(Row& row, const Options& options, const void* record, std::size_t)
{
    const auto& e = *static_cast<const open_event*>(record);
    row.event = &e;
    if (!options.name.empty() && c_str(e.comm).find(options.name) == std::string_view::npos)
        return false;
    row.path = {e.data, e.path_len ? e.path_len - 1u : 0u};
    if (e.dir_len)
        row.path = join_walk(row.full, {e.data + e.path_len, e.dir_len}, row.path);
    return true;
}

constexpr Stream<opensnoop_bpf, Options, Row> kTool{
    .about = {.name = "opensnoop",
              .area = "file",
              .summary = "Trace files being opened",
              .details = "One line for each open(2), openat(2), openat2(2) and creat(2), when it returns.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .setup =
        [](opensnoop_bpf&, Options& o, const Session&) {
            for (const OpenFlag flag : o.flags)
                o.flag_mask |= flag.bits;
        },
    .decode = decode,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
