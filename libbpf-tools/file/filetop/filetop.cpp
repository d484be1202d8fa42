// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "filetop.h"
#include "base/fd.hpp"
#include "shape/top.hpp"
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "filetop.skel.h"

namespace
{

using namespace corebox;
using Progs = decltype(filetop_bpf::progs);

enum class Sort : std::uint8_t { all, reads, writes, rbytes, wbytes };

struct Options : filetop_config {
    Sort sort = Sort::all;
    std::string_view directory;
};

struct Row {
    std::uint64_t time_ns = 0;
    file_key key{};
    file_stat stat{};
    std::string made_up; // a name for what has none
};

constexpr Example kExamples[] = {
    {"filetop", "The busiest files, on a screen, every second"},
    {"filetop -C -s wbytes 5 1", "Which files were written to most in 5 seconds"},
    {"filetop -d /var/log --write-only", "Writes to files directly in /var/log"},
};

constexpr Option kOptions[] = {
    flag<&Options::all_types>('a', "all-files",
                              "Also what is no regular file: sockets, pipes, devices", "all"),
    choice<&Options::sort>('s', "sort", "all|reads|writes|rbytes|wbytes",
                           "Sort by this, or by the sum of all"),
    show(0, "read-only", "Only reads"),
    show(0, "write-only", "Only writes"),
    opt<&Options::directory>('d', "directory", "DIR", "Only files directly in this directory", {},
                             {}, "dir"),
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'r', "rows"}, {'C', "noclear"}};

constexpr std::uint64_t kKiB = 1024;

std::string_view type_of(std::uint32_t mode)
{
    return S_ISREG(mode) ? "R" : S_ISSOCK(mode) ? "S" : "O";
}

constexpr std::uint32_t device_major(const Row& r) { return (r.key.dev >> 20); }

constexpr Column kColumns[] = {
    col<[](const Row& r) { return WallTime{r.time_ns}; }>("time_ns", "TIME", 8,
                                                          "End of the interval", kJsonOnly),
    col<[](const Row& r) { return r.stat.pid; }>("pid", "PID", 7, "Process ID", kJsonOnly),
    col<[](const Row& r) { return r.key.tid; }>("tid", "TID", 7, "Thread ID"),
    col<[](const Row& r) -> Value { return r.stat.comm; }>(
        "comm", "COMM", 16, "Command name of the thread at its first access"),
    col<[](const Row& r) { return r.stat.reads; }>("reads", "READS", -6, "Reads, failed ones too"),
    col<[](const Row& r) { return r.stat.writes; }>("writes", "WRITES", -6,
                                                    "Writes, failed ones too"),
    col<[](const Row& r) { return r.stat.read_bytes / kKiB; }>("read_kib", "R_Kb", -7, "KiB read"),
    col<[](const Row& r) { return r.stat.write_bytes / kKiB; }>("write_kib", "W_Kb", -7,
                                                                "KiB written"),
    col<[](const Row& r) { return r.stat.read_bytes; }>("read_bytes", "RBYTES", -10, "Bytes read",
                                                        kJsonOnly),
    col<[](const Row& r) { return r.stat.write_bytes; }>("write_bytes", "WBYTES", -10,
                                                         "Bytes written", kJsonOnly),
    col<[](const Row& r) { return Trusted{type_of(r.stat.mode)}; }>(
        "type", "T", 1, "R: regular file, S: socket, O: other"),
    col<[](const Row& r) { return r.key.inode; }>("inode", "INODE", 10, "Inode number", kJsonOnly),
    col<[](const Row& r) { return device_major(r); }>(
        "dev_major", "MAJ", 4, "Device of the file system, major number", kJsonOnly),
    col<[](const Row& r) { return r.key.dev & 0xfffff; }>(
        "dev_minor", "MIN", 4, "Device of the file system, minor number", kJsonOnly),
    col<[](const Row& r) {
        return r.made_up.empty() ? Value(r.stat.name) : Value(std::string_view(r.made_up));
    }>("file", "FILE", 0, "Name of the file, without its directory"),
};

constexpr std::string_view kReadBlind = "AIO, mmap, and what the kernel reads for itself";
constexpr std::string_view kWriteBlind =
    "AIO, mmap, splice from a pipe, and what the kernel writes for itself";

