// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "biopattern.h"
#include "base/difference.hpp"
#include "disks.hpp"
#include "request_event.hpp"
#include "shape/reports.hpp"
#include <algorithm>
#include <bpf/bpf.h>
#include <map>

#include "biopattern.skel.h"

namespace
{

using namespace corebox;
using Progs = decltype(biopattern_bpf::progs);

struct Options {
    std::string_view disk_name;
};

struct Row {
    std::uint64_t time_ns = 0; // end of the interval
    std::string disk;
    std::uint64_t random = 0, sequential = 0, count = 0, bytes = 0;

    // Of those whose predecessor is known.
    Value percent(bool of_random) const
    {
        const std::uint64_t all = random + sequential;
        if (all == 0)
            return Absent{};
        const std::uint64_t rounded = (200 * random + all) / (2 * all);
        return of_random ? rounded : 100 - rounded;
    }
};

constexpr Example kExamples[] = {
    {"biopattern 1 10", "Print ten reports, one per second"},
    {"biopattern -d vda", "Trace one disk until Ctrl-C"},
};

constexpr Option kOptions[] = {
    show('T', "timestamp", "Accept this option: the time is always printed"),
    opt<&Options::disk_name>('d', "disk", "DISK", "Trace only this disk or partition", {}, {},
                             "disk"),
};

constexpr Column kColumns[] = {
    col<[](const Row& r) { return WallTime{r.time_ns}; }>("time_ns", "TIME", 9,
                                                          "End of the interval"),
    col<[](const Row& r) { return Value(std::string_view(r.disk)); }>("disk", "DISK", 10,
                                                                      "Name of the disk"),
    col<[](const Row& r) { return r.percent(true); }>("random_percent", "%RND", -5,
                                                      "Share of random requests, in percent"),
    col<[](const Row& r) { return r.percent(false); }>("sequential_percent", "%SEQ", -5,
                                                       "Share of sequential requests, in percent"),
    col<&Row::count>("count", "COUNT", -8, "Number of requests"),
    col<[](const Row& r) { return Value(r.bytes / 1024); }>("kbytes", "KBYTES", -10,
                                                            "KiB read and written"),
    col<&Row::bytes>("bytes", "BYTES", -12, "Bytes read and written", kJsonOnly),
    col<&Row::random>("random", "RND", -8, "Number of random requests", kJsonOnly),
    col<&Row::sequential>("sequential", "SEQ", -8, "Number of sequential requests", kJsonOnly),
};

constexpr Column kFields[] = {request_field::disk, request_field::op, request_field::bytes,
                              request_field::sector};

constexpr Need kNeeds[] = {
    {"requests as they are issued",
     {rung<&Progs::issue_tp_btf>("tp_btf"), rung<&Progs::issue_raw_tp>("raw_tp")}},
};

class Report
{
public:
    using Row = ::Row;

    explicit Report(Reporting<biopattern_bpf, Options>& r) : r_(r) {}

    void begin() { r_.sink.header(); }

    void report()
    {
        std::vector<Row> rows;
        const int map = bpf_map__fd(r_.skeleton.maps.cb_disks);
        const std::uint64_t now = monotonic_ns();
        std::uint32_t number = 0;
        for (const std::uint32_t* last = nullptr; bpf_map_get_next_key(map, last, &number) == 0;
             last = &number) {
            biopattern_disk disk{};
            if (bpf_map_lookup_elem(map, &number, &disk) != 0)
                continue;
            Row row = since(disk, before_[number]);
            before_[number] = disk;
            if (row.count == 0)
                continue;
            row.time_ns = now;
            row.disk = DiskNames::of(r_.skeleton.maps.cb_disk_notes, number);
            r_.account.printed += row.count;
            rows.push_back(std::move(row));
        }
        std::ranges::sort(rows, {}, &Row::disk);
        for (const Row& row : rows)
            r_.sink.row(&row);
    }

private:
    static Row since(const biopattern_disk& now, const biopattern_disk& before)
    {
        Row row;
        row.random = difference(now.random, before.random);
        row.sequential = difference(now.sequential, before.sequential);
        row.count = row.random + row.sequential + difference(now.first, before.first);
        row.bytes = difference(now.bytes, before.bytes);
        return row;
    }

    Reporting<biopattern_bpf, Options>& r_;
    std::map<std::uint32_t, biopattern_disk> before_; // at the last report
};

constexpr Reports<biopattern_bpf, Options, Report> kTool{
    .about = {.name = "biopattern",
              .area = "block",
              .summary = "Show the share of random and sequential disk I/O",
              .details = "A request is sequential if it begins where the previous request to the "
                         "same disk ended, in the order of issue.",
              .examples = kExamples},
    .options = kOptions,
    .columns = kColumns,
    .needs = kNeeds,
    .fields = kFields,
    .setup = [](biopattern_bpf& s, Options& o,
                const Session&) { restrict_to_disk(s, o.disk_name); },
    .resolved =
        [](biopattern_bpf& s, const Launcher& launcher) {
            s.rodata->cb_request_arg = launcher.argument("block_rq_issue", "request") == 1;
        },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
