// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "shape/top.hpp"
#include "traffic.hpp"

#include "tcptop.skel.h"

namespace
{
using namespace corebox;
using Row = traffic;

enum class Sort : std::uint8_t { all, sent, received };

struct Options : TrafficReadings {
    Sort sort = Sort::all;
};

constexpr Example kExamples[] = {
    {"tcptop", "Show the busiest sessions, every second"},
    {"tcptop -C -s received 5 1", "Print the sessions that received most in 5 seconds"},
    {"tcptop -p 181 --rport 5432", "Show those of process 181 with remote port 5432"},
};

constexpr Option kOptions[] = {
    show('S', "nosummary", "Omit the line with the load"),
    choice<&Options::sort>('s', "sort", "all|sent|received", "Sort by this, or by the sum of both"),
};

constexpr Letter kLetters[] = {{'p', "pid"},    {'r', "rows"},  {'C', "noclear"},
                               {'c', "cgroup"}, {'L', "lport"}, {'D', "rport"}};

// "10.0.0.1:443", as text has it.
template <auto Side, auto Port>
consteval Column endpoint_column(std::string_view key, std::string_view header,
                                 std::string_view help)
{
    return col<[](const Row& r) -> Value {
               return Endpoint{{r.conn.*Side, r.conn.family == CONN_IPV6}, r.conn.*Port};
           }>(key, header, 21, help, kTextOnly)
        .as(ColumnType::text);
}

constexpr Column kColumns[] = {
    col<[](const Row& r) { return WallTime{r.time_ns}; }>("time_ns", "TIME", 8,
                                                          "End of the interval", kJsonOnly),
    owner_pid_column<Row>(),
    owner_tid_column<Row>(),
    owner_uid_column<Row>(),
    owner_comm_column<Row>(),
    endpoint_column<&conn::laddr, &conn::lport>("local", "LADDR", "Local address and port"),
    endpoint_column<&conn::raddr, &conn::rport>("remote", "RADDR", "Remote address and port"),
    ip_column<Row>(kJsonOnly),
    laddr_column<Row>(kJsonOnly),
    lport_column<Row>(kJsonOnly),
    raddr_column<Row>(kJsonOnly),
    rport_column<Row>(kJsonOnly),
    netns_column<Row>(),
    received_kilobytes_column<Row>(),
    sent_kilobytes_column<Row>(),
    received_bytes_column<Row>(),
    sent_bytes_column<Row>(),
};

constexpr Top<tcptop_bpf, Options, Row> kTool{
    .about = {.name = "tcptop",
              .area = "net",
              .summary = "Show the TCP sessions that carry most",
              .details = "Prints one line for each TCP session that carried data in the "
                         "interval, the busiest first, with the owner of its socket.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kTrafficNeeds<tcptop_bpf>,
    .fields = kTrafficFields,
    .collect = read_sockets<tcptop_bpf, Options>,
    .settle = subtract_shown<Options>,
    .decode =
        [](Row& row, const Entries& entries, std::size_t entry) {
            entries.values<traffic_value>(entry, [&](const traffic_value& value) {
                row.conn = value.conn;
                row.owner = value.owner;
                row.bytes = value.live;
            });
        },
    .weight = [](const Row& row, const Options& o) -> std::uint64_t {
        return (o.sort == Sort::received ? 0 : row.bytes.sent) +
               (o.sort == Sort::sent ? 0 : row.bytes.received);
    },
    .events = [](const Row&) -> std::uint64_t { return 1; },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
