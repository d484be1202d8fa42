// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The two ends of a connection as address:port, where BCC has them so. JSON has the columns of
// conn_columns.hpp.
#pragma once
#include "conn_columns.hpp"

namespace corebox
{

inline constexpr int kEndpointWidth = 21; // 255.255.255.255:65535

template <class Row>
consteval Column local_column()
{
    return col<[](const Row& r) -> Value {
               return Endpoint{{r.conn.laddr, r.conn.family == CONN_IPV6}, r.conn.lport};
           }>("local", "LADDR:LPORT", kEndpointWidth, "Local address and port", kTextOnly)
        .as(ColumnType::text);
}
template <class Row>
consteval Column remote_column()
{
    return col<[](const Row& r) -> Value {
               return Endpoint{{r.conn.raddr, r.conn.family == CONN_IPV6}, r.conn.rport};
           }>("remote", "RADDR:RPORT", kEndpointWidth, "Remote address and port", kTextOnly)
        .as(ColumnType::text);
}

} // namespace corebox