constexpr Need kNeeds[] = {
    {"reads",
     {rung<&Progs::read_fexit, &Progs::readv_fexit>("fexit", kReadBlind),
      rung<&Progs::enter_read, &Progs::leave_read, &Progs::enter_readv, &Progs::leave_readv>(
          "kprobe", kReadBlind)},
     "!write-only"},
    {"writes",
     {rung<&Progs::write_fexit, &Progs::writev_fexit>("fexit", kWriteBlind),
      rung<&Progs::enter_write, &Progs::leave_write, &Progs::enter_writev, &Progs::leave_writev>(
          "kprobe", kWriteBlind)},
     "!read-only"},
    {.what = "copies inside the kernel",
     .rungs = {rung_any<&Progs::splice_fexit, &Progs::range_fexit, &Progs::pipe_fexit>("fexit")},
     .optional = true,
     .without = "sendfile, copy_file_range, splice"},
    {.what = "reads and writes by io_uring",
     .rungs = {rung<&Progs::uring_rd_fexit, &Progs::uring_wr_fexit>(
         "fexit", "those that end later than they are begun (O_DIRECT); before 5.19, those of "
                  "worker threads")},
     .optional = true,
     .without = "io_uring"},
};

// The number of the file system that a directory is on, as the kernel sees it. stat(2) would tell
// another one where a file system makes up numbers (btrfs, for each subvolume), so it is taken from
// the mount that the directory was reached through.
std::uint32_t kernel_dev(int fd, const std::string& path)
{
    const auto info = read_file(cat("/proc/self/fdinfo/", fd));
    const auto mount = info ? status_field(*info, "mnt_id") : std::nullopt;
    const auto mounts = read_file("/proc/self/mountinfo");
    if (mount && mounts) {
        for (const std::string_view line : split(*mounts, '\n')) {
            // "ID PARENT MAJOR:MINOR ROOT ..."
            const auto words = split(line, ' ');
            if (words.size() < 3 || words[0] != *mount)
                continue;
            const auto numbers = split(words[2], ':');
            if (numbers.size() != 2)
                break;
            const auto major = to_number<std::uint32_t>(numbers[0]);
            const auto minor = to_number<std::uint32_t>(numbers[1]);
            if (major && minor)
                return *major << 20 | *minor;
        }
    }
    fail(cat("--directory ", path), 0, "its mount is not in /proc/self/mountinfo");
}

void find_directory(Options& o)
{
    const std::string path(o.directory);
    const Fd fd(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    struct stat st {
    };
    if (!fd || ::fstat(fd.get(), &st) != 0)
        fail(cat("--directory ", path), errno);
    o.by_dir = true;
    o.dir_inode = st.st_ino;
    o.dir_dev = kernel_dev(fd.get(), path);
}

void check(const Session& session)
{
    if (session.given("read-only") && session.given("write-only"))
        fail_usage("--read-only and --write-only exclude each other");
}

void setup(filetop_bpf&, Options& o, const Session& session)
{
    o.no_reads = session.given("write-only");
    o.no_writes = session.given("read-only");
    if (!o.directory.empty())
        find_directory(o);
}

void resolved(filetop_bpf& s, const Launcher& launcher)
{
    bpf_map__set_autocreate(s.maps.pending, std::ranges::any_of(launcher.plan().load, [](auto* p) {
                                return bpf_program__type(p) == BPF_PROG_TYPE_KPROBE;
                            }));
}

void decode(Row& row, const Entries& entries, std::size_t entry)
{
    row.key = entries.key<file_key>(entry);
    entries.values<file_stat>(entry, [&](const file_stat& stat) { row.stat = stat; });
    row.made_up.clear();
    if (row.stat.name[0] == '\0') // as /proc/PID/fd shows them
        row.made_up = cat(S_ISFIFO(row.stat.mode)   ? "pipe:["
                          : S_ISSOCK(row.stat.mode) ? "socket:["
                                                    : "inode:[",
                          row.key.inode, "]");
}

std::uint64_t weight(const Row& row, const Options& o)
{
    const file_stat& s = row.stat;
    switch (o.sort) {
    case Sort::reads:
        return s.reads;
    case Sort::writes:
        return s.writes;
    case Sort::rbytes:
        return s.read_bytes;
    case Sort::wbytes:
        return s.write_bytes;
    case Sort::all:
        break;
    }
    return s.reads + s.writes + s.read_bytes + s.write_bytes;
}

constexpr Top<filetop_bpf, Options, Row> kTool{
    .about = {.name = "filetop",
              .area = "file",
              .summary = "Show the files that are read and written most",
              .details = "One line for each thread and file of the interval, the busiest first. "
                         "Bytes are those that were transferred, not those that were asked for.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .check = check,
    .setup = setup,
    .resolved = resolved,
    .decode = decode,
    .weight = weight,
    .events = [](const Row& row) -> std::uint64_t { return row.stat.reads + row.stat.writes; },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
