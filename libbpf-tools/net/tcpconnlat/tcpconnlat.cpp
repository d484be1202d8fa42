// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "tcpconnlat.h"
#include "connect.hpp"
#include "shape/stream.hpp"
#include "tool/milliseconds.hpp"

#include "tcpconnlat.skel.h"

namespace
{
using namespace corebox;
using P = decltype(tcpconnlat_bpf::progs);
using Row = connect_event;

struct Options : tcpconnlat_config {
    Milliseconds min;
};

constexpr Example kExamples[] = {
    {"tcpconnlat 100", "Trace connects that take 100 ms or longer"},
    {"tcpconnlat -p 181 -L", "Trace those of process 181, with the local port"},
};

constexpr Option kOptions[] = {
    kTimestampOption,
    show('L', "lport", "Print the local port"),
};

constexpr Option kPositionals[] = {
    opt<&Options::min>(0, "min-ms", "MIN_MS", "Shortest latency in milliseconds (default: all)"),
};

constexpr Letter kLetters[] = {{'p', "pid"}};

constexpr Column kColumns[] = {
    event_time_column<Row>(kJsonOnly),
    event_since_column<Row>(with("timestamp")),
    owner_pid_column<Row>(),
    owner_tid_column<Row>(),
    owner_uid_column<Row>(),
    owner_comm_column<Row>(),
    ip_column<Row>(),
    laddr_column<Row>({}, "SADDR"),
    lport_column<Row>(with("lport")),
    raddr_column<Row>({}, "DADDR"),
    rport_column<Row>({}, "DPORT"),
    netns_column<Row>(),
    connect_latency_column<Row>(),
    connect_result_column<Row>(),
    connect_error_column<Row>(),
};

constexpr Need kNeeds[] = {kConnectNeed<P>, kConnectResultNeed<P>, kConnectsLeftNeed<P>};

constexpr Stream<tcpconnlat_bpf, Options, Row> kTool{
    .about = {.name = "tcpconnlat",
              .area = "net",
              .summary = "Trace the latency of TCP connects",
              .details = "Prints one line for each TCP connect of this host: the time from its "
                         "first segment to its result, and the result.",
              .examples = kExamples},
    .options = kOptions,
    .positionals = kPositionals,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .setup = [](tcpconnlat_bpf&, Options& o, const Session&) { o.min_ns = o.min.ns; },
    .detached = [](tcpconnlat_bpf& s, Options&, Account&) { send_connects_left(s); },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
