// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bitesize.h"
#include "disks.hpp"
#include "request.hpp"
#include "request_event.hpp"
#include "shape/histogram.hpp"
#include "shape/reports.hpp"
#include <algorithm>
#include <cstring>
#include <map>
#include <tuple>

#include "bitesize.skel.h"

namespace
{

using namespace corebox;
using Progs = decltype(bitesize_bpf::progs);

struct Options : bitesize_config {
    std::string_view disk_name;
    bool system = false;
};

struct Row {
    std::string comm, disk;
    std::string_view operation;
};

constexpr Example kExamples[] = {
    {"bitesize", "Show sizes by process until Ctrl-C"},
    {"bitesize -O -c postgres 10", "Separate reads and writes of one program, every 10 seconds"},
    {"bitehist", "Show the sizes of the whole system, and each exact size"},
    {"bitesize -- dd if=/dev/vda of=/dev/null bs=64k", "Show the sizes of a command"},
};

constexpr Alias kAliases[] = {
    {"bitehist", {"--system", "--linear"}, "Show the sizes of block I/O of the whole system"},
};

constexpr Option kOptions[] = {
    show('T', "timestamp", "Print the time of day"),
    opt<&Options::comm>('c', "comm", "NAME", "Trace only names that begin with NAME"),
    opt<&Options::disk_name>('d', "disk", "DISK", "Trace only this disk or partition", {}, {},
                             "disk"),
    flag<&Options::per_disk>('D', "disks", "Show a histogram for each disk"),
    flag<&Options::per_operation>('O', "operations", "Show a histogram for each operation"),
    flag<&Options::system>(0, "system", "Show one histogram for the whole system"),
    flag<&Options::linear>(0, "linear", "Show also how often each exact size occurred"),
};

constexpr Letter kLetters[] = {{'p', "pid"}};

constexpr Column kColumns[] = {
    col<[](const Row& r) { return Value(std::string_view(r.comm)); }>(
        "comm", "COMM", 16, "Command name of the task that issued the I/O", without("system")),
    col<[](const Row& r) { return Value(std::string_view(r.disk)); }>(
        "disk", "DISK", 10, "Name of the disk", costly("disks")),
    col<[](const Row& r) { return Value(Trusted{r.operation}); }>(
        "operation", "OPERATION", 12, "Operation of the request", costly("operations")),
};

constexpr Column kFields[] = {request_field::disk, request_field::op, request_field::bytes,
                              request_field::sector, request_field::comm};

constexpr Need kNeeds[] = {
    {"requests as they are issued",
     {rung<&Progs::issue_tp_btf>("tp_btf"), rung<&Progs::issue_raw_tp>("raw_tp")}},
    {"requests as they are queued, for who asks for them",
     {rung<&Progs::insert_tp_btf, &Progs::back_tp_btf, &Progs::merge>("tp_btf"),
      rung<&Progs::insert_raw_tp, &Progs::back_raw_tp, &Progs::merge>("raw_tp")}},
    {.what = "writes with a flush, for who asks for them",
     .rungs = {rung<&Progs::flush_fentry>("fentry"), rung<&Progs::flush_kprobe>("kprobe")},
     .optional = true,
     .without = "the issuer of a write with a preflush (REQ_PREFLUSH)"},
};

constexpr Unit kUnit{"kbytes", SIZE_UNIT};

class Report
{
public:
    using Row = ::Row;

    explicit Report(Reporting<bitesize_bpf, Options>& r)
        : r_(r), writer_(r.session, r.sink, kUnit), generations_(r.skeleton.bss->cb_generation)
    {
    }

    void begin() { writer_.header(); }

