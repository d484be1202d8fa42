// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "biotop.h"
#include "request.hpp"
#include "shape/top.hpp"

#include "biotop.skel.h"

namespace
{

using namespace corebox;

enum class Sort : std::uint8_t { all, io, bytes, time };

struct Options {
    Sort sort = Sort::bytes;
    std::string_view disk;
    const bpf_map* disk_notes = nullptr;
};

struct Row {
    std::uint64_t time_ns = 0;
    biotop_key key{};
    biotop_sums sums{};
    std::string disk;
    RequestLetters letters{};
};

constexpr std::uint64_t kKiB = 1024;

constexpr Example kExamples[] = {
    {"biotop", "Who keeps the disks busy, on a screen, every second"},
    {"biotop -C -s io 5 1", "Who made most requests in 5 seconds"},
    {"biotop -p 181 --json 10", "What process 181 asks for, every 10 seconds, as JSON"},
};

constexpr Option kOptions[] = {
    choice<&Options::sort>('s', "sort", "all|io|bytes|time",
                           "Sort by this (default: bytes), or by the sum of requests, bytes and "
                           "microseconds"),
    opt<&Options::disk>('d', "disk", "DISK", "Only this disk or partition", {}, {}, "disk"),
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'r', "rows"}, {'C', "noclear"}, {'c', "cgroup"}};

// In nanoseconds.
constexpr std::uint64_t average(const Row& r) { return r.sums.ns / std::max<__u64>(r.sums.ios, 1); }

constexpr Column kColumns[] = {
    col<[](const Row& r) { return WallTime{r.time_ns}; }>("time_ns", "TIME", 8,
                                                          "End of the interval", kJsonOnly),
    col<[](const Row& r) { return r.key.pid; }>("pid", "PID", 7,
                                                "ID of the process that asked, 0 if not known"),
    col<[](const Row& r) -> Value { return r.sums.comm; }>(
        "comm", "COMM", 16, "Command name of the thread that asked first"),
    col<[](const Row& r) { return Trusted{r.letters}; }>(
        "type", "D", 2,
        "R: read, W: write, F: flush, D: discard, DE: erase, WZ: zeroes, Z: zone, N: other"),
    col<[](const Row& r) { return Trusted{request_kind_name(r.key.kind)}; }>(
        "op", "OP", 12, "Operation", kJsonOnly),
    col<[](const Row& r) { return (r.key.disk >> 20); }>("major", "MAJ", 3, "Disk, major number"),
    col<[](const Row& r) { return r.key.disk & 0xfffff; }>("minor", "MIN", 3, "Disk, minor number"),
    col<[](const Row& r) { return Value(std::string_view(r.disk)); }>("disk", "DISK", 9,
                                                                      "Name of the disk"),
    col<[](const Row& r) { return r.sums.ios; }>("ios", "I/O", -6, "Requests that were done"),
    col<[](const Row& r) { return r.sums.bytes / kKiB; }>("kib", "Kbytes", -8, "KiB of them"),
    col<[](const Row& r) { return r.sums.bytes; }>("bytes", "BYTES", -10, "Bytes of them",
                                                   kJsonOnly),
    col<[](const Row& r) {
        return Fixed{average(r) / 10'000, 2};
    }>("avg_ms", "AVGms", -7, "Milliseconds from issue to completion, on average"),
    col<[](const Row& r) { return r.sums.ns; }>("total_ns", "TOTALns", -14,
                                                "Nanoseconds of all together", kJsonOnly),
};

constexpr Need kNeeds[] = {kRequestsMade<biotop_bpf>, kRequestsIssued<biotop_bpf>,
                           kRequestsDone<biotop_bpf>};

void decode(Row& row, const Entries& entries, std::size_t entry)
{
    row.key = entries.key<biotop_key>(entry);
    entries.values<biotop_sums>(entry, [&](const biotop_sums& sums) { row.sums = sums; });
    request_letters(row.letters, row.key.kind, 0);
}

std::uint64_t weight(const Row& row, const Options& o)
{
    const biotop_sums& s = row.sums;
    switch (o.sort) {
    case Sort::io:
        return s.ios;
    case Sort::bytes:
        return s.bytes;
    case Sort::time:
        return s.ns;
    case Sort::all:
        break;
    }
    return s.ios + s.bytes + s.ns / 1000;
}

constexpr Top<biotop_bpf, Options, Row> kTool{
    .about = {.name = "biotop",
              .area = "block",
              .summary = "Show the processes that use the disks most",
              .details = "One line for each process, disk and operation of the interval, the most "
                         "bytes first. The process is the one that asked for the I/O, which for "
                         "data that is written back later is a kernel thread.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .setup =
        [](biotop_bpf& s, Options& o, const Session& session) {
            o.disk_notes = s.maps.cb_disk_notes;
            choose_disk(s, session, o.disk);
        },
    .resolved = request_resolved<biotop_bpf>,
    .decode = decode,
    .name = [](Row& row,
               const Options& o) { row.disk = DiskNames::of(o.disk_notes, row.key.disk); },
    .weight = weight,
    .events = [](const Row& row) -> std::uint64_t { return row.sums.ios; },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
