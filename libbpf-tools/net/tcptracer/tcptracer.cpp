// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "tcptracer.h"
#include "connect.hpp"
#include "shape/stream.hpp"
#include "tcp_state.hpp"

#include "tcptracer.skel.h"

namespace
{
using namespace corebox;
using P = decltype(tcptracer_bpf::progs);
using Row = tracer_event;

struct Options {
};

constexpr Example kExamples[] = {
    {"tcptracer -p 181", "Trace the connections of process 181"},
    {"tcptracer -v --where 'type != \"close\"'", "Trace how connections begin"},
};

constexpr Option kOptions[] = {
    kTimestampOption,
    show('U', "print-uid", "Print the user ID"),
    show('v', "verbose", "Print types in full, and the network namespace"),
};

constexpr Letter kLetters[] = {
    {'p', "pid"}, {'u', "uid"}, {'N', "netns"}, {'C', "cgroupmap"}, {'M', "mntnsmap"}};

constexpr std::string_view kTypes[TRACE_TYPES] = {"connect", "accept", "close"};
constexpr std::string_view kTypeLetters[TRACE_TYPES] = {"C", "A", "X"};

constexpr Column kColumns[] = {
    event_time_column<Row>(kJsonOnly),
    event_since_column<Row>(with("timestamp")),
    owner_uid_column<Row>(with("print-uid")),
    col<[](const Row& r) { return Trusted{kTypeLetters[r.type]}; }>(
        "t", "T", 1, "C: connect, A: accept, X: close", without("verbose"))
        .from_names<field<&Row::type>, kTypeLetters>(),
    col<[](const Row& r) { return Trusted{kTypes[r.type]}; }>(
        "type", "TYPE", 7, "Type of the event: connect, accept or close", with("verbose"))
        .from_names<field<&Row::type>, kTypes>(),
    owner_pid_column<Row>(),
    owner_tid_column<Row>(),
    owner_comm_column<Row>(),
    ip_column<Row>(),
    laddr_column<Row>({}, "SADDR"),
    raddr_column<Row>({}, "DADDR"),
    lport_column<Row>({}, "SPORT"),
    rport_column<Row>({}, "DPORT"),
    netns_column<Row>(with("verbose")),
    connect_result_column<Row>("Result of a connect"),
    connect_error_column<Row>("Name of the errno that ended it"),
};

constexpr Need kNeeds[] = {
    kConnectNeed<P>,
    kConnectResultNeed<P>,
    kConnectCallNeed<P>,
    {.what = "accepts of connections",
     .rungs = {rung<&P::graft_fentry>("fentry"), rung<&P::graft_kprobe>("kprobe")}},
    kDestroyNeed<P>,
    kConnectsLeftNeed<P>,
};

constexpr Stream<tcptracer_bpf, Options, Row> kTool{
    .about = {.name = "tcptracer",
              .area = "net",
              .summary = "Trace connects, accepts and closes of TCP connections",
              .details = "Prints one line when a TCP connect has its result, one when a connection "
                         "is accepted, and one when a connection has ended.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .detached = [](tcptracer_bpf& s, Options&, Account&) { send_connects_left(s); },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