    void report()
    {
        const __u32 generation = generations_.flip();
        writer_.begin(monotonic_ns());
        std::map<std::tuple<std::string, std::uint32_t, std::uint32_t>, Distribution> all;
        take_places(r_.skeleton.bss->cb_places[generation], all);
        const Histograms histograms(r_.skeleton.maps.cb_hists, generation);
        for (std::size_t i = 0; i < histograms.size(); i++) {
            const auto& key = histograms.key<size_key>(i);
            histograms.add_to(all[{std::string(c_str(key.comm)), key.disk, key.kind}], i);
        }
        const Options& o = r_.options;
        const bool keyed = !o.system || o.per_disk || o.per_operation;
        if (Output* const text = r_.text(); text && o.linear && !all.empty())
            text->text() += "\nlog2 histogram";
        std::vector<std::pair<Row, Distribution>> rows;
        for (const auto& [key, distribution] : all) {
            const auto& [comm, disk, kind] = key;
            rows.push_back({{comm,
                             !o.per_disk ? ""
                             : disk      ? DiskNames::of(r_.skeleton.maps.cb_disk_notes, disk)
                                         : "unknown",
                             o.per_operation ? request_kind_name(kind) : ""},
                            distribution});
        }
        std::ranges::stable_sort(rows, [&](const auto& a, const auto& b) {
            return row_before(r_.sink.columns(), &a.first, &b.first);
        });
        for (const auto& [row, distribution] : rows) {
            r_.account.printed += distribution.count();
            writer_.write(keyed ? &row : nullptr, distribution);
        }
        if (o.linear)
            linear(generation);
    }

private:
    template <class All>
    static void take_places(size_place (&places)[SIZE_PLACES], All& all)
    {
        for (size_place& p : places) {
            if (p.tickets == 0)
                continue;
            if (p.rest) {
                char comm[COMM_LEN];
                std::memcpy(comm, p.name, sizeof comm);
                all[{std::string(c_str(comm)), std::uint32_t(p.rest >> 32),
                     std::uint8_t(p.rest >> 16)}]
                    .add(p.part, std::uint8_t(p.rest >> 24));
            }
            p = {}; // the kernel side fills the other half
        }
    }

    void linear(__u32 generation)
    {
        const Entries entries(r_.skeleton.maps.cb_top, generation);
        std::map<std::uint32_t, std::uint64_t> sizes;
        std::uint64_t greatest = 0;
        for (std::size_t i = 0; i < entries.size(); i++)
            entries.values<std::uint64_t>(i, [&](std::uint64_t n) {
                sizes[entries.key<linear_key>(i).units] += n;
                greatest = std::max(greatest, n);
            });
        if (sizes.empty())
            return;
        Output* const output = r_.sink.output();
        if (!output)
            return;
        std::string& out = output->text();
        const std::uint64_t now = output->clock().wall_ns(monotonic_ns());
        switch (output->format()) {
        case Format::text:
            out += "\nlinear histogram\n     kbytes        : count     distribution\n";
            for (const auto& [kib, n] : sizes) {
                out += cat("     ", padded_right(cat(kib), 13), " : ", padded_right(cat(n), 8),
                           " |", padded_right(stars(n, greatest, 40), 40), "|\n");
            }
            break;
        case Format::json: {
            out += cat("{\"time_ns\":", now, ",\"unit\":\"", kUnit.name, "\",\"linear\":[");
            std::string_view comma;
            for (const auto& [kib, n] : sizes) {
                out += cat(comma, "{\"size\":", kib, ",\"count\":", n, "}");
                comma = ",";
            }
            out += "]}\n";
            break;
        }
        case Format::csv:
            break; // has but one form of line
        }
        output->end_record();
    }

    Reporting<bitesize_bpf, Options>& r_;
    HistogramWriter writer_;
    Generations generations_;
};

constexpr Reports<bitesize_bpf, Options, Report> kTool{
    .about = {.name = "bitesize",
              .area = "block",
              .summary = "Show the sizes of block I/O by process",
              .details = "Shows the sizes of requests as the driver receives them, by the name of "
                         "the task that issued the I/O. Buffered writes are attributed to the task "
                         "that writes them back, usually a kernel thread.",
              .examples = kExamples,
              .aliases = kAliases},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .fields = kFields,
    .setup =
        [](bitesize_bpf& s, Options& o, const Session& session) {
            s.rodata->cb_issuer_filtered = is_filtered(session);
            bpf_map__set_autocreate(s.maps.cb_top, o.linear);
            o.per_process = !o.system;
            restrict_to_disk(s, o.disk_name);
        },
    .resolved =
        [](bitesize_bpf& s, const Launcher& launcher) {
            s.rodata->cb_request_arg = launcher.argument("block_rq_issue", "request") == 1;
        },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
