// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "biosnoop.h"
#include "base/path.hpp"
#include "request.hpp"
#include "shape/stream.hpp"
#include "symbols/kernel.hpp"
#include "tool/milliseconds.hpp"

#include "biosnoop.skel.h"

namespace
{

using namespace corebox;

constexpr std::uint64_t kSector = 512;
constexpr std::uint64_t kNoSector = ~0ull; // of a flush

struct Options : biosnoop_config {
    std::string_view disk;
    Milliseconds min;
    bool partitions = false;
    const bpf_map* disk_notes = nullptr;
};

struct Row {
    biosnoop_request e{};
    std::string_view disk;
    RequestLetters letters{};
    FlagWords flag_words{};
    std::size_t flag_count = 0;
    char pattern = '?';
    std::string_view path, partition;

    std::string full; // memory of a path
    DiskNames names;
    Partitions partitions;
    std::vector<std::pair<std::uint32_t, std::uint64_t>> ends; // disk, the sector behind its last

    std::uint32_t kind() const { return e.flags & ((1u << REQUEST_FLAGS_SHIFT) - 1); }
};

constexpr Example kExamples[] = {
    {"biosnoop", "Trace every disk request with its latency"},
    {"biosnoop -Q -d nvme0n1", "Trace one disk, with the time in kernel queues"},
    {"biosnoop --files -m 10", "Trace requests of 10 ms or longer, with their files"},
    {"biosnoop -P -- cp a b", "Show if the I/O of a command is sequential or random"},
};

constexpr Alias kAliases[] = {
    {"disksnoop",
     {"--columns", "since_s,rwm,bytes,lat_ms"},
     "Trace block I/O like the disksnoop example of BCC's tutorial"},
};

constexpr Option kOptions[] = {
    show('Q', "queue", "Print the time in kernel queues", "queued"),
    opt<&Options::disk>('d', "disk", "DISK", "Trace only this disk or partition", {}, {}, "disk"),
    show('P', "pattern", "Print if the request is sequential or random"),
    opt<&Options::min>('m', "min", "MS", "Skip requests shorter than this"),
    show('t', "timestamp", "Print the time of day"),
    flag<&Options::partitions>(0, "partitions", "Print the partition"),
    flag<&Options::files>(0, "files", "Print the file, where the kernel knows it"),
};

constexpr Letter kLetters[] = {{'c', "cgroup"}, {'p', "pid"}};

template <auto Member>
constexpr Formula kOf = field<&biosnoop_event::request, Member>;

constexpr Column kColumns[] = {
    col<[](const Row& r) {
        return SinceFirst{r.e.time_ns, 6};
    }>("since_s", "TIME(s)", 11, "Seconds since the first request completed", without("timestamp")),
    col<[](const Row& r) {
        return WallTime{r.e.time_ns, 3};
    }>("time_ns", "TIMESTAMP", 12, "Time when the request completed", with("timestamp")),
    col<[](const Row& r) -> Value { return r.e.comm; }>(
        "comm", "COMM", 14, "Command name of the thread that issued the I/O")
        .from<kOf<&biosnoop_request::comm>>(),
    col<[](const Row& r) { return r.e.pid; }>("pid", "PID", 7, "Process ID of this thread")
        .from<kOf<&biosnoop_request::pid>>(),
    col<[](const Row& r) { return r.e.tid; }>("tid", "TID", 7, "Thread ID of this thread",
                                              kJsonOnly)
        .from<kOf<&biosnoop_request::tid>>(),
    col<[](const Row& r) -> Value { return r.disk; }>("disk", "DISK", 9, "Name of the disk")
        .as(ColumnType::text),
    col<[](const Row& r) { return r.partition.empty() ? Value(Absent{}) : Value(r.partition); }>(
        "partition", "PART", 11, "The partition that the sector is in", with("partitions"))
        .as(ColumnType::text),
    col<[](const Row& r) { return Trusted{r.letters}; }>(
        "type", "T", 4,
        "Letters: F preflush; R read, W write, F flush, D discard, DE erase, WZ zeroes; F FUA, A "
        "read-ahead, S sync, M metadata"),
    col<[](const Row& r) {
        return Trusted{r.kind() == REQUEST_WRITE ? "W" : r.e.bytes == 0 ? "M" : "R"};
    }>("rwm", "T", 1, "W: write, M: without data, R: other", kJsonOnly),
    col<[](const Row& r) { return Trusted{request_kind_name(r.kind())}; }>("op", "OP", 12,
                                                                           "Operation", kJsonOnly)
        .from_names<kOf<&biosnoop_request::flags>&((1 << REQUEST_FLAGS_SHIFT) - 1),
                    kRequestKinds>(),
    col<[](const Row& r) {
        return List{r.flag_words, r.flag_count};
    }>("flags", "FLAGS", 20, "Flags of the request: sync, meta, fua, ahead, ...", kJsonOnly),
    col<[](const Row& r) { return r.e.sector == kNoSector ? Value(Absent{}) : Value(r.e.sector); }>(
        "sector", "SECTOR", 10, "First sector, in units of 512 bytes")
        .from<present(kOf<&biosnoop_request::sector> != std::int64_t(kNoSector),
                      kOf<&biosnoop_request::sector>)>(),
    col<[](const Row& r) { return r.e.bytes; }>("bytes", "BYTES", 7, "Size in bytes")
        .from<kOf<&biosnoop_request::bytes>>(),
    col<[](const Row& r) {
        return Trusted{{&r.pattern, 1}};
    }>("pattern", "P", 1, "S: sequential, R: random, ?: first request of its disk",
       with("pattern")),
    col<[](const Row& r) {
        return Fixed{r.e.queue_ns / 1000, 3};
    }>("queue_ms", "QUE(ms)", -8, "Milliseconds from creation to issue", with("queue"))
        .from<fixed(kOf<&biosnoop_request::queue_ns> / 1000, 3)>(),
    col<[](const Row& r) {
        return Fixed{r.e.lat_ns / 1000, 3};
    }>("lat_ms", "LAT(ms)", -8, "Milliseconds from issue to completion")
        .from<fixed(kOf<&biosnoop_request::lat_ns> / 1000, 3)>(),
    col<[](const Row& r) { return r.e.lat_ns; }>("lat_ns", "LAT(ns)", -12,
                                                 "The same time in nanoseconds", kJsonOnly)
        .from<kOf<&biosnoop_request::lat_ns>>(),
    col<[](const Row& r) { return r.e.queue_ns; }>("queue_ns", "QUE(ns)", -12,
                                                   "Nanoseconds from creation to issue", kJsonOnly)
        .from<kOf<&biosnoop_request::queue_ns>>(),
    col<[](const Row& r) { return r.e.requeues; }>(
        "requeues", "REQUEUES", -8, "How often the driver returned the request to the queue",
        kJsonOnly)
        .from<kOf<&biosnoop_request::requeues>>(),
    col<[](const Row& r) { return Errno{request_errno(r.e.error)}; }>(
        "error", "ERROR", 8, "Name of the errno it failed with", kJsonOnly),
    col<[](const Row& r) { return r.path.empty() ? Value(Absent{}) : Value(r.path); }>(
        "file", "FILE", 0, "File that the request belongs to", costly("files"))
        .as(ColumnType::text),
};

constexpr Need kNeeds[] = {kRequestsMade<biosnoop_bpf>, kRequestsIssued<biosnoop_bpf>,
                           kRequestsDone<biosnoop_bpf>, kRequestsRequeued<biosnoop_bpf>};

void setup(biosnoop_bpf& s, Options& o, const Session& session)
{
    choose_disk(s, session, o.disk);
    o.disk_notes = s.maps.cb_disk_notes;
    o.partitions |= session.format != Format::text || !session.columns.empty() ||
                    session.filters_by("partition");
    o.min_ns = o.min.ns;
    if (o.files && !o.direct_end)
        o.direct_end = KernelSymbols::load().address_of("iomap_dio_bio_end_io").value_or(0);
}

bool decode(Row& row, const Options& o, const void* record, std::size_t size)
{
    const auto& e = row.e = *static_cast<const biosnoop_request*>(record);
    row.disk = row.names.of(o.disk_notes, e.disk, e.time_ns);
    row.partition = {};
    if (o.partitions && e.sector != kNoSector)
        row.partition = row.partitions.of(row.disk, e.sector, e.time_ns);
    request_letters(row.letters, row.kind(), e.flags);
    row.flag_count = request_flag_words(row.flag_words, e.flags);
    row.pattern = '-';
    if (e.bytes) {
        auto end =
            std::ranges::find(row.ends, e.disk, [](const auto& known) { return known.first; });
        if (end == row.ends.end()) {
            end = row.ends.insert(end, {e.disk, 0});
            row.pattern = '?';
        } else {
            row.pattern = end->second == e.sector ? 'S' : 'R';
        }
        end->second = e.sector + e.bytes / kSector;
    }
    if (o.files)
        row.path = path_of(static_cast<const biosnoop_event*>(record)->path,
                           static_cast<const char*>(record) + size, row.full);
    return true;
}

constexpr Stream<biosnoop_bpf, Options, Row> kTool{
    .about = {.name = "biosnoop",
              .area = "block",
              .summary = "Trace block I/O with its latency and the process that issued it",
              .details = "Prints one line for each completed request: reads, writes, flushes, "
                         "discards. The line shows the process that issued the I/O. Buffered "
                         "writes are attributed to the kernel thread that writes them back.",
              .examples = kExamples,
              .aliases = kAliases},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .setup = setup,
    .resolved = request_resolved<biosnoop_bpf>,
    .decode = decode,
    .also = Shared::duration,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
