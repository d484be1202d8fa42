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
};

constexpr Example kExamples[] = {
    {"fsslower -t ext4", "Operations of ext4 that took longer than 10 ms"},
    {"ext4slower 1", "The same, longer than 1 ms"},
    {"fsslower -t xfs -F 0 --json -p 181", "All of process 181 on xfs, with full paths, as JSON"},
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
    choice<&Options::type>('t', "type", kFileSystems, "The file system"),
    opt<&Options::min>('m', "min", "MIN_MS",
                       "Only operations of more milliseconds than this, 0.5 is valid (default 10; "
                       "0: all)"),
    flag<&Options::full_path>('F', "full-path", "Full path of the file"),
};

constexpr Option kPositionals[] = {
    opt<&Options::min>(0, "min-ms", "MIN_MS", "The same as --min"),
};

constexpr Letter kLetters[] = {
    {'p', "pid"}, {'d', "duration"}, {'j', "csv"}, {'c', "csv"}, {'s', "csv"}};

constexpr std::string_view kOps[FS_OPS] = {"R", "W", "O", "S", "G", "C"};

constexpr Column kColumns[] = {
    time_column<&SlowRow::task>(Show{}),
    col<&SlowRow::task, &task_info::comm>("comm", "COMM", 16, "Command name of the thread"),
    col<&SlowRow::task, &task_info::pid>("pid", "PID", 7, "Process ID"),
    col<&SlowRow::task, &task_info::tid>("tid", "TID", 7, "Thread ID", kJsonOnly),
    col<&SlowRow::task, &task_info::uid>("uid", "UID", 6, "User ID", kJsonOnly),
    col<[](const SlowRow& r) { return Trusted{kOps[r.kind < FS_OPS ? r.kind : 0]}; }>(
        "op", "T", 1, "R: read, W: write, O: open, S: fsync, G: getattr, C: commit of NFS"),
    col<&SlowRow::bytes>("bytes", "BYTES", -7, "Bytes transferred, 0, or a negative errno"),
    col<[](const SlowRow& r) { return r.offset_in(1024); }>("offset_kib", "OFF_KB", -8,
                                                            "Where in the file, in KiB"),
    col<[](const SlowRow& r) { return r.offset_in(1); }>("offset_bytes", "OFF", -10,
                                                         "Where in the file", kJsonOnly),
    col<[](const SlowRow& r) {
        return Fixed{r.lat_ns / 10'000, 2};
    }>("lat_ms", "LAT(ms)", -8, "Time it took, in milliseconds"),
    col<&SlowRow::lat_ns>("lat_ns", "LAT(ns)", -12, "Time it took, in nanoseconds", kJsonOnly),
    col<&SlowRow::name>("file", "FILENAME", 0, "Name of the file", without("full-path")),
    col<&SlowRow::path>("path", "FILENAME", 0, "Full path of the file", costly("full-path")),
};

bool decode(SlowRow& row, const Options& o, const void* record, std::size_t size)
{
    row.fill(*static_cast<const slow_event*>(record), static_cast<const char*>(record) + size,
             o.full_path);
    return true;
}

constexpr Stream<fsslower_bpf, Options, SlowRow> kTool{
    .about = {.name = "fsslower",
              .area = "file",
              .summary = "Trace slow operations of a file system",
              .details = "One line for each read, write, open, fsync and getattr of a file system "
                         "that took longer than MIN_MS, when it ends.",
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
    .detached = calls_detached,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
