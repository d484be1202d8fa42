// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "vfsstat.h"
#include "abi/syscall.h"
#include "base/fd.hpp"
#include "layers.hpp"
#include "shape/counters.hpp"
#include <fcntl.h>
#include <unistd.h>

#include "vfsstat.skel.h"

namespace
{

using namespace corebox;
using Progs = decltype(vfsstat_bpf::progs);

struct Options : vfsstat_config {
    Fd io; // /proc/self/io
};

// The kernel's own ledger of this process counts a read or a write in the functions that this tool
// watches (vfs_read() calls inc_syscr(), linux/sched/xacct.h); the tool opens no file while it
// runs.
std::optional<counters> own_calls(Options& o)
{
    if (!o.io)
        o.io = Fd(::open("/proc/self/io", O_RDONLY | O_CLOEXEC));
    char text[512];
    const ssize_t n = ::pread(o.io.get(), text, sizeof text, 0);
    if (n <= 0)
        return std::nullopt;
    const auto number = [&](std::string_view key) {
        const auto value = status_field({text, std::size_t(n)}, key);
        return value ? to_number<std::uint64_t>(*value) : std::nullopt;
    };
    const auto reads = number("syscr"), writes = number("syscw");
    if (!reads || !writes)
        return std::nullopt;
    counters own{};
    own.n[VFS_READ] = *reads + 1; // the ledger was shown before this reading went into it
    own.n[VFS_WRITE] = *writes;
    return own;
}

constexpr Example kExamples[] = {
    {"vfsstat", "Print the rates every second"},
    {"vfsstat -p 181 5 3", "Print the rates of process 181, three times every 5 seconds"},
    {"vfsstat --json -- make", "Count the calls of make and its children"},
};

constexpr Option kOptions[] = {
    flag<&Options::layers>(0, kLayersOption, kLayersHelp),
};

constexpr Letter kLetters[] = {{'p', "pid"}};

// Text has rates, as BCC; JSON and CSV also have the exact counts of the interval.
template <vfs_call Call>
constexpr auto kRate = [](const CounterRow& r) { return r.rate(Call); };
template <vfs_call Call>
constexpr auto kCount = [](const CounterRow& r) { return r.count.n[Call]; };

constexpr Column kColumns[] = {
    col<[](const CounterRow& r) { return WallTime{r.time_ns}; }>("time_ns", "TIME", 8,
                                                                 "End of the interval"),
    col<kRate<VFS_READ>>("read_per_s", "READ/s", -8,
                         "Reads per second: read, pread, readv, preadv"),
    col<kRate<VFS_WRITE>>("write_per_s", "WRITE/s", -8,
                          "Writes per second: write, pwrite, writev, pwritev"),
    col<kRate<VFS_FSYNC>>("fsync_per_s", "FSYNC/s", -8, "Calls of fsync and fdatasync per second"),
    col<kRate<VFS_OPEN>>("open_per_s", "OPEN/s", -8, "Files opened per second"),
    col<kRate<VFS_CREATE>>("create_per_s", "CREATE/s", -8,
                           "Regular files created per second, by open or mknod"),
    col<kRate<VFS_UNLINK>>("unlink_per_s", "UNLINK/s", -8, "Files unlinked per second"),
    col<kRate<VFS_MKDIR>>("mkdir_per_s", "MKDIR/s", -8, "Directories created per second"),
    col<kRate<VFS_RMDIR>>("rmdir_per_s", "RMDIR/s", -8, "Directories removed per second"),
    col<kCount<VFS_READ>>("reads", "READS", -8, "Reads in the interval", kJsonOnly),
    col<kCount<VFS_WRITE>>("writes", "WRITES", -8, "Writes in the interval", kJsonOnly),
    col<kCount<VFS_FSYNC>>("fsyncs", "FSYNCS", -8, "Calls of fsync and fdatasync in the interval",
                           kJsonOnly),
    col<kCount<VFS_OPEN>>("opens", "OPENS", -8, "Opens in the interval", kJsonOnly),
    col<kCount<VFS_CREATE>>("creates", "CREATES", -8, "Files created in the interval", kJsonOnly),
    col<kCount<VFS_UNLINK>>("unlinks", "UNLINKS", -8, "Files unlinked in the interval", kJsonOnly),
    col<kCount<VFS_MKDIR>>("mkdirs", "MKDIRS", -8, "Directories created in the interval",
                           kJsonOnly),
    col<kCount<VFS_RMDIR>>("rmdirs", "RMDIRS", -8, "Directories removed in the interval",
                           kJsonOnly),
    col<&CounterRow::interval_ns>("interval_ns", "INTERVAL", -12,
                                  "Measured length of the interval in nanoseconds", kJsonOnly),
};

constexpr std::string_view kReadBlind =
    "io_uring, AIO, sendfile, splice, and what the kernel reads for itself";
constexpr std::string_view kWriteBlind =
    "io_uring, AIO, sendfile, splice, and what the kernel writes for itself";
constexpr std::string_view kFsyncBlind = "msync, O_SYNC writes, io_uring, AIO";

constexpr Need kNeeds[] = {
    {"reads",
     {rung<&Progs::fentry_read, &Progs::fentry_readv>("fentry", kReadBlind),
      rung<&Progs::kprobe_read, &Progs::kprobe_readv>("kprobe", kReadBlind)}},
    {"writes",
     {rung<&Progs::fentry_write, &Progs::fentry_writev>("fentry", kWriteBlind),
      rung<&Progs::kprobe_write, &Progs::kprobe_writev>("kprobe", kWriteBlind)}},
    {"opens and creations by open",
     {rung<&Progs::fentry_open>("fentry"), rung<&Progs::kprobe_open>("kprobe")}},
    {"creations by mknod",
     {rung<&Progs::fentry_create>("fentry"), rung<&Progs::kprobe_create>("kprobe")}},
    // The tracepoints come late: they slow down every system call of every process.
    {"fsync and fdatasync",
     {rung<&Progs::fentry_fsync>("fentry", kFsyncBlind),
      rung<&Progs::fentry_xfsync, &Progs::fentry_xfdsync>("fentry", kFsyncBlind),
      rung<&Progs::kprobe_fsync>("kprobe", kFsyncBlind),
      rung<&Progs::kprobe_xfsync, &Progs::kprobe_xfdsync>("kprobe", kFsyncBlind),
      rung<&Progs::enter_fsync, &Progs::enter_fdatasync>("tracepoint", kFsyncBlind)}},
    {"unlink", {rung<&Progs::fentry_unlink>("fentry"), rung<&Progs::kprobe_unlink>("kprobe")}},
    {"mkdir", {rung<&Progs::fentry_mkdir>("fentry"), rung<&Progs::kprobe_mkdir>("kprobe")}},
    {"rmdir", {rung<&Progs::fentry_rmdir>("fentry"), rung<&Progs::kprobe_rmdir>("kprobe")}},
};

// Not do_dentry_open(): nobody knows whether an open has created without looking. Nor what makes
// and removes names: only the program knows whether overlayfs did it in a layer.
constexpr CountedCall kCalls[] = {
    {"vfs_read", VFS_READ},           {"vfs_readv", VFS_READ}, {"vfs_write", VFS_WRITE},
    {"vfs_writev", VFS_WRITE},        {"do_fsync", VFS_FSYNC}, {SYSCALL "fsync", VFS_FSYNC},
    {SYSCALL "fdatasync", VFS_FSYNC},
};

constexpr Counters<vfsstat_bpf, Options> kTool{
    .about = {.name = "vfsstat",
              .area = "file",
              .summary = "Count common calls of the virtual file system",
              .details = "Prints one line per interval with the rates of reads, writes, syncs and "
                         "opens, and of files and directories created and removed.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .calls = kCalls,
    .setup =
        [](vfsstat_bpf& s, Options&, const Session&) {
            if (s.rodata->cb_counters_config.filter || s.rodata->cb_counters_config.per_cpu)
                return;
            s.progs.fentry_read = s.progs.plain_vfs_read;
            s.progs.fentry_write = s.progs.plain_vfs_write;
        },
    .own = own_calls,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
