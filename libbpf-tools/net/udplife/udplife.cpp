// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "udplife.h"
#include "conn_columns.hpp"
#include "shape/stream.hpp"

#include "udplife.skel.h"

namespace
{
using namespace corebox;
using P = decltype(udplife_bpf::progs);
using Row = udplife_event;

struct Options : udplife_config {
};

constexpr Example kExamples[] = {
    {"udplife -L 53", "Trace the sockets with local port 53"},
    {"udplife --where 'drops > 0'", "Trace the sockets that dropped datagrams"},
};

constexpr Option kOptions[] = {
    flag<&Options::all>('a', "all", "Include sockets that were never used"),
    kTimeOption,
    kTimestampOption,
    show('w', "wide", "Print the version of IP, and the user ID"),
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'L', "lport"}, {'D', "rport"}, {'s', "csv"}};

constexpr Column kColumns[] = {
    event_time_column<Row>(with("time")),
    event_since_column<Row>(with("timestamp")),
    owner_pid_column<Row>(),
    owner_tid_column<Row>(),
    owner_uid_column<Row>(with("wide")),
    owner_comm_column<Row>(),
    ip_column<Row>(with("wide")),
    laddr_column<Row>(),
    lport_column<Row>(),
    col<[](const Row& r) -> Value {
        return r.several_peers ? Value(Trusted{"*"})
               : r.conn.rport  ? Value(Address{r.conn.raddr, r.conn.family == CONN_IPV6})
                               : Value(Absent{});
    }>("raddr", "RADDR", kAddressWidth, "Remote address; * for several, - for none")
        .as(ColumnType::text),
    col<[](const Row& r) -> Value { return r.conn.rport ? Value(r.conn.rport) : Value(Absent{}); }>(
        "rport", "RPORT", 5, "Remote port, if there is one peer")
        .as(ColumnType::integer)
        .from<present(field<&Row::conn, &conn::rport> != 0, field<&Row::conn, &conn::rport>)>(),
    netns_column<Row>(),
    col<&Row::sends>("tx_datagrams", "TX", -7, "Datagrams sent"),
    col<&Row::receives>("rx_datagrams", "RX", -7, "Datagrams that were read"),
    col<&Row::sent>("tx_bytes", "TX_BYTES", -10, "Bytes sent"),
    col<&Row::received>("rx_bytes", "RX_BYTES", -10, "Bytes that were read"),
    col<&Row::drops>("drops", "DROPS", -6, "Datagrams that the socket dropped"),
    col<[](const Row& r) -> Value {
        return r.birth_ns ? Value(Fixed{(r.time_ns - r.birth_ns) / 10'000, 2}) : Value(Absent{});
    }>("span_ms", "MS", -9, "Milliseconds that the socket lived; - if older than the tool")
        .from<present(field<&Row::birth_ns> != 0,
                      fixed((field<&Row::time_ns> - field<&Row::birth_ns>) / 10'000, 2))>(),
};

constexpr Need kNeeds[] = {
    {.what = "ends of sockets",
     .rungs = {rung<&P::end_fentry, &P::end6_fentry>("fentry"),
               rung<&P::end_kprobe, &P::end6_kprobe>("kprobe")}},
    {.what = "sends",
     .rungs = {rung<&P::send_fexit, &P::send6_fexit>("fexit"),
               rung<&P::enter_send, &P::leave_send, &P::enter_send6, &P::leave_send6>("kprobe")}},
    {.what = "reads",
     .rungs = {rung<&P::receive_fentry>("fentry"), rung<&P::receive_kprobe>("kprobe")}},
    {.what = "beginnings of sockets",
     .rungs = {rung<&P::create_fentry>("fentry"), rung<&P::create_kprobe>("kprobe")},
     .optional = true,
     .without = "lifespans and owners of new sockets"},
};

constexpr Stream<udplife_bpf, Options, Row> kTool{
    .about = {.name = "udplife",
              .area = "net",
              .summary = "Trace the lifespans of UDP sockets",
              .details = "Prints one line for each UDP socket that is closed: its owner, its "
                         "peer, what it sent and received, and what it dropped.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
