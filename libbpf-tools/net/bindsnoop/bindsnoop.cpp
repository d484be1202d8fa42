// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bindsnoop.h"
#include "../conn_columns.hpp"
#include "../protocol.hpp"
#include "output/task_columns.hpp"
#include "shape/stream.hpp"
#include "shape/table.hpp"
#include <array>

#include "bindsnoop.skel.h"

namespace
{
using namespace corebox;
using P = decltype(bindsnoop_bpf::progs);

struct Options : bindsnoop_config {
};

using Row = bind_event;

constexpr Example kExamples[] = {
    {"bindsnoop", "Trace all binds that succeed"},
    {"bindsnoop --count", "Count binds by address and port"},
    {"bindsnoop -x -P 80,443", "Trace why a server cannot bind its ports"},
};

constexpr Option kOptions[] = {
    show('t', "timestamp", "Print seconds since the first event"),
    show('T', "time", "Print the time of day"),
    flag<&Options::errors>('x', "failed", "Trace failed binds, too", "errors"),
    flag<&Options::counts>(0, "count", "Count by address and port, print that at the end"),
    show('U', "print-uid", "Print the user ID"),
    show('w', "wide", "Print the error as text, and the network namespace"),
};

constexpr Letter kLetters[] = {
    {'p', "pid"}, {'P', "port"}, {'u', "uid"}, {'c', "cgroup"}, {'E', "failed"}};

// F, T, N, R, r: one text for each set of options, with a dot in place of each that is not set.
constexpr std::size_t kSets = 1 << BIND_OPTIONS;
constexpr auto kSetLetters = [] {
    std::array<char, kSets * BIND_OPTIONS> all{};
    for (std::size_t i = 0; i < all.size(); i++)
        all[i] = i / BIND_OPTIONS >> i % BIND_OPTIONS & 1 ? "FTNRr"[i % BIND_OPTIONS] : '.';
    return all;
}();
constexpr auto kSetNames = [] {
    std::array<std::string_view, kSets> names;
    for (std::size_t i = 0; i < kSets; i++)
        names[i] = {&kSetLetters[i * BIND_OPTIONS], BIND_OPTIONS};
    return names;
}();

constexpr Formula kHasAddress = field<&Row::has_address> != 0;
constexpr Formula kHasPort = kHasAddress && field<&Row::type> != BIND_SOCK_RAW;

constexpr Column kColumns[] = {
    time_column<&Row::task>(with("time")),
    since_column<&Row::task>(with("timestamp")),
    col<&Row::task, &task_info::uid>("uid", "UID", 6, "User ID", with("print-uid")),
    col<&Row::task, &task_info::pid>("pid", "PID", 7, "Process ID"),
    col<&Row::task, &task_info::tid>("tid", "TID", 7, "Thread ID", kJsonOnly),
    col<&Row::task, &task_info::comm>("comm", "COMM", 16, "Command name of the thread"),
    col<&Row::ret>("ret", "RET", -4, "Result: 0 or a negative errno"),
    col<[](const Row& r) { return Errno{-r.ret}; }>("error", "ERROR", 13, "Name of the errno",
                                                    with("wide")),
    protocol_column<Row>(),
    col<[](const Row& r) { return Trusted{kSetNames[r.options % kSets]}; }>(
        "options", "OPTS", 5, "Options of the socket: F T N R r")
        .from_names<field<&Row::options>, kSetNames>(),
    col<&Row::interface>("interface", "IF", 2, "Index of the device that it is bound to, or 0"),
    col<[](const Row& r) -> Value {
        const bool has_port = r.has_address && r.type != BIND_SOCK_RAW;
        return has_port ? Value(r.conn.lport) : Value(Absent{});
    }>("lport", "PORT", -5, "Port; of a failed bind, the requested one")
        .as(ColumnType::integer)
        .from<present(kHasPort, field<&Row::conn, &conn::lport>)>(),
    ip_column<Row>(kJsonOnly),
    netns_column<Row>(with("wide")),
    col<[](const Row& r) -> Value {
        return r.has_address ? Value(Address{r.conn.laddr, r.conn.family == CONN_IPV6})
                             : Value(Absent{});
    }>("laddr", "ADDR", kAddressWidth, "Address; of a failed bind, the requested one")
        .as(ColumnType::address),
};

constexpr Need kNeeds[] = {
    {.what = "binds as they return",
     .rungs = {rung<&P::bind_sk_fexit, &P::bind6_sk_fexit>("fexit"),
               rung<&P::bind_fexit, &P::bind6_fexit>("fexit"),
               rung<&P::bind_kprobe, &P::bind_kretprobe, &P::bind6_kprobe, &P::bind6_kretprobe>(
                   "kprobe", "since 6.7, binds of MPTCP sockets")}},
};

constexpr Stream<bindsnoop_bpf, Options, Row> kTool{
    .about = {.name = "bindsnoop",
              .area = "net",
              .summary = "Trace binds of sockets to addresses and ports",
              .details =
                  "Prints one line for each bind of an IPv4 or IPv6 socket: the process, the "
                  "address and the port. OPTS are the options of the socket that change its "
                  "meaning. Failed binds appear only with -x.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
};

using CountRow = bind_count;

constexpr Column kCountColumns[] = {
    col<[](const CountRow& r) { return WallTime{r.time_ns}; }>("time_ns", "TIME", 8,
                                                               "End of the run", kJsonOnly),
    protocol_column<CountRow>(),
    ip_column<CountRow>(kJsonOnly),
    laddr_column<CountRow>(),
    lport_column<CountRow>(),
    netns_column<CountRow>(),
    col<&CountRow::binds>("binds", "BINDS", -8, "Number of binds"),
};

constexpr Table<bindsnoop_bpf, Options, CountRow> kCounts{
    .about = kTool.about,
    .options = kOptions,
    .letters = kLetters,
    .columns = kCountColumns,
    .needs = kNeeds,
    .fields = kColumns,
    .take =
        [](bindsnoop_bpf& s, Options&, __u32 generation, std::vector<CountRow>& rows) {
            const Entries entries(s.maps.cb_top, generation);
            for (std::size_t i = 0; i < entries.size(); i++) {
                CountRow& row = rows.emplace_back();
                row.conn = entries.key<bind_key>(i).conn;
                entries.values<std::uint64_t>(i, [&](std::uint64_t n) { row.binds = n; });
            }
        },
    .weight = [](const CountRow& r, const Options&) -> std::uint64_t { return r.binds; },
    .events = [](const CountRow& r) -> std::uint64_t { return r.binds; },
    .also = Shared::none,
};

constexpr auto kMode = [](const Options& o) { return o.counts ? 1 : 0; };
[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = modes<kMode, kTool, kCounts>();
} // namespace
