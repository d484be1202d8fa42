// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bashreadline.h"
#include "output/task_columns.hpp"
#include "probe/user_probe.hpp"
#include "shape/stream.hpp"
#include <cstring>

#include "bashreadline.skel.h"

namespace
{
using namespace corebox;
using P = decltype(bashreadline_bpf::progs);

struct Options {
    std::vector<std::string_view> libraries;
};

struct Row {
    task_info task{};
    bool cut = false;
    std::string tty;
    std::string line;
};

constexpr Example kExamples[] = {
    {"bashreadline", "Trace lines of every bash and of other users of readline"},
    {"bashreadline --comm bash -u 1000", "Trace lines of bash that user 1000 enters"},
    {"bashreadline -s /opt/lib/libreadline.so.8", "Use this library"},
};

constexpr Option kOptions[] = {
    opt<&Options::libraries>('s', "shared", "PATH,...", "Attach to these libraries or programs", {},
                             {}, "file"),
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'u', "uid"}};

constexpr Column kColumns[] = {
    time_column<&Row::task>({}),
    col<&Row::task, &task_info::pid>("pid", "PID", 7, "Process ID")
        .from<field<&line_event::head, &line_head::task, &task_info::pid>>(),
    col<&Row::task, &task_info::uid>("uid", "UID", 6, "User ID")
        .from<field<&line_event::head, &line_head::task, &task_info::uid>>(),
    col<[](const Row& r) -> Value { return r.tty.empty() ? Value() : std::string_view(r.tty); }>(
        "tty", "TTY", 7, "Controlling terminal; - if none")
        .as(ColumnType::text),
    col<&Row::task, &task_info::comm>("comm", "COMM", 16, "Command name of the thread")
        .from<field<&line_event::head, &line_head::task, &task_info::comm>>(),
    col<[](const Row& r) { return r.cut; }>("cut", "CUT", 5, "Whether the line is longer",
                                            kJsonOnly)
        .in_user_space(),
    col<[](const Row& r) { return std::string_view(r.line); }>(
        "command", "COMMAND", 0, "Line that was entered; ... if it was cut"),
};

// The first one gives a line to readline() and to the callbacks of rl_callback_handler_install()
// alike (readline 4.0 and later).
constexpr std::string_view kSymbols[] = {"readline_internal_teardown", "readline"};
constexpr UserSite kReadline{.libraries = {"readline", "/bash"},
                             .symbols = kSymbols,
                             .only_first = true,
                             .in_program = true};

constexpr Need kNeeds[] = {
    {.what = "lines that readline returns",
     .rungs = user_rungs<&P::line_read, kReadline, Options>(
         "shells without readline, such as dash, zsh and busybox; programs with another copy of "
         "it, "
         "unless -p or -s names them")},
};

// "pts0" is /dev/pts/0.
std::string name_terminal(std::string_view kernel_name)
{
    constexpr std::string_view kPts = "pts";
    if (kernel_name.starts_with(kPts))
        return cat("pts/", kernel_name.substr(kPts.size()));
    return std::string(kernel_name);
}

bool decode(Row& row, const Options&, const void* record, std::size_t)
{
    const auto& e = *static_cast<const line_event*>(record);
    row.task = e.head.task;
    row.cut = e.head.cut;
    row.tty = name_terminal({e.head.tty, ::strnlen(e.head.tty, sizeof e.head.tty)});
    const char* const line = static_cast<const char*>(record) + offsetof(line_event, line);
    row.line.assign(line, e.head.len ? e.head.len - 1 : 0);
    if (row.cut)
        row.line += "...";
    return true;
}

constexpr Stream<bashreadline_bpf, Options, Row> kTool{
    .about = {.name = "bashreadline",
              .area = "user",
              .summary = "Trace lines that users enter in bash",
              .details = "Prints one line for each line that a user enters in bash, or in another "
                         "program that uses GNU readline. Lines may contain passwords.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .decode = decode,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
