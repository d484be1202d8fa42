// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "fileslower.h"
#include "call_time.hpp"
#include "shape/stream.hpp"
#include "slow_file.hpp"

#include "fileslower.skel.h"

namespace
{
using namespace corebox;
using P = decltype(fileslower_bpf::progs);

struct Options : slow_config {
    Milliseconds min{10'000'000};
    bool all_files = false;
};

constexpr Example kExamples[] = {
    {"fileslower", "Trace reads and writes of 10 ms or longer"},
    {"fileslower -p 181 0.5", "Trace process 181, from 0.5 ms"},
    {"fileslower -a -F 1 --json", "Include sockets and pipes, with full paths, as JSON"},
};

constexpr Option kOptions[] = {
    opt<&Options::min>('m', "min", "MIN_MS", "Skip calls shorter than this (default: 10; 0: all)"),
    flag<&Options::all_files>('a', "all-files", "Include sockets, pipes and devices"),
    flag<&Options::full_path>('F', "full-path", "Print the full path of the file"),
};

constexpr Option kPositionals[] = {
    opt<&Options::min>(0, "min-ms", "MIN_MS",
                       "Shortest time in milliseconds, such as 0.5 (default: 10; 0: all)"),
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'d', "duration"}};

struct Call {
    std::string_view name;
    bool write;
};
constexpr Call kCalls[FILE_CALLS] = {
    {"read", false},   {"write", true},          {"readv", false},
    {"writev", true},  {"sendfile", false},      {"copy_file_range", false},
    {"splice", false}, {"io_uring read", false}, {"io_uring write", true},
};
constexpr const Call& call_of(const SlowRow& row)
{
    return kCalls[row.kind < FILE_CALLS ? row.kind : 0];
}

constexpr auto kCallNames = [] {
    std::array<std::string_view, FILE_CALLS> names;
    for (std::size_t i = 0; i < names.size(); i++)
        names[i] = kCalls[i].name;
    return names;
}();

constexpr Column kColumns[] = {
    col<[](const SlowRow& r) {
        return SinceFirst{r.task.time_ns, 3};
    }>("since_s", "TIME(s)", 9, "Seconds since the first line"),
    time_column<&SlowRow::task>(kJsonOnly),
    col<&SlowRow::task, &task_info::comm>("comm", "COMM", 16, "Command name of the thread"),
    col<&SlowRow::task, &task_info::pid>("pid", "PID", 7, "Process ID", kJsonOnly),
    col<&SlowRow::task, &task_info::tid>("tid", "TID", 7, "Thread ID"),
    col<&SlowRow::task, &task_info::uid>("uid", "UID", 6, "User ID", kJsonOnly),
    col<[](const SlowRow& r) { return Trusted{call_of(r).write ? "W" : "R"}; }>(
        "dir", "D", 1, "R: read, W: write"),
    col<[](const SlowRow& r) { return Trusted{call_of(r).name}; }>("call", "CALL", 15,
                                                                   "Kind of call", kJsonOnly)
        .from_names<kSlowKind, kCallNames>(),
    col<&SlowRow::bytes>("bytes", "BYTES", -8, "Bytes transferred, or a negative errno")
        .from<kSlowBytes>(),
    col<[](const SlowRow& r) {
        return Fixed{r.lat_ns / 10'000, 2};
    }>("lat_ms", "LAT(ms)", -8, "Duration in milliseconds")
        .from<kSlowMilliseconds>(),
    col<&SlowRow::lat_ns>("lat_ns", "LAT(ns)", -12, "Duration in nanoseconds", kJsonOnly)
        .from<kSlowNanoseconds>(),
    col<&SlowRow::name>("file", "FILENAME", 0, "Name of the file", without("full-path"))
        .from<kSlowName>(),
    col<&SlowRow::path>("path", "FILENAME", 0, "Full path of the file", costly("full-path")),
};

constexpr std::string_view kBlind = "AIO, mmap, and what the kernel reads and writes for itself";

constexpr Need kNeeds[] = {
    {"reads and writes",
     {rung<&P::read_fexit, &P::read_fentry, &P::write_fexit, &P::write_fentry, &P::readv_fexit,
           &P::readv_fentry, &P::writev_fexit, &P::writev_fentry>("fexit", kBlind),
      rung<&P::read_kretp, &P::read_kprobe, &P::write_kretp, &P::write_kprobe, &P::readv_kretp,
           &P::readv_kprobe, &P::writev_kretp, &P::writev_kprobe>("kprobe", kBlind)}},
    {.what = "copies inside the kernel",
     .rungs = {rung<&P::copies_session>("session"),
               rung_any<&P::splice_fexit, &P::splice_fentry, &P::range_fexit, &P::range_fentry,
                        &P::pipe_fexit, &P::pipe_fentry>("fexit")},
     .optional = true,
     .without = "sendfile, copy_file_range, splice"},
    {.what = "reads and writes by io_uring",
     .rungs =
         {rung<&P::uring_rd_fexit, &P::uring_rd_fentry, &P::uring_wr_fexit, &P::uring_wr_fentry>(
             "fexit", "requests that end later than they begin (O_DIRECT); before 5.19, all")},
     .optional = true,
     .without = "io_uring"},
};

bool decode(SlowRow& row, const Options& o, const void* record, std::size_t size)
{
    row.fill(*static_cast<const slow_event*>(record), static_cast<const char*>(record) + size,
             o.full_path);
    return true;
}

constexpr Stream<fileslower_bpf, Options, SlowRow> kTool{
    .about = {.name = "fileslower",
              .area = "file",
              .summary = "Trace slow reads and writes of files",
              .details = "Prints one line for each read and write of a file that took MIN_MS or "
                         "longer, on any file system, when it ends.",
              .examples = kExamples},
    .options = kOptions,
    .positionals = kPositionals,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .setup =
        [](fileslower_bpf& s, Options& o, const Session&) {
            o.min_ns = o.min.ns;
            s.rodata->files.all_files = o.all_files;
        },
    .decode = decode,
    .detached = calls_detached,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
