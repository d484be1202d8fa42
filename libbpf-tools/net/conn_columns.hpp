// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The columns that network tools share. A row has a member `conn`, and those with an owner a member
// `owner`.
#pragma once
#include "abi/conn.h"
#include "abi/sock_owner.h"
#include "output/column.hpp"

namespace corebox
{
namespace detail
{
// Row is a parameter of its own for the linkage: see Store in tool/option.hpp.
template <class Row>
struct ConnValues {
    static const conn& of(const void* row) { return static_cast<const Row*>(row)->conn; }
    static const sock_owner& owner(const void* row) { return static_cast<const Row*>(row)->owner; }
    static Value laddr(const void* row)
    {
        return Address{of(row).laddr, of(row).family == CONN_IPV6};
    }
    static Value raddr(const void* row)
    {
        return Address{of(row).raddr, of(row).family == CONN_IPV6};
    }
    static Value lport(const void* row) { return of(row).lport; }
    static Value rport(const void* row) { return of(row).rport; }
    static Value netns(const void* row) { return of(row).netns; }
    static Value ip(const void* row) { return of(row).family == CONN_IPV6 ? 6u : 4u; }
    static Value pid(const void* row) { return owner(row).pid ? Value(owner(row).pid) : Absent{}; }
    static Value tid(const void* row) { return owner(row).pid ? Value(owner(row).tid) : Absent{}; }
    static Value uid(const void* row) { return owner(row).pid ? Value(owner(row).uid) : Absent{}; }
    static Value comm(const void* row)
    {
        return owner(row).pid ? Value(owner(row).comm) : Absent{};
    }
};
template <class Row>
consteval Column conn_column(std::string_view key, std::string_view header, int width,
                             std::string_view help, Show show, Value (*get)(const void*))
{
    return {key, header, width, help, show, get, &kRowTag<Row>};
}
} // namespace detail

// Wide enough for most IPv6 addresses; longer ones move the rest of their line.
inline constexpr int kAddressWidth = 16;

template <class Row>
consteval Column laddr_column(Show show = {})
{
    return detail::conn_column<Row>("laddr", "LADDR", kAddressWidth, "Local address", show,
                                    detail::ConnValues<Row>::laddr);
}
template <class Row>
consteval Column lport_column(Show show = {})
{
    return detail::conn_column<Row>("lport", "LPORT", 5, "Local port", show,
                                    detail::ConnValues<Row>::lport);
}
template <class Row>
consteval Column raddr_column(Show show = {})
{
    return detail::conn_column<Row>("raddr", "RADDR", kAddressWidth, "Remote address", show,
                                    detail::ConnValues<Row>::raddr);
}
template <class Row>
consteval Column rport_column(Show show = {})
{
    return detail::conn_column<Row>("rport", "RPORT", 5, "Remote port", show,
                                    detail::ConnValues<Row>::rport);
}
template <class Row>
consteval Column ip_column(Show show = {})
{
    return detail::conn_column<Row>("ip", "IP", 2, "Version of IP: 4 or 6", show,
                                    detail::ConnValues<Row>::ip);
}
template <class Row>
consteval Column netns_column(Show show = kJsonOnly)
{
    return detail::conn_column<Row>("netns", "NETNS", 10, "Number of the network namespace", show,
                                    detail::ConnValues<Row>::netns);
}

// The owner of the socket: the task that connected, accepted or listened.
template <class Row>
consteval Column owner_pid_column(Show show = {})
{
    return detail::conn_column<Row>("pid", "PID", 7, "Process that owns the socket", show,
                                    detail::ConnValues<Row>::pid);
}
template <class Row>
consteval Column owner_tid_column(Show show = kJsonOnly)
{
    return detail::conn_column<Row>("tid", "TID", 7, "Thread that made or accepted the socket",
                                    show, detail::ConnValues<Row>::tid);
}
template <class Row>
consteval Column owner_uid_column(Show show = kJsonOnly)
{
    return detail::conn_column<Row>("uid", "UID", 6, "User ID of the owner", show,
                                    detail::ConnValues<Row>::uid);
}
template <class Row>
consteval Column owner_comm_column(Show show = {})
{
    return detail::conn_column<Row>("comm", "COMM", 16, "Command name of the owner", show,
                                    detail::ConnValues<Row>::comm);
}

} // namespace corebox
