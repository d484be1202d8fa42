// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "tcplife.h"
#include "conn_columns.hpp"
#include "probe/iterator.hpp"
#include "shape/stream.hpp"
#include "tcp_bytes.hpp"
#include "tcp_state.hpp"

#include "tcplife.skel.h"

namespace
{
using namespace corebox;
using P = decltype(tcplife_bpf::progs);
using Row = life_event;

struct Options {
};

constexpr Example kExamples[] = {
    {"tcplife -D 5432", "Trace the sessions with remote port 5432"},
    {"tcplife -p 181 --raddr 10.0.0.0/8", "Trace those of process 181 with a network"},
};

constexpr Option kOptions[] = {
    kTimeOption,
    kTimestampOption,
    show('w', "wide", "Print the version of IP, and more of the session"),
    show('o', "open", "Print sessions that are open at the end, too"),
};

constexpr Column kColumns[] = {
    event_time_column<Row>(with("time")),
    event_since_column<Row>(with("timestamp")),
    owner_pid_column<Row>(),
    owner_tid_column<Row>(),
    owner_uid_column<Row>(),
    owner_comm_column<Row>(),
    ip_column<Row>(with("wide")),
    laddr_column<Row>(),
    lport_column<Row>(),
    raddr_column<Row>(),
    rport_column<Row>(),
    netns_column<Row>(),
    sent_kilobytes_column<Row>(),
    received_kilobytes_column<Row>(),
    sent_bytes_column<Row>(),
    received_bytes_column<Row>(),
    col<[](const Row& r) -> Value {
        return r.birth_ns ? Value(Fixed{(r.time_ns - r.birth_ns) / 10'000, 2}) : Value(Absent{});
    }>("span_ms", "MS", -9, "Milliseconds that the session lived; - if older than the tool")
        .from<present(field<&Row::birth_ns> != 0,
                      fixed((field<&Row::time_ns> - field<&Row::birth_ns>) / 10'000, 2))>(),
    col<&Row::retransmits>("retransmits", "RETR", -4, "Segments sent again", with("wide")),
    col<[](const Row& r) -> Value {
        return r.rtt_us ? Value(Fixed{r.rtt_us, 3}) : Value(Absent{});
    }>("rtt_ms", "RTT_MS", -8, "Smoothed round trip time in milliseconds", with("wide"))
        .from<present(field<&Row::rtt_us> != 0, fixed(field<&Row::rtt_us>, 3))>(),
    state_column<&Row::state>("state", "STATE", "Last state before the end", with("wide|open")),
    col<[](const Row& r) -> bool { return r.is_open != 0; }>(
        "open", "OPEN", 5, "Whether it was open when tracing ended", kJsonOnly)
        .from<field<&Row::is_open> != 0>(),
    col<[](const Row& r) { return Errno{r.error}; }>("error", "ERROR", 12, "Error that ended it",
                                                     with("wide")),
};

constexpr Need kNeeds[] = {
    {.what = "changes of state",
     .rungs = {rung<&P::state_tp_btf>("tp_btf"), rung<&P::state_raw_tp>("raw_tp")}},
    kGraftNeed<P>,
    kDestroyNeed<P>,
    {.what = "open sessions",
     .rungs = {rung<&P::sessions_left>("iter", {}, leave_iterator)},
     .option = "open"},
};

constexpr Stream<tcplife_bpf, Options, Row> kTool{
    .about = {.name = "tcplife",
              .area = "net",
              .summary = "Trace the lifespans of TCP sessions",
              .details = "Prints one line for each TCP session that ends: its owner, its two "
                         "ends, the bytes sent and received, and how long it lived.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kStateLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .detached =
        [](tcplife_bpf& s, Options&, Account&) {
            if (bpf_program__fd(s.progs.sessions_left) >= 0)
                run_iterator(s.progs.sessions_left, s.maps.cb_owners);
        },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
