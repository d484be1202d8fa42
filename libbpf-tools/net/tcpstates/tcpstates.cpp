// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "tcpstates.h"
#include "conn_columns.hpp"
#include "shape/stream.hpp"
#include "tcp_state.hpp"

#include "tcpstates.skel.h"

namespace
{
using namespace corebox;
using P = decltype(tcpstates_bpf::progs);
using Row = state_event;

struct Options {
};

constexpr Example kExamples[] = {
    {"tcpstates -L 443", "Trace the connections to local port 443"},
    {"tcpstates --raddr 10.0.0.0/8", "Trace the connections with a network"},
};

constexpr Option kOptions[] = {
    kTimeOption,
    kTimestampOption,
    show('w', "wide", "Print the version of IP, and whole addresses"),
};

constexpr Column kColumns[] = {
    event_time_column<Row>(with("time")),
    event_since_column<Row>(with("timestamp")),
    col<[](const Row& r) { return Hex{r.socket}; }>("skaddr", "SKADDR", 18,
                                                    "Address of the socket in the kernel")
        .from<field<&Row::socket>>(),
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
    state_column<&Row::old_state>("old_state", "OLDSTATE", "State before"),
    col<[](const Row&) { return Trusted{"->"}; }>("arrow", "->", 2, "An arrow", kTextOnly),
    state_column<&Row::new_state>("new_state", "NEWSTATE", "State after"),
    col<[](const Row& r) {
        return Fixed{r.span_ns / 1000, 3};
    }>("span_ms", "MS", -10, "Milliseconds in the old state, 0 if not known")
        .from<fixed(field<&Row::span_ns> / 1000, 3)>(),
};

constexpr Need kNeeds[] = {
    {.what = "changes of state",
     .rungs = {rung<&P::state_tp_btf>("tp_btf"), rung<&P::state_raw_tp>("raw_tp")}},
    {.what = "first segments",
     .rungs = {rung<&P::connect_fentry>("fentry"), rung<&P::connect_kprobe>("kprobe")},
     .optional = true,
     .without = "changes to SYN_SENT at once: they are printed with the next change"},
    kGraftNeed<P>,
    kDestroyNeed<P>,
};

constexpr Stream<tcpstates_bpf, Options, Row> kTool{
    .about = {.name = "tcpstates",
              .area = "net",
              .summary = "Trace changes of TCP states",
              .details = "Prints one line for each change of a TCP socket's state: the owner, the "
                         "connection, and the time spent in the state before.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kStateLetters,
    .columns = kColumns,
    .needs = kNeeds,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
