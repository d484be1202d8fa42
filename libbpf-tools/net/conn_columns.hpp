// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The columns and options that network tools share. A row has a member `conn`, and those with an
// owner a member `owner`.
#pragma once
#include "abi/conn.h"
#include "abi/sock_owner.h"
#include "output/column.hpp"
#include "tool/option.hpp"

namespace corebox
{

// Wide enough for most IPv6 addresses; longer ones move the rest of their line.
inline constexpr int kAddressWidth = 16;

inline constexpr Option kTimeOption = show('T', "time", "Print the time of day");
inline constexpr Option kTimestampOption =
    show('t', "timestamp", "Print seconds since the first event");

// Of a row with a member `time_ns`.
template <class Row>
consteval Column event_time_column(Show show)
{
    return col<[](const Row& r) { return WallTime{r.time_ns}; }>("time_ns", "TIME", 8,
                                                                 "Time of the event", show);
}
template <class Row>
consteval Column event_since_column(Show show)
{
    return col<[](const Row& r) {
        return SinceFirst{r.time_ns, 6};
    }>("since_s", "TIME(s)", 9, "Seconds since the first event", show);
}

template <class Row>
consteval Column ip_column(Show show = {})
{
    constexpr Formula kFamily = field<&Row::conn, &conn::family>;
    return col<[](const Row& r) -> int { return r.conn.family == CONN_IPV6 ? 6 : 4; }>(
               "ip", "IP", 2, "Version of IP: 4 or 6", show)
        .template from<select(kFamily == CONN_IPV6, 6, 4)>();
}
template <class Row>
consteval Column laddr_column(Show show = {}, std::string_view header = "LADDR")
{
    return col<[](const Row& r) -> Value {
               return Address{r.conn.laddr, r.conn.family == CONN_IPV6};
           }>("laddr", header, kAddressWidth, "Local address", show)
        .as(ColumnType::address)
        .template from<address_of<&Row::conn, &conn::laddr>(field<&Row::conn, &conn::family> ==
                                                            CONN_IPV6)>();
}
template <class Row>
consteval Column lport_column(Show show = {}, std::string_view header = "LPORT")
{
    return col<[](const Row& r) { return r.conn.lport; }>("lport", header, 5, "Local port", show)
        .template from<field<&Row::conn, &conn::lport>>();
}
template <class Row>
consteval Column raddr_column(Show show = {}, std::string_view header = "RADDR")
{
    return col<[](const Row& r) -> Value {
               return Address{r.conn.raddr, r.conn.family == CONN_IPV6};
           }>("raddr", header, kAddressWidth, "Remote address", show)
        .as(ColumnType::address)
        .template from<address_of<&Row::conn, &conn::raddr>(field<&Row::conn, &conn::family> ==
                                                            CONN_IPV6)>();
}
template <class Row>
consteval Column rport_column(Show show = {}, std::string_view header = "RPORT")
{
    return col<[](const Row& r) { return r.conn.rport; }>("rport", header, 5, "Remote port", show)
        .template from<field<&Row::conn, &conn::rport>>();
}
template <class Row>
consteval Column netns_column(Show show = kJsonOnly)
{
    return col<[](const Row& r) { return r.conn.netns; }>("netns", "NETNS", 10,
                                                          "Number of the network namespace", show)
        .template from<field<&Row::conn, &conn::netns>>();
}

// The owner of the socket: the task that connected, accepted or listened. Text shows "-" where it
// is not known.
template <class Row, auto Member>
consteval Column owner_number(std::string_view key, std::string_view header, int width,
                              std::string_view help, Show show)
{
    constexpr Formula kPid = field<&Row::owner, &sock_owner::pid>;
    return col<[](const Row& r) -> Value {
               return r.owner.pid ? Value(r.owner.*Member) : Value(Absent{});
           }>(key, header, width, help, show)
        .as(ColumnType::integer)
        .template from<present(kPid != 0, field<&Row::owner, Member>)>();
}
template <class Row>
consteval Column owner_pid_column(Show show = {})
{
    return owner_number<Row, &sock_owner::pid>("pid", "PID", 7, "Process that owns the socket",
                                               show);
}
template <class Row>
consteval Column owner_tid_column(Show show = kJsonOnly)
{
    return owner_number<Row, &sock_owner::tid>("tid", "TID", 7, "Thread that made it its own",
                                               show);
}
template <class Row>
consteval Column owner_uid_column(Show show = kJsonOnly)
{
    return owner_number<Row, &sock_owner::uid>("uid", "UID", 6, "User ID of the owner", show);
}
template <class Row>
consteval Column owner_comm_column(Show show = {})
{
    constexpr Formula kPid = field<&Row::owner, &sock_owner::pid>;
    return col<[](const Row& r) -> Value {
               return r.owner.pid ? Value(r.owner.comm) : Value(Absent{});
           }>("comm", "COMM", 16, "Command name of the owner", show)
        .as(ColumnType::text)
        .template from<present(kPid != 0, field<&Row::owner, &sock_owner::comm>)>();
}

} // namespace corebox
