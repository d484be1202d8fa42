// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "tcpsynbl.h"
#include "../conn_columns.hpp"
#include "shape/histogram.hpp"

#include "tcpsynbl.skel.h"

namespace
{
using namespace corebox;
using P = decltype(tcpsynbl_bpf::progs);
using Row = synbl_key;

struct Options : tcpsynbl_config {
};

constexpr Example kExamples[] = {
    {"tcpsynbl", "Show the accept queues of all listeners until Ctrl-C"},
    {"tcpsynbl -l 10", "Show each listener, every ten seconds"},
    {"tcpsynbl --where 'event != \"queued\"'", "Show only what full queues drop"},
};

constexpr Option kOptions[] = {
    show('T', "timestamp", "Print the time of day with each report"),
    flag<&Options::by_listener>('l', "listener", "Show a histogram for each listener"),
};

constexpr Letter kLetters[] = {{'P', "port"}, {'L', "lport"}};

constexpr std::string_view kTypes[SYNBL_TYPES] = {"queued", "ACK dropped", "SYN dropped"};

constexpr Column kColumns[] = {
    col<[](const Row& r) -> Value {
        return Address{r.addr, r.family == CONN_IPV6};
    }>("laddr", "laddr", kAddressWidth, "Address of the listener", costly("listener"))
        .as(ColumnType::text),
    col<[](const Row& r) { return r.port; }>("lport", "lport", 5, "Port of the listener",
                                             costly("listener")),
    col<[](const Row& r) { return r.limit; }>("backlog_max", "backlog_max", -10,
                                              "Limit of the accept queue"),
    col<[](const Row& r) { return Trusted{kTypes[r.type % SYNBL_TYPES]}; }>(
        "event", "event", 11, "queued, or what a full queue dropped: ACK or SYN"),
};

constexpr Column kFields[] = {
    event_field<field<&synbl_event::length>>("backlog", "Length of the accept queue"),
    event_field<field<&synbl_event::limit>>("backlog_max", "Limit of the accept queue"),
    event_field_of_names<field<&synbl_event::type>, kTypes>("event",
                                                            "queued, ACK dropped or SYN dropped"),
    event_field<field<&synbl_event::conn, &conn::lport>>("lport", "Port of the listener"),
};

// In 6.1's later updates these functions have a seventh argument, and fentry attaches to such
// functions only from 6.6 on.
constexpr Need kNeeds[] = {
    {.what = "handshakes that complete",
     .rungs = {rung_any<&P::v4_kprobe, &P::v6_kprobe>("kprobe"),
               rung_any<&P::v4_fentry, &P::v6_fentry>("fentry")}},
    {.what = "SYNs that arrive",
     .rungs = {rung<&P::syn_fentry>("fentry"), rung<&P::syn_kprobe>("kprobe")},
     .optional = true,
     .without = "SYNs that a full queue drops"},
};

constexpr Histogram<tcpsynbl_bpf, Options, synbl_key> kTool{
    .about = {.name = "tcpsynbl",
              .area = "net",
              .summary = "Show the lengths of TCP accept queues as histograms",
              .details = "Shows how many connections wait to be accepted each time that one more "
                         "completes its handshake, by the limit of the queue. It also shows the "
                         "SYNs and final ACKs that full queues drop.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .fields = kFields,
    .unit =
        [](const Options&) {
            return Unit{"backlog", 1};
        },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
