// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "filetop.h"
#include "base/fd.hpp"
#include "devices.hpp"
#include "output/task_fields.hpp"
#include "shape/top.hpp"
#include "transfer.hpp"
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "filetop.skel.h"

namespace
{

using namespace corebox;

struct Options : filetop_config {
    TransferSort sort = TransferSort::all;
    std::string_view directory;
};

struct Row {
    std::uint64_t time_ns = 0;
    file_key key{};
    file_stat stat{};
    std::string made_up; // a name for what has none
};

constexpr Example kExamples[] = {
    {"filetop", "Show the busiest files, every second"},
    {"filetop -C -s wbytes 5 1", "Print the most written files in 5 seconds"},
    {"filetop -d /var/log --write-only", "Show writes to files directly in /var/log"},
};

constexpr Option kOptions[] = {
    flag<&Options::all_types>('a', "all-files", "Include sockets, pipes and devices", "all"),
    kTransferSort<&Options::sort>,
    kReadOnly,
    kWriteOnly,
    opt<&Options::directory>('d', "directory", "DIR", "Show only files directly in this directory",
                             {}, {}, "dir"),
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
    col<[](const Row& r) { return r.stat.sums.reads; }>("reads", "READS", -6,
                                                        "Number of reads, including failed ones"),
    col<[](const Row& r) { return r.stat.sums.writes; }>("writes", "WRITES", -6,
                                                         "Number of writes, including failed ones"),
    col<[](const Row& r) { return r.stat.sums.read_bytes / kKiB; }>("read_kib", "R_Kb", -7,
                                                                    "KiB read"),
    col<[](const Row& r) { return r.stat.sums.write_bytes / kKiB; }>("write_kib", "W_Kb", -7,
                                                                     "KiB written"),
    col<[](const Row& r) { return r.stat.sums.read_bytes; }>("read_bytes", "RBYTES", -10,
                                                             "Bytes read", kJsonOnly),
    col<[](const Row& r) { return r.stat.sums.write_bytes; }>("write_bytes", "WBYTES", -10,
                                                              "Bytes written", kJsonOnly),
    col<[](const Row& r) { return Trusted{type_of(r.stat.mode)}; }>(
        "type", "T", 1, "R: regular file, S: socket, O: other"),
    col<[](const Row& r) { return r.key.inode; }>("inode", "INODE", 10, "Inode number", kJsonOnly),
    col<[](const Row& r) { return device_major(r); }>(
        "dev_major", "MAJ", 4, "Major number of the file system's device", kJsonOnly),
    col<[](const Row& r) { return r.key.dev & 0xfffff; }>(
        "dev_minor", "MIN", 4, "Minor number of the file system's device", kJsonOnly),
    col<[](const Row& r) {
        return r.made_up.empty() ? Value(r.stat.name) : Value(std::string_view(r.made_up));
    }>("file", "FILE", 0, "Name of the file, without its directory"),
};

void find_directory(Options& o)
{
    const std::string path(o.directory);
    const Fd fd(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    struct stat st {
    };
    if (!fd || ::fstat(fd.get(), &st) != 0)
        fail(cat("cannot trace --directory ", path), errno);
    o.by_dir = true;
    o.dir_inode = st.st_ino;
    o.dir_dev = kernel_dev(fd.get(), path);
}

void setup(filetop_bpf& s, Options& o, const Session& session)
{
    set_transfers(s, session);
    if (!o.directory.empty())
        find_directory(o);
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

constexpr std::string_view kWhereOps[] = {"read", "write"};

constexpr Column kFields[] = {
    event_field<field<&filetop_event::bytes>>("bytes",
                                              "Bytes that the call moved, or a negative errno"),
    event_field_of_names<field<&filetop_event::write>, kWhereOps>("op", "read or write"),
    event_field<field<&filetop_event::name>>("file", "Name of the file, its first 127 bytes"),
    event_field<field<&filetop_event::inode>>("inode", "Inode number"),
    task_field::pid,
    task_field::tid,
    task_field::comm,
    task_field::cpu};

constexpr Top<filetop_bpf, Options, Row> kTool{
    .about = {.name = "filetop",
              .area = "file",
              .summary = "Show the files that are read and written most",
              .details = "Prints one line for each thread and file of the interval, the busiest "
                         "first. Bytes are the transferred bytes, not the requested ones.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kTransfers<filetop_bpf>,
    .fields = kFields,
    .prepare = [](Options&, Session& session) { check_transfers(session); },
    .setup = setup,
    .decode = decode,
    .weight = [](const Row& row,
                 const Options& o) { return transfer_weight(row.stat.sums, o.sort); },
    .events = [](const Row& row) -> std::uint64_t {
        return row.stat.sums.reads + row.stat.sums.writes;
    },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
