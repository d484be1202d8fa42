// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "virtiostat.h"
#include "shape/reports.hpp"
#include <algorithm>
#include <tuple>

#include "virtiostat.skel.h"

namespace
{

using namespace corebox;
using Progs = decltype(virtiostat_bpf::progs);

struct Options {
    std::string_view driver, device;
};

struct Row {
    std::uint64_t time_ns = 0; // end of the interval
    virtiostat_value value{};
};

constexpr Example kExamples[] = {
    {"virtiostat", "Show all virtqueues, every 3 seconds"},
    {"virtiostat -d virtio_blk 1 10", "Show the queues of virtio disks, ten times, every second"},
    {"virtiostat -n virtio0 -T", "Show the queues of one device, with the time of day"},
};

constexpr Option kOptions[] = {
    show('T', "timestamp", "Print the time of day"),
    opt<&Options::driver>('d', "driver", "NAME", "Trace only this driver, such as virtio_blk"),
    opt<&Options::device>('n', "devname", "NAME", "Trace only this device, such as virtio0"),
};

constexpr Letter kLetters[] = {{'D', "debug"}};

constexpr Column kColumns[] = {
    col<[](const Row& r) { return WallTime{r.time_ns}; }>("time_ns", "TIME", 8,
                                                          "End of the interval", kJsonOnly),
    col<&Row::value, &virtiostat_value::driver>("driver", "Driver", 16, "Driver of the device"),
    col<&Row::value, &virtiostat_value::device>("device", "Device", 10, "Name of the device"),
    col<&Row::value, &virtiostat_value::queue>("queue", "VQ Name", 14, "Name of the queue"),
    col<&Row::value, &virtiostat_value::buffers>("buffers", "Buffers", -8,
                                                 "Number of buffers added", kJsonOnly),
    col<&Row::value, &virtiostat_value::in_sgs>("in_sgs", "In SGs", -8,
                                                "Scatterlists that the device writes to"),
    col<&Row::value, &virtiostat_value::out_sgs>("out_sgs", "Out SGs", -8,
                                                 "Scatterlists that the device reads"),
    col<&Row::value, &virtiostat_value::in_bytes>("in_bytes", "In BW", -14,
                                                  "Bytes in these scatterlists"),
    col<&Row::value, &virtiostat_value::out_bytes>("out_bytes", "Out BW", -14,
                                                   "Bytes in these scatterlists"),
};

constexpr Need kNeeds[] = {
    {"buffers that drivers add to virtqueues",
     {with_function(
          rung_any<&Progs::sgs_fexit, &Progs::out_fexit, &Progs::in_fexit, &Progs::inctx_fexit,
                   &Progs::inclean_fexit, &Progs::outpre_fexit, &Progs::inpre_fexit>("fexit"),
          "get_func_ret"), // its programs read their arguments by helpers of 5.17
      rung_any<&Progs::sgs_kprobe, &Progs::out_kprobe, &Progs::in_kprobe, &Progs::inctx_kprobe,
               &Progs::inclean_kprobe, &Progs::outpre_kprobe, &Progs::inpre_kprobe>(
          "kprobe", "full queues: a buffer counts at each attempt")}},
};

class Report
{
public:
    using Row = ::Row;

    explicit Report(Reporting<virtiostat_bpf, Options>& r)
        : r_(r), generations_(r.skeleton.bss->cb_generation)
    {
    }

    void begin()
    {
        if (!r_.text())
            r_.sink.header();
    }

    void report()
    {
        const Entries entries(r_.skeleton.maps.cb_top, generations_.flip());
        const std::uint64_t now = monotonic_ns();
        std::vector<Row> rows;
        for (std::size_t i = 0; i < entries.size(); i++)
            entries.values<virtiostat_value>(i, [&](const virtiostat_value& value) {
                const bool asked =
                    (r_.options.driver.empty() || r_.options.driver == c_str(value.driver)) &&
                    (r_.options.device.empty() || r_.options.device == c_str(value.device));
                (asked ? r_.account.printed : r_.account.filtered) += value.buffers;
                if (asked)
                    rows.push_back({now, value});
            });
        std::ranges::sort(rows, {}, [](const Row& row) {
            return std::tuple(c_str(row.value.device), row.value.index);
        });
        if (Output* const text = r_.text())
            heading(*text, now);
        for (const Row& row : rows)
            r_.sink.row(&row);
    }

private:
    void heading(Output& output, std::uint64_t now)
    {
        Clock& clock = output.clock();
        if (r_.session.given("timestamp"))
            output.text() += cat(clock.time_of_day(clock.wall_ns(now)), "\n");
        else
            output.text() += "--------\n";
        output.header();
    }

    Reporting<virtiostat_bpf, Options>& r_;
    Generations generations_;
};

constexpr Reports<virtiostat_bpf, Options, Report> kTool{
    .about = {.name = "virtiostat",
              .area = "block",
              .summary = "Count the buffers in virtio queues",
              .details = "Counts by queue the scatterlists and bytes that drivers pass to virtio "
                         "devices: for the device to write (In) and to read (Out).",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .interval = std::chrono::seconds(3),
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
