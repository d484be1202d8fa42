// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "tcprtt.h"
#include "../conn_columns.hpp"
#include "shape/histogram.hpp"

#include "tcprtt.skel.h"

namespace
{
using namespace corebox;
using P = decltype(tcprtt_bpf::progs);
using Row = rtt_key;

struct Options : tcprtt_config {
    bool milliseconds = false, totals = false;
    bool by_laddr = false, by_raddr = false, by_lport = false, by_rport = false;
    Seconds every{0};
};

constexpr Example kExamples[] = {
    {"tcprtt", "Show the round trip times of all connections until Ctrl-C"},
    {"tcprtt -i 1 -d 10 -m", "Print milliseconds, every second for ten seconds"},
    {"tcprtt -B -e --raddr 10.0.0.0/8", "Show each host of a network, with its average"},
};

constexpr Option kOptions[] = {
    opt<&Options::every>('i', "every", "SECONDS", "Print a report every interval", {}, "interval"),
    show('T', "timestamp", "Print the time of day with each report"),
    flag<&Options::milliseconds>('m', "milliseconds", "Use milliseconds, not microseconds",
                                 "millisecond"),
    flag<&Options::by_laddr>('b', "byladdr", "Show a histogram for each local address"),
    flag<&Options::by_raddr>('B', "byraddr", "Show a histogram for each remote address"),
    flag<&Options::by_lport>(0, "bylport", "Show a histogram for each local port"),
    flag<&Options::by_rport>(0, "byrport", "Show a histogram for each remote port"),
    flag<&Options::totals>('e', "extension", "Print the average, the total and the count"),
};

constexpr Letter kLetters[] = {
    {'d', "duration"}, {'p', "lport"}, {'P', "rport"}, {'a', "laddr"}, {'A', "raddr"}};

constexpr auto kAddress = [](const Row& r) -> Value {
    return Address{r.addr, r.family == CONN_IPV6};
};

constexpr Column kColumns[] = {
    col<kAddress>("laddr", "Local Address", kAddressWidth, "Local address", costly("byladdr"))
        .as(ColumnType::text),
    col<kAddress>("raddr", "Remote Address", kAddressWidth, "Remote address", costly("byraddr"))
        .as(ColumnType::text),
    col<[](const Row& r) { return r.port; }>("lport", "Local Port", 5, "Local port",
                                             costly("bylport")),
    col<[](const Row& r) { return r.port; }>("rport", "Remote Port", 5, "Remote port",
                                             costly("byrport")),
};

constexpr Column kFields[] = {
    event_field<field<&rtt_event::rtt_us>>("rtt_us", "Smoothed round trip time in microseconds"),
    event_field<field<&rtt_event::conn, &conn::lport>>("lport", "Local port"),
    event_field<field<&rtt_event::conn, &conn::rport>>("rport", "Remote port"),
};

constexpr Need kNeeds[] = {
    {.what = "segments that arrive",
     .rungs = {rung<&P::received_tp_btf>("tp_btf"), rung<&P::received_raw_tp>("raw_tp")}},
};

constexpr Histogram<tcprtt_bpf, Options, rtt_key> kTool{
    .about = {.name = "tcprtt",
              .area = "net",
              .summary = "Show TCP round trip times as a histogram",
              .details = "Shows the smoothed round trip times that TCP measures: one sample for "
                         "each segment that arrives on an established connection.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .fields = kFields,
    .unit =
        [](const Options& o) {
            return o.milliseconds ? Unit{"msecs", 1'000} : Unit{"usecs", 1};
        },
    .keyed = [](const Options& o) { return o.by != RTT_ALL; },
    .setup = [](tcprtt_bpf&, Options& o, const Session&) { o.unit = o.milliseconds ? 1'000 : 1; },
    .prepare =
        [](Options& o, Session& session) {
            if (o.by_laddr + o.by_raddr + o.by_lport + o.by_rport > 1)
                fail_usage("-b, -B, --bylport and --byrport exclude each other");
            o.by = o.by_laddr   ? RTT_BY_LADDR
                   : o.by_raddr ? RTT_BY_RADDR
                   : o.by_lport ? RTT_BY_LPORT
                   : o.by_rport ? RTT_BY_RPORT
                                : RTT_ALL;
            if (o.every.count())
                session.interval = o.every;
        },
};

constexpr auto kWithTotals = [] {
    auto tool = kTool;
    tool.totals = true;
    return tool;
}();

constexpr auto kMode = [](const Options& o) { return o.totals ? 1 : 0; };
[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = modes<kMode, kTool, kWithTotals>();
} // namespace
