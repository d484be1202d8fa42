// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "tcpconnect.h"
#include "connect.hpp"
#include "dns.hpp"
#include "own_ports.hpp"
#include "shape/stream.hpp"
#include "shape/table.hpp"

#include "tcpconnect.skel.h"

namespace
{
using namespace corebox;
using P = decltype(tcpconnect_bpf::progs);

struct Options : tcpconnect_config {
    PortSet ports;
    std::shared_ptr<DnsNames> names; // with --dns
    const bpf_map* answers = nullptr;
};

struct Row : connect_event {
    const DnsNames::Name* name = nullptr;
};

constexpr Example kExamples[] = {
    {"tcpconnect --where 'result != \"established\"'", "Trace the connects that fail"},
    {"tcpconnect -P 80,443 -p 181", "Trace those of process 181 to two ports"},
    {"tcpconnect -c", "Count connects by process and destination"},
};

constexpr Option kOptions[] = {
    kTimestampOption,
    flag<&Options::counts>('c', "count", "Count connects, and print the counts at the end"),
    flag<&Options::lport>('L', "lport", "Print the local port; with -c, count by it",
                          "source-port"),
    show('U', "print-uid", "Print the user ID"),
    show('d', "dns", "Print the name that DNS gave for the address"),
    opt<&Options::ports>('P', "port", "PORTS", "Trace only connects to these ports"),
};

constexpr Letter kLetters[] = {
    {'p', "pid"}, {'u', "uid"}, {'s', "lport"}, {'C', "cgroupmap"}, {'M', "mntnsmap"}};

constexpr Column kColumns[] = {
    event_time_column<Row>(kJsonOnly),
    event_since_column<Row>(with("timestamp")),
    owner_uid_column<Row>(with("print-uid")),
    owner_pid_column<Row>(),
    owner_tid_column<Row>(),
    owner_comm_column<Row>(),
    ip_column<Row>(),
    laddr_column<Row>({}, "SADDR"),
    lport_column<Row>(with("lport")),
    raddr_column<Row>({}, "DADDR"),
    rport_column<Row>({}, "DPORT"),
    netns_column<Row>(),
    connect_latency_column<Row>(kJsonOnly),
    connect_result_column<Row>(),
    connect_error_column<Row>(),
    col<[](const Row& r) -> Value {
        return r.name ? Value(std::string_view(r.name->text)) : Value(Absent{});
    }>("query", "QUERY", 0, "Name for which DNS last gave this address; - if none", costly("dns"))
        .as(ColumnType::text),
    col<[](const Row& r) -> Value {
        return r.name ? Value(Fixed{(r.time_ns - r.name->time_ns) / 1000, 3}) : Value(Absent{});
    }>("query_ms", "QUERY(ms)", -10, "Milliseconds since that answer", json_with("dns"))
        .as(ColumnType::decimal),
};

constexpr Need kNeeds[] = {
    kConnectNeed<P>,
    kConnectResultNeed<P>,
    kConnectCallNeed<P>,
    kConnectsLeftNeed<P>,
    {.what = "answers of DNS servers",
     .rungs = {rung<&P::dns_fentry>("fentry"), rung<&P::dns_kprobe>("kprobe")},
     .option = "dns"},
};

void prepare(Options& o, Session& session)
{
    restrict_ports(o.ports, session.connections.rports, "rport");
    if (!session.given("dns"))
        return;
    if (o.counts)
        fail_usage("--dns names single connects; omit it, or --count");
    o.names = std::make_shared<DnsNames>();
}

void detached(tcpconnect_bpf& s, Options&, Account&) { send_connects_left(s); }

constexpr Stream<tcpconnect_bpf, Options, Row> kTool{
    .about = {.name = "tcpconnect",
              .area = "net",
              .summary = "Trace TCP connects and what becomes of them",
              .details = "Prints one line for each TCP connect of this host once its result is "
                         "known: established, refused, timed out, abandoned, or why it failed.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .setup = [](tcpconnect_bpf& s, Options& o, const Session&) { o.answers = s.maps.dns_answers; },
    .decode =
        [](Row& row, const Options& o, const void* record, std::size_t) {
            static_cast<connect_event&>(row) = *static_cast<const connect_event*>(record);
            if (o.names) {
                o.names->take_all(o.answers);
                row.name = o.names->find(row.conn);
            }
            return true;
        },
    .prepare = prepare,
    .detached = detached,
};

using CountRow = connect_count;

constexpr Column kCountColumns[] = {
    col<[](const CountRow& r) { return WallTime{r.time_ns}; }>("time_ns", "TIME", 8,
                                                               "End of the run", kJsonOnly),
    owner_uid_column<CountRow>(with("print-uid")),
    owner_pid_column<CountRow>(),
    owner_comm_column<CountRow>(),
    ip_column<CountRow>(kJsonOnly),
    laddr_column<CountRow>(),
    lport_column<CountRow>(costly("lport")),
    raddr_column<CountRow>(),
    rport_column<CountRow>(),
    netns_column<CountRow>(),
    col<&CountRow::counts, &connect_counts::connects>("connects", "CONNECTS", -8,
                                                      "Number of connects"),
    col<&CountRow::counts, &connect_counts::failed>("failed", "FAILED", -8,
                                                    "Those of them that were not established"),
};

constexpr Table<tcpconnect_bpf, Options, CountRow> kCounts{
    .about = kTool.about,
    .options = kOptions,
    .letters = kLetters,
    .columns = kCountColumns,
    .needs = kNeeds,
    .fields = kColumns,
    .prepare = prepare,
    .take =
        [](tcpconnect_bpf& s, Options&, __u32 generation, std::vector<CountRow>& rows) {
            const Entries entries(s.maps.cb_top, generation);
            for (std::size_t i = 0; i < entries.size(); i++) {
                const auto& key = entries.key<connect_key>(i);
                CountRow& row = rows.emplace_back();
                row.conn = key.conn;
                row.owner = key.owner;
                entries.values<connect_counts>(
                    i, [&](const connect_counts& counts) { row.counts = counts; });
            }
        },
    .weight = [](const CountRow& r, const Options&) -> std::uint64_t { return r.counts.connects; },
    .events = [](const CountRow& r) -> std::uint64_t { return r.counts.connects; },
    .detached = detached,
    .also = Shared::none,
};

constexpr auto kMode = [](const Options& o) { return o.counts ? 1 : 0; };
[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = modes<kMode, kTool, kCounts>();
} // namespace
