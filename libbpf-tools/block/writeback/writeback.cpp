// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "writeback.h"
#include "shape/stream.hpp"

#include "writeback.skel.h"

namespace
{
using namespace corebox;
using P = decltype(writeback_bpf::progs);

struct Options {
};

using Row = writeback_event;

constexpr Example kExamples[] = {
    {"writeback", "Trace the kernel as it writes dirty pages to devices"},
    {"writeback --where 'lat_ms > 100'", "Trace only passes of more than 100 ms"},
    {"writeback --where 'device == \"sda\" && reason == \"sync\"'",
     "Trace what sync(2) makes the kernel write to a disk"},
};

constexpr std::string_view kReasons[WRITEBACK_REASONS] = {
    "background",    "vmscan",        "sync",          "periodic",  "laptop_timer",
    "fs_free_space", "forker_thread", "foreign_flush", "dontcache", "other"};

constexpr Column kColumns[] = {
    col<[](const Row& r) { return WallTime{r.time_ns}; }>("time_ns", "TIME", 8, "End of the pass"),
    col<[](const Row& r) -> Value { return r.device; }>(
        "device", "DEVICE", 15, "Disk, or else the kernel's name of the device")
        .from<field<&Row::device>>(),
    col<[](const Row& r) -> Value { return r.bdi; }>(
        "bdi", "BDI", 15, "The kernel's name of the device, as 8:0", kJsonOnly)
        .from<field<&Row::bdi>>(),
    col<&Row::pages>("pages", "PAGES", -8, "Pages that were written").from<field<&Row::pages>>(),
    col<[](const Row& r) { return Trusted{kReasons[r.reason]}; }>("reason", "REASON", 14,
                                                                  "Why the kernel writes")
        .from_names<field<&Row::reason>, kReasons>(),
    col<[](const Row& r) {
        return Fixed{r.ns / 1000, 3};
    }>("lat_ms", "ms", -10, "Time that it took")
        .from<fixed(field<&Row::ns> / 1000, 3)>(),
    col<&Row::ns>("lat_ns", "ns", -12, "The same in nanoseconds", kJsonOnly)
        .from<field<&Row::ns>>(),
    col<&Row::tid>("tid", "TID", 7, "Kernel thread that writes", kJsonOnly)
        .from<field<&Row::tid>>(),
    col<&Row::cgroup>("cgroup_id", "CGROUP", 10, "cgroup (v2) whose pages they are; 0: unknown",
                      kJsonOnly)
        .from<field<&Row::cgroup>>(),
};

constexpr Need kNeeds[] = {
    {.what = "passes of writeback",
     .rungs = {rung<&P::begin_tp_btf, &P::end_tp_btf>("tp_btf"),
               rung<&P::begin_raw_tp, &P::end_raw_tp>("raw_tp")}},
};

constexpr Stream<writeback_bpf, Options, Row> kTool{
    .about = {.name = "writeback",
              .area = "block",
              .summary = "Trace the kernel as it writes dirty pages to devices",
              .details = "Prints one line for each pass in which a kernel thread writes dirty "
                         "pages to a device, with its reason and duration.",
              .examples = kExamples},
    .columns = kColumns,
    .needs = kNeeds,
    .decode =
        [](Row& row, const Options&, const void* record, std::size_t) {
            row = *static_cast<const Row*>(record);
            return true;
        },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
