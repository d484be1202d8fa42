// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Values of the options that choose connections; each parses itself (tool/option.hpp).
#pragma once
#include "abi/conn.h"
#include <bitset>
#include <string>
#include <string_view>
#include <vector>

namespace corebox
{

// "80,443,8000-8099": a set of ports. Given again, the option adds to it.
struct PortSet {
    std::bitset<65536> ports{};
    bool given = false;

    static std::string parse(std::string_view s, PortSet& out);
    conn_ports words() const;
};

// "10.0.0.0/8", "::1": an address and how many of its bits count; of v4-mapped addresses the IPv4
// ones. Bits beyond those that count are taken for 0.
struct Subnet {
    conn_subnet value{};

    static std::string parse(std::string_view s, Subnet& out);
};

// A network namespace: its number, "self", a name of `ip netns`, or a file such as
// /proc/1/ns/net.
struct NetNamespace {
    std::uint32_t number = 0;

    static std::string parse(std::string_view s, NetNamespace& out);
};

struct Connections {
    PortSet ports, lports, rports;
    std::vector<Subnet> laddrs, raddrs;
    bool ipv4 = false, ipv6 = false;
    NetNamespace netns;
};

// What the kernel side compares; fails with a usage error where more subnets are asked for than
// there is room for.
conn_filter make_conn_filter(const Connections& asked);

} // namespace corebox
