// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "fsdist.h"
#include "call_time.hpp"
#include "filesystems.hpp"
#include "output/task_fields.hpp"
#include "shape/histogram.hpp"

#include "fsdist.skel.h"

namespace
{
using namespace corebox;
using P = decltype(fsdist_bpf::progs);

struct Options : fsdist_config {
    int type = kNoFileSystem;
    bool milliseconds = false;
};

constexpr Example kExamples[] = {
    {"fsdist -t ext4", "Measure the operations of ext4 until Ctrl-C"},
    {"xfsdist -m 1 10", "Print ten reports of XFS in milliseconds, one per second"},
    {"fsdist -t btrfs -p 181 --json", "Measure process 181 on Btrfs, as JSON"},
};

constexpr Alias kAliases[] = {
    {"ext4dist", {"-t", "ext4"}, "Show the latency of operations of ext4"},
    {"xfsdist", {"-t", "xfs"}, "Show the latency of operations of XFS"},
    {"btrfsdist", {"-t", "btrfs"}, "Show the latency of operations of Btrfs"},
    {"nfsdist", {"-t", "nfs"}, "Show the latency of operations of NFS"},
    {"f2fsdist", {"-t", "f2fs"}, "Show the latency of operations of F2FS"},
    {"fusedist", {"-t", "fuse"}, "Show the latency of operations of FUSE file systems"},
    {"bcachefsdist", {"-t", "bcachefs"}, "Show the latency of operations of bcachefs"},
    {"zfsdist", {"-t", "zfs"}, "Show the latency of operations of ZFS"},
};

constexpr Option kOptions[] = {
    choice<&Options::type>('t', "type", kFileSystems, "Trace this file system"),
    flag<&Options::milliseconds>('m', "milliseconds", "Show milliseconds"),
    show('T', "notimestamp", "Omit the time of day with intervals"),
    show(0, "timestamp", "Print the time of day even without intervals"),
};

constexpr Letter kLetters[] = {{'p', "pid"}};

constexpr std::string_view kOps[FS_OPS] = {"read", "write", "open", "fsync", "getattr", "commit"};

constexpr Column kColumns[] = {
    col<[](const fsdist_key& key) { return Trusted{kOps[key.op < FS_OPS ? key.op : 0]}; }>(
        "operation", "OPERATION", 10,
        "Operation: read, write, open, fsync, getattr, or commit of NFS"),
};

constexpr std::string_view kWhereOps[FS_OPS] = {"read",  "write",   "open",
                                                "fsync", "getattr", "commit"};

constexpr Column kFields[] = {
    event_field_of_names<field<&fsdist_event::op>, kWhereOps>(
        "op", "read, write, open, fsync, getattr or commit"),
    event_field<field<&fsdist_event::ret>>("bytes", "Bytes read or written"),
    task_field::microseconds("lat_us", "Duration in microseconds"),
    task_field::nanoseconds("lat_ns", "Duration in nanoseconds"),
    task_field::pid,
    task_field::tid,
    task_field::comm,
    task_field::cpu};

constexpr Histogram<fsdist_bpf, Options, fsdist_key> kTool{
    .about = {.name = "fsdist",
              .area = "file",
              .summary = "Show the latency of a file system's operations as histograms",
              .details = "Prints a histogram for each operation of a file system: reads, writes, "
                         "opens, fsyncs and getattrs.",
              .examples = kExamples,
              .aliases = kAliases,
              .smoke = {"-t", "ext4"}},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kFileSystemNeeds<P>,
    .fields = kFields,
    .unit =
        [](const Options& o) {
            return o.milliseconds ? Unit{"msecs", 1'000'000} : Unit{"usecs", 1'000};
        },
    .targets = [](const Options& o) { return file_system_targets(o.type); },
    .setup = [](fsdist_bpf&, Options& o,
                const Session&) { o.unit_ns = o.milliseconds ? 1'000'000 : 1'000; },
    .detached = calls_detached,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
