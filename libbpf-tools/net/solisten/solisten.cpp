// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "solisten.h"
#include "../conn_columns.hpp"
#include "../protocol.hpp"
#include "output/task_columns.hpp"
#include "shape/stream.hpp"
#include <cstring>

#include "solisten.skel.h"

namespace
{
using namespace corebox;
using P = decltype(solisten_bpf::progs);

struct Options {
};

struct Row {
    task_info task{};
    listen_event event{};
    std::string name; // of a UNIX socket

    bool is_inet() const
    {
        return event.conn.family == CONN_IPV4 || event.conn.family == CONN_IPV6;
    }
};

constexpr Example kExamples[] = {
    {"solisten", "Trace all calls of listen()"},
    {"solisten --netns self -L 80", "Trace those for port 80 in this network namespace"},
};

constexpr Option kOptions[] = {
    show('t', "timestamp", "Print seconds since the first event"),
    show('T', "time", "Print the time of day"),
    show(0, "show-netns", "Print the number of the network namespace"),
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'n', "netns"}, {'L', "lport"}};

// UNIX and VSOCK have one protocol each.
std::string_view protocol_of(const listen_event& e)
{
    switch (e.conn.family) {
    case LISTEN_UNIX:
        return "UNIX";
    case LISTEN_VSOCK:
        return "VSOCK";
    case CONN_IPV4:
    case CONN_IPV6:
        return protocol_name(e.conn.protocol);
    default:
        return "OTHER";
    }
}

// As /proc/net/unix has it: "@" begins an abstract name, which has no end but its length.
std::string unix_name(const listen_event& e)
{
    std::string name(e.path, std::min<std::size_t>(e.path_len, sizeof e.path));
    if (name.empty() || name[0] != '\0')
        return name.substr(0, name.find('\0'));
    name[0] = '@';
    return name;
}

constexpr Column kColumns[] = {
    time_column<&Row::task>(with("time")),
    since_column<&Row::task>(with("timestamp")),
    col<&Row::task, &task_info::pid>("pid", "PID", 7, "Process ID"),
    col<&Row::task, &task_info::tid>("tid", "TID", 7, "Thread ID", kJsonOnly),
    col<&Row::task, &task_info::uid>("uid", "UID", 6, "User ID", kJsonOnly),
    col<&Row::task, &task_info::comm>("comm", "COMM", 16, "Command name of the thread"),
    col<[](const Row& r) { return r.event.conn.netns; }>(
        "netns", "NETNS", 10, "Number of the network namespace", with("show-netns"))
        .from<field<&listen_event::conn, &conn::netns>>(),
    col<[](const Row& r) { return r.event.ret; }>("ret", "RET", -4, "Result: 0 or a negative errno")
        .from<field<&listen_event::ret>>(),
    col<[](const Row& r) { return Errno{-r.event.ret}; }>("error", "ERROR", 13, "Name of the errno",
                                                          kJsonOnly),
    col<[](const Row& r) { return r.event.backlog; }>("backlog", "BACKLOG", -10,
                                                      "Backlog that the process requests")
        .from<field<&listen_event::backlog>>(),
    col<[](const Row& r) -> Value {
        return r.event.has_conn && !r.event.ret ? Value(r.event.limit) : Value(Absent{});
    }>("limit", "LIMIT", -7, "Backlog that the kernel allows (net.core.somaxconn)")
        .as(ColumnType::integer)
        .from<present(field<&listen_event::has_conn> != 0 && field<&listen_event::ret> == 0,
                      field<&listen_event::limit>)>(),
    col<[](const Row& r) { return Trusted{protocol_of(r.event)}; }>("protocol", "PROTO", 6,
                                                                    "Protocol, or UNIX, VSOCK"),
    col<[](const Row& r) -> Value {
        return r.is_inet() ? Value(r.event.conn.family == CONN_IPV6 ? 6 : 4) : Value(Absent{});
    }>("ip", "IP", 2, "Version of IP: 4 or 6")
        .as(ColumnType::integer),
    col<[](const Row& r) -> Value {
        if (r.event.conn.family == LISTEN_VSOCK)
            return r.event.port;
        return r.is_inet() && r.event.has_conn ? Value(r.event.conn.lport) : Value(Absent{});
    }>("lport", "PORT", -5, "Port")
        .as(ColumnType::integer),
    col<[](const Row& r) -> Value {
        if (r.is_inet() && r.event.has_conn)
            return Address{r.event.conn.laddr, r.event.conn.family == CONN_IPV6};
        if (r.event.conn.family == LISTEN_UNIX && !r.name.empty())
            return std::string_view(r.name);
        return Absent{};
    }>("laddr", "ADDR", 0, "Address; of a UNIX socket, its name")
        .as(ColumnType::text),
    col<[](const Row& r) -> Value {
        return r.event.conn.family == LISTEN_VSOCK ? Value(r.event.cid) : Value(Absent{});
    }>("cid", "CID", 10, "Context of a VSOCK socket", kJsonOnly)
        .as(ColumnType::integer),
};

constexpr Need kNeeds[] = {
    {.what = "calls of listen() as they begin",
     .rungs = {rung<&P::begin_fentry>("fentry"), rung<&P::begin_kprobe>("kprobe")}},
    {.what = "calls of listen() as they return",
     .rungs = {rung<&P::end_fexit>("fexit"), rung<&P::asked_kprobe, &P::end_kretprobe>("kprobe")}},
    {.what = "listen() by io_uring",
     .rungs = {rung<&P::uring_fexit>("fexit")},
     .optional = true,
     .without = "listen() by io_uring, which the kernel has since 6.11"},
};

constexpr Stream<solisten_bpf, Options, Row> kTool{
    .about = {.name = "solisten",
              .area = "net",
              .summary = "Trace calls of listen()",
              .details = "Prints one line for each call of listen(): the process, the result, the "
                         "backlog, and where the socket listens. Sockets of all families are "
                         "traced, TCP, MPTCP, SCTP, UNIX and VSOCK among them, and failed calls.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .decode =
        [](Row& row, const Options&, const void* record, std::size_t size) {
            std::memcpy(&row.event, record, std::min(size, sizeof row.event));
            row.task = row.event.task;
            row.name = row.event.conn.family == LISTEN_UNIX ? unix_name(row.event) : std::string();
            return true;
        },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
