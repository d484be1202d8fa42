// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "biotop.h"
#include "request.hpp"
#include "request_event.hpp"
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
    {"biotop", "Show the processes that use disks most, every second"},
    {"biotop -C -s io 5 1", "Show the processes with most requests in 5 seconds"},
    {"biotop -p 181 --json 10", "Print the I/O of process 181 every 10 seconds, as JSON"},
};

constexpr Option kOptions[] = {
    choice<&Options::sort>('s', "sort", "all|io|bytes|time",
                           "Sort by this, or by their sum (default: bytes)"),
    opt<&Options::disk>('d', "disk", "DISK", "Trace only this disk or partition", {}, {}, "disk"),
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'r', "rows"}, {'C', "noclear"}, {'c', "cgroup"}};

// In nanoseconds.
constexpr std::uint64_t average(const Row& r) { return r.sums.ns / std::max<__u64>(r.sums.ios, 1); }

constexpr Column kColumns[] = {
    col<[](const Row& r) { return WallTime{r.time_ns}; }>("time_ns", "TIME", 8,
                                                          "End of the interval", kJsonOnly),
    col<[](const Row& r) { return r.key.pid; }>(
        "pid", "PID", 7, "ID of the process that issued the I/O, 0 if not known"),
    col<[](const Row& r) -> Value { return r.sums.comm; }>(
        "comm", "COMM", 16, "Command name of the first thread that issued the I/O"),
    col<[](const Row& r) { return Trusted{r.letters}; }>(
        "type", "D", 2,
        "R: read, W: write, F: flush, D: discard, DE: erase, WZ: zeroes, Z: zone, N: other"),
    col<[](const Row& r) { return Trusted{request_kind_name(r.key.kind)}; }>(
        "op", "OP", 12, "Operation", kJsonOnly),
    col<[](const Row& r) { return (r.key.disk >> 20); }>("major", "MAJ", 3,
                                                         "Major number of the disk"),
    col<[](const Row& r) { return r.key.disk & 0xfffff; }>("minor", "MIN", 3,
                                                           "Minor number of the disk"),
    col<[](const Row& r) { return Value(std::string_view(r.disk)); }>("disk", "DISK", 9,
                                                                      "Name of the disk"),
    col<[](const Row& r) { return r.sums.ios; }>("ios", "I/O", -6, "Number of completed requests"),
    col<[](const Row& r) { return r.sums.bytes / kKiB; }>("kib", "Kbytes", -8, "KiB transferred"),
    col<[](const Row& r) { return r.sums.bytes; }>("bytes", "BYTES", -10, "Bytes transferred",
                                                   kJsonOnly),
    col<[](const Row& r) {
        return Fixed{average(r) / 10'000, 2};
    }>("avg_ms", "AVGms", -7, "Average time from issue to completion, in milliseconds"),
    col<[](const Row& r) { return r.sums.ns; }>(
        "total_ns", "TOTALns", -14, "Total time of all requests, in nanoseconds", kJsonOnly),
};

constexpr Column kFields[] = {request_field::disk,   request_field::op,     request_field::bytes,
                              request_field::lat_us, request_field::lat_ms, request_field::lat_ns,
                              request_field::sector, request_field::pid,    request_field::tid,
                              request_field::comm};

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
              .details = "Prints one line for each process that issued I/O, disk and operation of "
                         "the interval, the most bytes first. Buffered writes are attributed to "
                         "the kernel thread that writes them back.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .fields = kFields,
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
