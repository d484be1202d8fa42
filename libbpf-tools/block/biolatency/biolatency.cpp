// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "biolatency.h"
#include "disks.hpp"
#include "request_event.hpp"
#include "shape/histogram.hpp"

#include "biolatency.skel.h"

namespace
{

using namespace corebox;
using Progs = decltype(biolatency_bpf::progs);

struct Options : biolat_config {
    std::string_view disk_name;
    const bpf_map* disk_notes = nullptr;
    bool milliseconds = false;
};

struct Row {
    std::string disk, flags;
};

constexpr Example kExamples[] = {
    {"biolatency 1 10", "Print ten histograms, one per second"},
    {"biolatency -QD", "Include the time in kernel queues, with a histogram for each disk"},
    {"biolatency -F -d vda1", "Print a histogram for each kind of request to one partition"},
    {"biolatency --json 5", "Print JSON with exact counts, every 5 seconds"},
};

constexpr Option kOptions[] = {
    show('T', "timestamp", "Print the time of day"),
    flag<&Options::queued>('Q', "queued", "Include the time in kernel queues"),
    flag<&Options::milliseconds>('m', "milliseconds", "Show milliseconds"),
    flag<&Options::per_disk>('D', "disks", "Show a histogram for each disk"),
    flag<&Options::per_flags>('F', "flags", "Show a histogram for each set of request flags",
                              "flag"),
    show('e', "extension", "Print the average, total and count as BCC does"),
    opt<&Options::disk_name>('d', "disk", "DISK", "Trace only this disk or partition", {}, {},
                             "disk"),
};

constexpr Letter kLetters[] = {{'c', "cgroup"}, {'j', "json"}, {'p', "pid"}};

constexpr Column kColumns[] = {
    col<[](const Row& r) { return Value(std::string_view(r.disk)); }>(
        "disk", "DISK", 10, "Name of the disk", costly("disks")),
    col<[](const Row& r) { return Value(Trusted{r.flags}); }>(
        "flags", "FLAGS", 20, "Flags and operation of the request", costly("flags")),
};

constexpr Column kFields[] = {request_field::disk,   request_field::op,     request_field::bytes,
                              request_field::lat_us, request_field::lat_ms, request_field::lat_ns};

constexpr Need kNeeds[] = {
    {"requests as they are issued",
     {rung<&Progs::issue_tp_btf>("tp_btf"), rung<&Progs::issue_raw_tp>("raw_tp")}},
    {"requests as they complete",
     {rung<&Progs::complete_tp_btf>("tp_btf"), rung<&Progs::complete_raw_tp>("raw_tp")}},
    {"requests as they are queued, for their start",
     {rung<&Progs::insert_tp_btf>("tp_btf"), rung<&Progs::insert_raw_tp>("raw_tp")},
     "queued"},
    {"requests as they are queued or handed back, for their issuer",
     {rung<&Progs::insert_tp_btf, &Progs::back_tp_btf>("tp_btf"),
      rung<&Progs::insert_raw_tp, &Progs::back_raw_tp>("raw_tp")},
     kAnyFilter},
    {"requests that end in another",
     {rung<&Progs::merge>("raw_tp")},
     {},
     true,
     "merges of one request into another"},
};

constexpr std::string_view kOps[REQUEST_KINDS] = {
    "Read",         "Write",    "Flush",     "Discard",    "SecureErase", "WriteSame",
    "WriteZeros",   "ZoneOpen", "ZoneClose", "ZoneFinish", "ZoneAppend",  "ZoneReset",
    "ZoneResetAll", "ScsiIn",   "ScsiOut",   "DrvIn",      "DrvOut",      "Unknown"};

// From the lowest bit, REQUEST_FLAGS_SHIFT, up; BCC's words.
constexpr std::string_view kFlags[] = {
    "Sync",     "Metadata",  "Priority",   "NoMerge", "Idle", "Integrity", "ForcedUnitAccess",
    "PreFlush", "ReadAhead", "Background", "NoWait"};
static_assert(REQUEST_FLAGS >> REQUEST_FLAGS_SHIFT == (1u << std::size(kFlags)) - 1);

std::string flag_words(std::uint32_t flags)
{
    std::string words;
    for (std::size_t i = std::size(kFlags); i-- > 0;)
        if (flags >> (REQUEST_FLAGS_SHIFT + i) & 1)
            words += cat(kFlags[i], "-");
    const std::uint32_t op = flags & ((1u << REQUEST_FLAGS_SHIFT) - 1);
    return words += kOps[std::min<std::uint32_t>(op, REQUEST_UNKNOWN)];
}

constexpr Histogram<biolatency_bpf, Options, biolat_key, Row> kTool{
    .about = {.name = "biolatency",
              .area = "block",
              .summary = "Show the latency of block I/O as a histogram",
              .details = "Measures the time from when a request is issued to the device until it "
                         "completes. With -Q, measures from when the request was created.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .fields = kFields,
    .unit =
        [](const Options& o) {
            return o.milliseconds ? Unit{"msecs", 1'000'000} : Unit{"usecs", 1'000};
        },
    .keyed = [](const Options& o) { return o.per_disk || o.per_flags; },
    .decode =
        [](Row& row, const Options& o, const biolat_key& key) {
            if (o.per_disk)
                row.disk = key.disk ? DiskNames::of(o.disk_notes, key.disk) : "unknown";
            if (o.per_flags)
                row.flags = flag_words(key.flags);
        },
    .setup =
        [](biolatency_bpf& s, Options& o, const Session& session) {
            o.unit_ns = o.milliseconds ? 1'000'000 : 1'000;
            o.by_issuer = is_filtered(session);
            o.disk_notes = s.maps.cb_disk_notes;
            restrict_to_disk(s, o.disk_name);
        },
    .resolved =
        [](biolatency_bpf& s, const Launcher& launcher) {
            s.rodata->cb_request_arg = launcher.argument("block_rq_issue", "request") == 1;
        },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
