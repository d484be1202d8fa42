// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "statsnoop.h"
#include "file_name.hpp"
#include "output/path_field.hpp"
#include "output/task_columns.hpp"
#include "shape/stream.hpp"

#include "statsnoop.skel.h"

namespace
{
using namespace corebox;
using P = decltype(statsnoop_bpf::progs);

using Options = stat_config;

struct Row {
    task_info task{};
    int ret = 0;
    int code = 0;
    std::string_view call;
    std::string_view path;
    std::string full; // memory of a full path
};

constexpr Example kExamples[] = {
    {"statsnoop -x -p 181", "Trace failed calls of process 181"},
    {"statsnoop -s -- make", "Trace all calls of make and its children, with their names"},
};

constexpr Option kOptions[] = {
    show('t', "timestamp", "Print seconds since the first event"),
    show('s', "sysname", "Print the name of the system call"),
    flag<&Options::failed>('x', "failed", "Trace only failed calls"),
};

constexpr Letter kLetters[] = {{'p', "pid"}};

constexpr Formula kRet = field<&stat_event::ret>;

constexpr std::string_view kNames[STAT_CALLS] = {"stat",  "lstat",  "fstat",  "fstatat",
                                                 "statx", "statfs", "fstatfs"};

constexpr Column kColumns[] = {
    since_column<&Row::task>(with("timestamp")),
    time_column<&Row::task>(kJsonOnly),
    col<&Row::task, &task_info::uid>("uid", "UID", 6, "User ID", kJsonOnly),
    col<&Row::task, &task_info::pid>("pid", "PID", 7, "Process ID"),
    col<&Row::task, &task_info::tid>("tid", "TID", 7, "Thread ID", kJsonOnly),
    col<&Row::task, &task_info::comm>("comm", "COMM", 16, "Command name of the thread"),
    col<&Row::ret>("ret", "FD", 4, "Return value: 0, or -1 on failure").from<result_of(kRet)>(),
    col<&Row::code>("err", "ERR", 4, "errno, 0 on success").from<errno_of(kRet)>(),
    col<[](const Row& r) -> Value { return Errno{r.code}; }>("error", "ERROR", 8,
                                                             "Name of the errno", kJsonOnly)
        .as(ColumnType::text),
    col<[](const Row& r) -> Value { return Trusted{r.call}; }>("syscall", "SYSCALL", 8,
                                                               "Name of the call", with("sysname"))
        .from_names<field<&stat_event::call>, kNames>(),
    col<&Row::path>("path", "PATH", 0, "Full path of the file")
        .from<known(field<&stat_event::file, &file_name::magic> == 0 &&
                        field<&stat_event::file, &file_name::known> &&
                        !field<&stat_event::file, &file_name::deleted>,
                    path_field<&stat_event::file, &file_name::path>)>(),
};

template <auto Fexit, auto Enter, auto Leave>
constexpr Need call(std::string_view what)
{
    // The work of all is done by one, which is itself one of them.
    return {.what = what,
            .rungs = {rung<Fexit, &P::fstatat_fexit>("fexit"), rung<Enter, Leave>("tracepoint")}};
}

constexpr Need kNeeds[] = {
    call<&P::stat_fexit, &P::stat_enter, &P::stat_leave>("stat"),
    call<&P::lstat_fexit, &P::lstat_enter, &P::lstat_leave>("lstat"),
    call<&P::fstat_fexit, &P::fstat_enter, &P::fstat_leave>("fstat"),
    {.what = "fstatat",
     .rungs = {rung<&P::fstatat_fexit>("fexit"),
               rung<&P::fstatat_enter, &P::fstatat_leave>("tracepoint")}},
    call<&P::statx_fexit, &P::statx_enter, &P::statx_leave>("statx"),
    call<&P::statfs_fexit, &P::statfs_enter, &P::statfs_leave>("statfs"),
    call<&P::fstatfs_fexit, &P::fstatfs_enter, &P::fstatfs_leave>("fstatfs"),
};

// libbpf puts the program that does the work into its map, but fails if it is not loaded.
void resolved(statsnoop_bpf& s, const Launcher&)
{
    if (!bpf_program__autoload(s.progs.fstatat_fexit))
        bpf_map__set_type(s.maps.stat_work, BPF_MAP_TYPE_ARRAY);
}

bool decode(Row& row, const Options&, const void* record, std::size_t size)
{
    const auto& e = *static_cast<const stat_event*>(record);
    row.task = e.task;
    row.ret = e.ret < 0 ? -1 : e.ret;
    row.code = e.ret < 0 ? -e.ret : 0;
    row.call = kNames[e.call];
    row.path = file_name_of(e.file, static_cast<const char*>(record) + size, row.full);
    return true;
}

constexpr Stream<statsnoop_bpf, Options, Row> kTool{
    .about = {.name = "statsnoop",
              .area = "file",
              .summary = "Trace calls of the stat family",
              .details = "Prints one line for each stat(2), lstat(2), fstat(2), fstatat(2), "
                         "statx(2), statfs(2) and fstatfs(2) when it returns.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .resolved = resolved,
    .decode = decode,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
