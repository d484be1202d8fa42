// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "tcppktlat.h"
#include "conn_columns.hpp"
#include "output/task_columns.hpp"
#include "shape/stream.hpp"
#include "tcp_state.hpp"

#include "tcppktlat.skel.h"

namespace
{
using namespace corebox;
using P = decltype(tcppktlat_bpf::progs);
using Row = pktlat_event;

struct Options : pktlat_config {
    std::uint64_t min_us = 0;
};

constexpr Example kExamples[] = {
    {"tcppktlat 1000", "Trace data that waited longer than 1 ms"},
    {"tcppktlat -p 181 -l 5432", "Trace what process 181 reads at local port 5432"},
};

constexpr Option kOptions[] = {
    show('T', "timestamp", "Print the time of day"),
    show('w', "wide", "Print the version of IP, and how many segments"),
};

constexpr Option kPositionals[] = {
    opt<&Options::min_us>(0, "min-us", "MIN_US",
                          "Show only waits longer than this, in microseconds", {0, 3'600'000'000}),
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'t', "tid"}, {'l', "lport"}, {'r', "rport"}};

// Of the reader, which the kernel itself may be.
template <auto Member>
consteval Column reader_number(std::string_view key, std::string_view header, std::string_view help)
{
    constexpr Formula kPid = field<&Row::task, &task_info::pid>;
    return col<[](const Row& r) -> Value {
               return r.task.pid ? Value(r.task.*Member) : Value(Absent{});
           }>(key, header, 7, help)
        .as(ColumnType::integer)
        .template from<present(kPid != 0, field<&Row::task, Member>)>();
}

constexpr Column kColumns[] = {
    time_column<&Row::task>(with("timestamp")),
    reader_number<&task_info::pid>("pid", "PID", "Process that read"),
    reader_number<&task_info::tid>("tid", "TID", "Thread that read"),
    col<[](const Row& r) -> Value { return r.task.pid ? Value(r.task.comm) : Value(Absent{}); }>(
        "comm", "COMM", 16, "Command name of the thread")
        .as(ColumnType::text)
        .from<present(field<&Row::task, &task_info::pid> != 0,
                      field<&Row::task, &task_info::comm>)>(),
    ip_column<Row>(with("wide")),
    laddr_column<Row>(),
    lport_column<Row>(),
    raddr_column<Row>(),
    rport_column<Row>(),
    netns_column<Row>(),
    col<&Row::segments>("segments", "SEGS", -4, "Segments that are now read to their end",
                        with("wide")),
    col<[](const Row& r) {
        return Fixed{r.wait_ns / 10'000, 2};
    }>("wait_ms", "MS", -9, "Milliseconds that the oldest segment waited", kTextOnly)
        .from<fixed(field<&Row::wait_ns> / 10'000, 2)>(),
    col<&Row::wait_ns>("wait_ns", "NS", -12, "Nanoseconds that the oldest segment waited",
                       kJsonOnly),
};

constexpr Need kNeeds[] = {
    {.what = "segments as they arrive",
     .rungs = {rung<&P::arrived_tp_btf>("tp_btf"), rung<&P::arrived_raw_tp>("raw_tp")}},
    {.what = "reads", .rungs = {rung<&P::read_tp_btf>("tp_btf"), rung<&P::read_raw_tp>("raw_tp")}},
    kDestroyNeed<P>,
};

constexpr Stream<tcppktlat_bpf, Options, Row> kTool{
    .about = {.name = "tcppktlat",
              .area = "net",
              .summary = "Trace how long TCP data waits for its reader",
              .details = "Prints a line for each read of a TCP socket: how long the oldest "
                         "segment that it takes has waited since its arrival.",
              .examples = kExamples},
    .options = kOptions,
    .positionals = kPositionals,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    // More than MIN_US in whole microseconds.
    .setup = [](tcppktlat_bpf&, Options& o,
                const Session&) { o.min_ns = o.min_us ? (o.min_us + 1) * 1000 : 0; },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
