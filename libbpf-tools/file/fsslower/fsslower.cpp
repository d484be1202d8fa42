// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "fsslower.h"
#include "call_time.hpp"
#include "filesystems.hpp"
#include "shape/stream.hpp"
#include "slow_file.hpp"

#include "fsslower.skel.h"

namespace
{
using namespace corebox;
using P = decltype(fsslower_bpf::progs);

struct Options : slow_config {
    int type = kNoFileSystem;
    Milliseconds min{10'000'000};
    bool bcc_csv = false;
};

constexpr Example kExamples[] = {
    {"fsslower -t ext4", "Trace operations of ext4 longer than 10 ms"},
    {"ext4slower 1", "Trace operations of ext4 longer than 1 ms"},
    {"fsslower -t xfs -F 0 --json -p 181",
     "Trace all operations of process 181 on XFS, with full paths"},
};

constexpr Alias kAliases[] = {
    {"ext4slower", {"-t", "ext4"}, "Trace slow operations of ext4"},
    {"xfsslower", {"-t", "xfs"}, "Trace slow operations of XFS"},
    {"btrfsslower", {"-t", "btrfs"}, "Trace slow operations of Btrfs"},
    {"nfsslower", {"-t", "nfs"}, "Trace slow operations of NFS"},
    {"f2fsslower", {"-t", "f2fs"}, "Trace slow operations of F2FS"},
    {"fuseslower", {"-t", "fuse"}, "Trace slow operations of FUSE file systems"},
    {"bcachefsslower", {"-t", "bcachefs"}, "Trace slow operations of bcachefs"},
    {"zfsslower", {"-t", "zfs"}, "Trace slow operations of ZFS"},
};

constexpr Option kOptions[] = {
    choice<&Options::type>('t', "type", kFileSystems, "Trace this file system"),
    opt<&Options::min>('m', "min", "MIN_MS", "Trace only longer operations (default: 10; 0: all)"),
    flag<&Options::full_path>('F', "full-path", "Print the full path of the file"),
    flag<&Options::bcc_csv>('j', "bcc-csv", "Print BCC's comma-separated values", "csv"),
};

constexpr Option kPositionals[] = {
    opt<&Options::min>(0, "min-ms", "MIN_MS", "Shortest time in milliseconds, as --min"),
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'d', "duration"}, {'c', "bcc-csv"}, {'s', "bcc-csv"}};

constexpr std::string_view kOps[FS_OPS] = {"R", "W", "O", "S", "G", "C"};

constexpr Column kColumns[] = {
    time_column<&SlowRow::task>(Show{}),
    col<&SlowRow::task, &task_info::comm>("comm", "COMM", 16, "Command name of the thread"),
    col<&SlowRow::task, &task_info::pid>("pid", "PID", 7, "Process ID"),
    col<&SlowRow::task, &task_info::tid>("tid", "TID", 7, "Thread ID", kJsonOnly),
    col<&SlowRow::task, &task_info::uid>("uid", "UID", 6, "User ID", kJsonOnly),
    col<[](const SlowRow& r) { return Trusted{kOps[r.kind < FS_OPS ? r.kind : 0]}; }>(
        "op", "T", 1, "R: read, W: write, O: open, S: fsync, G: getattr, C: commit of NFS")
        .from_names<kSlowKind, kOps>(),
    col<&SlowRow::bytes>("bytes", "BYTES", -7, "Bytes transferred, 0, or a negative errno")
        .from<kSlowBytes>(),
    col<[](const SlowRow& r) { return r.offset_in(1024); }>("offset_kib", "OFF_KB", -8,
                                                            "Offset in the file, in KiB")
        .from<slow_offset(1024)>(),
    col<[](const SlowRow& r) { return r.offset_in(1); }>("offset_bytes", "OFF", -10,
                                                         "Offset in the file, in bytes", kJsonOnly)
        .from<slow_offset(1)>(),
    col<[](const SlowRow& r) {
        return Fixed{r.lat_ns / 10'000, 2};
    }>("lat_ms", "LAT(ms)", -8, "Duration in milliseconds")
        .from<kSlowMilliseconds>(),
    col<&SlowRow::lat_ns>("lat_ns", "LAT(ns)", -12, "Duration in nanoseconds", kJsonOnly)
        .from<kSlowNanoseconds>(),
    col<[](const SlowRow& r) { return r.task.time_ns / 1000; }>(
        "end_us", "ENDTIME_us", -14, "End of the operation, in microseconds since boot",
        costly("bcc-csv"))
        .from<field<&task_info::time_ns> / 1000>(),
    col<[](const SlowRow& r) { return r.lat_ns / 1000; }>(
        "lat_us", "LATENCY_us", -10, "Duration in microseconds", costly("bcc-csv"))
        .from<kSlowNanoseconds / 1000>(),
    col<&SlowRow::name>("file", "FILENAME", 0, "Name of the file", without("full-path"))
        .from<kSlowName>(),
    col<&SlowRow::path>("path", "FILENAME", 0, "Full path of the file", costly("full-path")),
};

bool decode(SlowRow& row, const Options& o, const void* record, std::size_t size)
{
    row.fill(*static_cast<const slow_event*>(record), static_cast<const char*>(record) + size,
             o.full_path);
    return true;
}

// BCC's CSV differs from ours in its columns and headings.
void choose_bcc_csv(Options& o, Session& session)
{
    if (!o.bcc_csv)
        return;
    if (session.format != Format::text)
        fail_usage("--csv, --table-csv and --json exclude each other");
    session.format = Format::csv;
    o.bcc_csv = session.columns.empty();
    if (o.bcc_csv)
        session.columns = o.full_path ? "end_us,comm,pid,op,bytes,offset_bytes,lat_us,path"
                                      : "end_us,comm,pid,op,bytes,offset_bytes,lat_us,file";
}

bool put_bcc_csv(Output& output, const void* row, const Session& session)
{
    if (!session.options_as<Options>().bcc_csv)
        return false;
    if (row)
        output.row(row);
    else
        output.text() += "ENDTIME_us,TASK,PID,TYPE,BYTES,OFFSET_b,LATENCY_us,FILE\n";
    return true;
}

constexpr Stream<fsslower_bpf, Options, SlowRow> kTool{
    .about = {.name = "fsslower",
              .area = "file",
              .summary = "Trace slow operations of a file system",
              .details = "Prints one line for each read, write, open, fsync and getattr that took "
                         "longer than MIN_MS, when it ends.",
              .examples = kExamples,
              .aliases = kAliases,
              .smoke = {"-t", "ext4"}},
    .options = kOptions,
    .positionals = kPositionals,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kFileSystemNeeds<P>,
    .targets = [](const Options& o) { return file_system_targets(o.type); },
    .setup = [](fsslower_bpf&, Options& o, const Session&) { o.min_ns = o.min.ns; },
    .decode = decode,
    .mirror = put_bcc_csv,
    .prepare = choose_bcc_csv,
    .detached = calls_detached,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
