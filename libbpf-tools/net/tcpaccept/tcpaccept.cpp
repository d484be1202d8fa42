// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "tcpaccept.h"
#include "conn_columns.hpp"
#include "own_ports.hpp"
#include "shape/stream.hpp"
#include "tcp_state.hpp"

#include "tcpaccept.skel.h"

namespace
{
using namespace corebox;
using P = decltype(tcpaccept_bpf::progs);
using Row = accept_event;

struct Options {
    PortSet ports;
};

constexpr Example kExamples[] = {
    {"tcpaccept -P 443", "Trace the accepts on port 443"},
    {"tcpaccept -t --where 'queued > 100'", "Trace accepts that leave a long queue"},
};

constexpr Option kOptions[] = {
    kTimeOption,
    kTimestampOption,
    opt<&Options::ports>('P', "port", "PORTS", "Trace only accepts on these local ports"),
};

constexpr Letter kLetters[] = {{'p', "pid"}};

// A number of the listener.
template <auto Member>
consteval Column listener_column(std::string_view key, std::string_view header,
                                 std::string_view help)
{
    return col<[](const Row& r) -> Value {
               return r.has_listener ? Value(r.*Member) : Value(Absent{});
           }>(key, header, -7, help)
        .as(ColumnType::integer)
        .template from<present(field<&Row::has_listener> != 0, field<Member>)>();
}

constexpr Column kColumns[] = {
    event_time_column<Row>(with("time")),
    event_since_column<Row>(with("timestamp")),
    owner_pid_column<Row>(),
    owner_tid_column<Row>(),
    owner_uid_column<Row>(),
    owner_comm_column<Row>(),
    ip_column<Row>(),
    raddr_column<Row>(),
    rport_column<Row>(),
    laddr_column<Row>(),
    lport_column<Row>(),
    netns_column<Row>(),
    listener_column<&Row::queued>("queued", "QUEUED",
                                  "Connections that still wait; - if not known"),
    listener_column<&Row::backlog>("backlog", "BACKLOG", "Limit of the queue; - if not known"),
    state_column<&Row::state>("state", "STATE", "State of the connection", kJsonOnly),
};

constexpr Need kNeeds[] = {
    {.what = "accepts of connections",
     .rungs = {rung<&P::graft_fentry>("fentry"), rung<&P::graft_kprobe>("kprobe"),
               rung<&P::call_kretprobe>("kretprobe", "the first accept of each thread that already "
                                                     "waits; MPTCP as its first subflow")}},
    {.what = "listeners of accepts",
     .rungs = {rung<&P::call_fentry>("fentry"), rung<&P::call_kprobe>("kprobe")},
     .optional = true,
     .without = "the queues of listeners"},
};

constexpr Stream<tcpaccept_bpf, Options, Row> kTool{
    .about = {.name = "tcpaccept",
              .area = "net",
              .summary = "Trace accepts of TCP connections",
              .details = "Prints one line for each TCP connection that a process accepts: the "
                         "process, the two ends, and the queue of the listener.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .prepare =
        [](Options& o, Session& session) {
            restrict_ports(o.ports, session.connections.lports, "lport");
        },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
