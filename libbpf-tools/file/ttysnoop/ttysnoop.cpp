// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "ttysnoop.h"
#include "base/fd.hpp"
#include "devices.hpp"
#include "output/task_columns.hpp"
#include "shape/stream.hpp"
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "ttysnoop.skel.h"

namespace
{
using namespace corebox;
using P = decltype(ttysnoop_bpf::progs);

constexpr std::string_view kClear = "\x1b[H\x1b[2J"; // cursor home, erase all: ECMA-48

// Majors of pseudo terminals: linux/Documentation/admin-guide/devices.txt.
constexpr unsigned kFirstPts = 136, kLastPts = 143;
constexpr unsigned kAuxiliary = 5; // /dev/tty, /dev/console, /dev/ptmx

struct Options : ttysnoop_config {
    std::string_view device;
    std::uint32_t size = TTY_RECORD_LEN, count = 0;
};

struct Row {
    task_info task{};
    std::string_view data;
};

constexpr Example kExamples[] = {
    {"ttysnoop /dev/pts/2", "Mirror the output of this terminal"},
    {"ttysnoop 2", "Mirror the output of /dev/pts/2"},
    {"ttysnoop --escape 2", "Print a line for each write, with its process"},
};

constexpr Option kPositionals[] = {
    opt<&Options::device>(0, "device", "DEVICE", "Device of the terminal, or N for /dev/pts/N", {},
                          {}, "file"),
};

constexpr Option kOptions[] = {
    show('C', "noclear", "Keep the screen, do not clear it first"),
    opt<&Options::size>('s', "datasize", "BYTES", "Limit the size of a record",
                        {TTY_RECORD_MIN, TTY_RECORD_LEN}),
    opt<&Options::count>('c', "datacount", "RECORDS",
                         "Limit the records of one write (default: all)", kPositive),
    show(0, "escape", "Print a line for each record, with its process"),
};

constexpr Letter kLetters[] = {{'p', "pid"}};

constexpr Column kColumns[] = {
    time_column<&Row::task>({}),
    col<&Row::task, &task_info::pid>("pid", "PID", 7, "Process ID"),
    col<&Row::task, &task_info::tid>("tid", "TID", 7, "Thread ID", kJsonOnly),
    col<&Row::task, &task_info::uid>("uid", "UID", 6, "User ID", kJsonOnly),
    col<&Row::task, &task_info::comm>("comm", "COMM", 16, "Command name of the thread"),
    col<[](const Row& r) { return r.data.size(); }>("bytes", "BYTES", -5, "Length of the text")
        .from<field<&tty_event::len>>(),
    col<&Row::data>("text", "TEXT", 0, "Text that was written"),
};

constexpr Need kNeeds[] = {
    {.what = "what is written to the terminal",
     .rungs = {rung<&P::write_fexit>("fexit"),
               rung<&P::write_kprobe, &P::write_kretprobe>("kprobe")}},
};

void setup(ttysnoop_bpf&, Options& o, const Session&)
{
    if (o.device.empty())
        fail_usage("missing DEVICE; for example: ttysnoop /dev/pts/2");
    const auto number = to_number<unsigned>(o.device);
    const std::string path = number ? cat("/dev/pts/", *number) : std::string(o.device);
    // O_PATH: a line's modem is not to notice.
    const Fd fd(::open(path.c_str(), O_PATH | O_CLOEXEC));
    struct stat st {
    };
    if (!fd || ::fstat(fd.get(), &st) != 0)
        fail(cat("cannot mirror ", path), errno);
    if (!S_ISCHR(st.st_mode))
        fail(cat("cannot mirror ", path), ENOTTY);
    if (::major(st.st_rdev) == kAuxiliary && ::minor(st.st_rdev) <= 2)
        fail(cat("cannot mirror ", path), "it refers to another terminal", "use that one");
    o.inode = st.st_ino;
    o.dev = kernel_dev(fd.get(), path);
    o.rdev = ::major(st.st_rdev) << 20 | ::minor(st.st_rdev);
    o.pty = ::major(st.st_rdev) >= kFirstPts && ::major(st.st_rdev) <= kLastPts;
    o.record_size = o.size;
    o.records = o.count;
}

bool decode(Row& row, const Options&, const void* record, std::size_t)
{
    const auto& e = *static_cast<const tty_event*>(record);
    row.task = e.task;
    row.data = {e.data, e.len};
    return true;
}

// A mirror: the bytes as they are, terminal sequences and all.
bool mirror(Output& output, const void* row, const Session& session)
{
    if (session.format != Format::text || session.given("escape") || session.given("columns"))
        return false;
    if (row)
        output.text() += static_cast<const Row*>(row)->data;
    else if (!session.given("noclear") && ::isatty(STDOUT_FILENO))
        output.text() += kClear;
    return true;
}

constexpr Stream<ttysnoop_bpf, Options, Row> kTool{
    .about = {.name = "ttysnoop",
              .area = "file",
              .summary = "Mirror the output of a terminal",
              .details = "Shows the output of a terminal as programs write it. With --escape or "
                         "--json, shows which process writes what.",
              .examples = kExamples,
              .smoke = {"/dev/ttyS0"}},
    .options = kOptions,
    .positionals = kPositionals,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .setup = setup,
    .decode = decode,
    .mirror = mirror,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
