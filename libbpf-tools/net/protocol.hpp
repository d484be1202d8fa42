// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Names of the Internet's protocols.
#pragma once
#include "abi/conn.h"
#include "output/column.hpp"
#include <array>

namespace corebox
{

// By number (include/uapi/linux/in.h); empty: it has none here.
inline constexpr auto kProtocols = [] {
    std::array<std::string_view, 263> names{};
    names[1] = "ICMP";
    names[2] = "IGMP";
    names[4] = "IPIP";
    names[CONN_TCP] = "TCP";
    names[CONN_UDP] = "UDP";
    names[33] = "DCCP";
    names[47] = "GRE";
    names[50] = "ESP";
    names[58] = "ICMPv6";
    names[132] = "SCTP";
    names[136] = "UDPLITE";
    names[255] = "RAW";
    names[256] = "SMC";
    names[CONN_MPTCP] = "MPTCP";
    return names;
}();

constexpr std::string_view protocol_name(unsigned protocol)
{
    const std::string_view name = protocol < kProtocols.size() ? kProtocols[protocol] : "";
    return name.empty() ? "UNKNOWN" : name;
}

template <class Row>
consteval Column protocol_column(Show show = {})
{
    return col<[](const Row& r) { return Trusted{protocol_name(r.conn.protocol)}; }>(
        "protocol", "PROTO", 7, "Protocol of the socket", show);
}

} // namespace corebox
