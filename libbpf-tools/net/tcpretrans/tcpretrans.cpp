// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "tcpretrans.h"
#include "../endpoint_columns.hpp"
#include "../tcp_owner.hpp"
#include "shape/stream.hpp"
#include "shape/table.hpp"

#include "tcpretrans.skel.h"

namespace
{
using namespace corebox;
using P = decltype(tcpretrans_bpf::progs);
using Row = retrans_event;

struct Options : tcpretrans_config {
};

constexpr Example kExamples[] = {
    {"tcpretrans", "Trace the segments that are sent again, and why"},
    {"tcpretrans -l -D 443", "Trace those to port 443, and tail loss probes"},
    {"tcpretrans -c", "Count them by connection"},
};

constexpr Option kOptions[] = {
    flag<&Options::probes>('l', "lossprobe", "Trace tail loss probes, too"),
    flag<&Options::counts>('c', "count", "Count by connection, print that at the end"),
    flag<&Options::failed>('x', "failed", "Trace those not sent, too (Linux 7.0 and later)"),
    show('s', "sequence", "Print the sequence number and the length"),
    show('w', "wide", "Print the name of the process"),
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'P', "port"}, {'L', "lport"}, {'D', "rport"}};

constexpr std::string_view kTypes[RETRANS_TYPES] = {"OTHER", "RTO", "LOSS",   "FAST",
                                                    "TLP",   "SYN", "SYNACK", "PROBE"};

constexpr Formula kIsProbe = field<&Row::type> == RETRANS_PROBE;

constexpr Column kColumns[] = {
    event_time_column<Row>({}),
    owner_pid_column<Row>(),
    owner_tid_column<Row>(),
    owner_uid_column<Row>(),
    owner_comm_column<Row>(with("wide")),
    ip_column<Row>(),
    local_column<Row>(),
    laddr_column<Row>(kJsonOnly),
    lport_column<Row>(kJsonOnly),
    col<[](const Row& r) { return Trusted{r.type == RETRANS_PROBE ? "L>" : "R>"}; }>(
        "arrow", "T>", 2, "R> sent again, L> tail loss probe", kTextOnly),
    remote_column<Row>(),
    raddr_column<Row>(kJsonOnly),
    rport_column<Row>(kJsonOnly),
    netns_column<Row>(),
    state_column<&Row::state>("state", "STATE", "State of the connection"),
    col<[](const Row& r) { return Trusted{kTypes[r.type % RETRANS_TYPES]}; }>(
        "type", "TYPE", 6, "RTO, LOSS, FAST, TLP, SYN, SYNACK, PROBE or OTHER")
        .from_names<field<&Row::type>, kTypes>(),
    col<&Row::seq>("seq", "SEQ", -10, "Sequence number", with("sequence")),
    col<[](const Row& r) -> Value {
        return r.type == RETRANS_PROBE ? Value(Absent{}) : Value(r.end_seq - r.seq);
    }>("length", "LEN", -6, "Length in sequence numbers; SYN and FIN count 1", with("sequence"))
        .as(ColumnType::integer),
    col<&Row::segments>("segments", "SEGS", -4, "Segments on the wire", with("sequence")),
    col<[](const Row& r) { return Errno{r.error}; }>("error", "ERROR", 8, "Why it was not sent",
                                                     with("failed")),
};

constexpr Need kNeeds[] = {
    {.what = "segments that are sent again",
     .rungs = {rung<&P::again_tp_btf>("tp_btf"), rung<&P::again_raw_tp>("raw_tp")}},
    {.what = "SYN-ACKs that are sent again",
     .rungs = {rung<&P::synack_tp_btf>("tp_btf"), rung<&P::synack_raw_tp>("raw_tp")}},
    {.what = "tail loss probes",
     .rungs = {rung<&P::probe_fentry>("fentry"), rung<&P::probe_kprobe>("kprobe")},
     .option = "lossprobe"},
    kConnectOwnerNeed<P>,
    kListenOwnerNeed<P>,
    kGraftNeed<P>,
    kDestroyNeed<P>,
};

constexpr Stream<tcpretrans_bpf, Options, Row> kTool{
    .about = {.name = "tcpretrans",
              .area = "net",
              .summary = "Trace TCP segments that are sent again",
              .details = "Prints one line for each retransmission: the owner of the socket, the "
                         "connection, its state, and why the segment was sent again.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
};

using CountRow = retrans_count;

constexpr Column kCountColumns[] = {
    col<[](const CountRow& r) { return WallTime{r.time_ns}; }>("time_ns", "TIME", 8,
                                                               "End of the run", kJsonOnly),
    owner_pid_column<CountRow>(),
    owner_tid_column<CountRow>(),
    owner_uid_column<CountRow>(),
    owner_comm_column<CountRow>(with("wide")),
    ip_column<CountRow>(kJsonOnly),
    local_column<CountRow>(),
    laddr_column<CountRow>(kJsonOnly),
    lport_column<CountRow>(kJsonOnly),
    remote_column<CountRow>(),
    raddr_column<CountRow>(kJsonOnly),
    rport_column<CountRow>(kJsonOnly),
    netns_column<CountRow>(),
    col<&CountRow::retransmits>("retransmits", "RETRANSMITS", -11, "Number of retransmissions"),
};

constexpr Table<tcpretrans_bpf, Options, CountRow> kCounts{
    .about = kTool.about,
    .options = kOptions,
    .letters = kLetters,
    .columns = kCountColumns,
    .needs = kNeeds,
    .fields = kColumns,
    .take =
        [](tcpretrans_bpf& s, Options&, __u32 generation, std::vector<CountRow>& rows) {
            const Entries entries(s.maps.cb_top, generation);
            for (std::size_t i = 0; i < entries.size(); i++) {
                const auto& key = entries.key<retrans_key>(i);
                CountRow& row = rows.emplace_back(CountRow{0, key.conn, key.owner, 0});
                entries.values<std::uint64_t>(i, [&](std::uint64_t n) { row.retransmits = n; });
            }
        },
    .weight = [](const CountRow& r, const Options&) -> std::uint64_t { return r.retransmits; },
    .events = [](const CountRow& r) -> std::uint64_t { return r.retransmits; },
    .also = Shared::none,
};

constexpr auto kMode = [](const Options& o) { return o.counts ? 1 : 0; };
[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = modes<kMode, kTool, kCounts>();
} // namespace
