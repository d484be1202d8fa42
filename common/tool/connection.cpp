// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "tool/connection.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include <algorithm>
#include <arpa/inet.h>
#include <cstring>
#include <sys/stat.h>

namespace corebox
{
namespace
{

constexpr std::string_view kPorts = "ports such as 80,443,8000-8099";

// The bits that count of 128, as words in the order of memory.
void set_mask(__u64 (&mask)[2], unsigned bits)
{
    unsigned char bytes[16]{};
    for (unsigned i = 0; i < bits; i++)
        bytes[i / 8] |= std::uint8_t(0x80 >> i % 8);
    std::memcpy(mask, bytes, sizeof bytes);
}

std::uint32_t namespace_number(const std::string& path)
{
    struct stat found {
    };
    return ::stat(path.c_str(), &found) == 0 ? std::uint32_t(found.st_ino) : 0;
}

} // namespace

std::string PortSet::parse(std::string_view s, PortSet& out)
{
    if (s.empty())
        return std::string(kPorts);
    for (const std::string_view part : split(s, ',')) {
        const auto dash = part.find('-');
        const auto first = to_number<std::uint16_t>(part.substr(0, dash));
        const auto last =
            dash == part.npos ? first : to_number<std::uint16_t>(part.substr(dash + 1));
        if (!first || !last || *first > *last)
            return std::string(kPorts);
        for (std::uint32_t port = *first; port <= *last; port++)
            out.ports.set(port);
    }
    out.given = true;
    return {};
}

conn_ports PortSet::words() const
{
    conn_ports words{};
    for (std::size_t port = 0; port < ports.size(); port++)
        if (ports[port])
            words.words[port / 64] |= 1ull << port % 64;
    return words;
}

std::string Subnet::parse(std::string_view s, Subnet& out)
{
    constexpr std::string_view kMustBe = "an address or a subnet such as 10.0.0.0/8";
    const auto slash = s.find('/');
    const std::string address(s.substr(0, slash));
    unsigned char bytes[16]{};
    unsigned most = 32;
    conn_subnet subnet{};
    subnet.family = CONN_IPV4;
    if (::inet_pton(AF_INET, address.c_str(), bytes) != 1) {
        if (::inet_pton(AF_INET6, address.c_str(), bytes) != 1)
            return std::string(kMustBe);
        subnet.family = CONN_IPV6;
        most = 128;
    }
    unsigned bits = most;
    if (slash != s.npos) {
        const auto n = to_number<unsigned>(s.substr(slash + 1));
        if (!n || *n > most)
            return cat(kMustBe, ", with at most ", most, " bits");
        bits = *n;
    }
    // The kernel side knows v4-mapped addresses as the IPv4 ones that they are.
    static constexpr unsigned char kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    if (subnet.family == CONN_IPV6 && bits >= 96 && std::memcmp(bytes, kMapped, 12) == 0) {
        std::memmove(bytes, bytes + 12, 4);
        std::memset(bytes + 4, 0, 12);
        subnet.family = CONN_IPV4;
        bits -= 96;
    }
    set_mask(subnet.mask, bits);
    std::memcpy(subnet.addr, bytes, sizeof bytes);
    for (int i = 0; i < 2; i++)
        subnet.addr[i] &= subnet.mask[i];
    out.value = subnet;
    return {};
}

std::string NetNamespace::parse(std::string_view s, NetNamespace& out)
{
    if (const auto number = to_number<std::uint32_t>(s); number && *number) {
        out.number = *number;
        return {};
    }
    out.number = namespace_number(s == "self"             ? "/proc/self/ns/net"
                                  : s.find('/') == s.npos ? cat("/run/netns/", s)
                                                          : std::string(s));
    return out.number ? "" : "the number, name or file of a network namespace";
}

conn_filter make_conn_filter(const Connections& asked)
{
    conn_filter f{};
    const auto subnets = [](const std::vector<Subnet>& from, conn_subnet* to, __u8& count,
                            std::string_view option) {
        if (from.size() > CONN_SUBNETS)
            fail_usage(cat("--", option, " takes at most ", CONN_SUBNETS, " subnets"));
        std::ranges::transform(from, to, &Subnet::value);
        count = __u8(from.size());
    };
    subnets(asked.laddrs, f.laddr, f.laddrs, "laddr");
    subnets(asked.raddrs, f.raddr, f.raddrs, "raddr");
    f.netns = asked.netns.number;
    f.family = asked.ipv4 == asked.ipv6 ? 0 : asked.ipv4 ? CONN_IPV4 : CONN_IPV6;
    f.by_port[CONN_LOCAL] = asked.lports.given;
    f.by_port[CONN_REMOTE] = asked.rports.given;
    f.by_port[CONN_EITHER] = asked.ports.given;
    f.any = f.laddrs || f.raddrs || f.netns || f.family || f.by_port[CONN_LOCAL] ||
            f.by_port[CONN_REMOTE] || f.by_port[CONN_EITHER];
    return f;
}

} // namespace corebox
