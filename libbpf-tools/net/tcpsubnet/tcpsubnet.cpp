// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "shape/table.hpp"
#include "tool/connection.hpp"
#include "traffic.hpp"
#include <arpa/inet.h>
#include <bit>
#include <cstring>

#include "tcpsubnet.skel.h"

namespace
{
using namespace corebox;

enum class Format : std::uint8_t { bits, kilobits, megabits, bytes, kilobytes, megabytes };

struct Options : TrafficReadings {
    std::vector<Subnet> subnets; // the longest first
    Format format = Format::bytes;
};

struct Row {
    std::uint64_t time_ns = 0;
    std::string subnet;
    tcp_bytes bytes{};
    std::uint64_t readings = 0;
    Format format = Format::bytes;
};

constexpr Example kExamples[] = {
    {"tcpsubnet", "Show the bytes exchanged with private and other networks"},
    {"tcpsubnet -f K -i 5 10.1.0.0/16,fd00::/8", "Show the kilobytes of two subnets"},
};

constexpr Option kOptions[] = {
    choice<&Options::format>('f', "format", "b|k|m|B|K|M",
                             "Print bits or (upper case) bytes, K and M of 1024"),
};

constexpr Option kPositionals[] = {
    opt<&Options::subnets>(0, "subnets", "SUBNET,...", "Subnets of the remote address"),
};

constexpr Letter kLetters[] = {{'i', "interval"}, {'J', "json"}, {'p', "pid"}};

std::uint64_t formatted(const Row& r, std::uint64_t bytes)
{
    const auto format = unsigned(r.format);
    const std::uint64_t n = format < unsigned(Format::bytes) ? bytes * 8 : bytes;
    return n >> 10 * (format % 3);
}

constexpr Column kColumns[] = {
    col<[](const Row& r) { return WallTime{r.time_ns}; }>("time_ns", "TIME", 8,
                                                          "End of the interval", kJsonOnly),
    col<[](const Row& r) { return Trusted{r.subnet}; }>("subnet", "SUBNET", 24,
                                                        "Subnet of the remote address, or other"),
    col<[](const Row& r) { return formatted(r, r.bytes.sent); }>(
        "tx", "TX", -12, "What the other side acknowledged", kTextOnly),
    col<[](const Row& r) { return formatted(r, r.bytes.received); }>(
        "rx", "RX", -12, "What was received", kTextOnly),
    sent_bytes_column<Row>().in_user_space(),
    received_bytes_column<Row>().in_user_space(),
};

unsigned bits(const conn_subnet& s)
{
    return unsigned(std::popcount(s.mask[0]) + std::popcount(s.mask[1]));
}

std::string text(const conn_subnet& s)
{
    char address[INET6_ADDRSTRLEN] = "";
    ::inet_ntop(s.family == CONN_IPV6 ? AF_INET6 : AF_INET, s.addr, address, sizeof address);
    return cat(address, "/", bits(s));
}

bool contains(const conn_subnet& s, const conn& c)
{
    __u64 address[2];
    std::memcpy(address, c.raddr, sizeof address);
    return s.family == c.family && (address[0] & s.mask[0]) == s.addr[0] &&
           (address[1] & s.mask[1]) == s.addr[1];
}

void prepare(Options& o, Session&)
{
    // BCC's, and the same of IPv6.
    constexpr std::string_view kUsual =
        "127.0.0.1/32,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,0.0.0.0/0,"
        "::1/128,fe80::/10,fc00::/7,::/0";
    if (o.subnets.empty())
        for (const std::string_view subnet : split(kUsual, ','))
            Subnet::parse(subnet, o.subnets.emplace_back());
    std::ranges::stable_sort(o.subnets, std::greater(),
                             [](const Subnet& s) { return bits(s.value); });
}

// A row for each subnet that has traffic, and one for all that is in none.
void take(tcpsubnet_bpf& skeleton, Options& o, __u32 generation, std::vector<Row>& rows)
{
    Entries entries(skeleton.maps.cb_top, generation);
    subtract_shown(o, entries);
    std::vector<Row> all(o.subnets.size() + 1);
    for (std::size_t i = 0; i < entries.size(); i++) {
        const auto& value = entries.value<traffic_value>(i);
        const auto found = std::ranges::find_if(
            o.subnets, [&](const Subnet& s) { return contains(s.value, value.conn); });
        Row& row = all[std::size_t(found - o.subnets.begin())];
        row.bytes.sent += value.live.sent;
        row.bytes.received += value.live.received;
        row.readings++;
    }
    for (std::size_t i = 0; i < all.size(); i++) {
        if (!all[i].readings)
            continue;
        all[i].subnet = i < o.subnets.size() ? text(o.subnets[i].value) : "other";
        all[i].format = o.format;
        rows.push_back(std::move(all[i]));
    }
}

constexpr Table<tcpsubnet_bpf, Options, Row> kTool{
    .about = {.name = "tcpsubnet",
              .area = "net",
              .summary = "Show TCP bytes by subnet",
              .details = "Prints, every second, how much TCP sessions exchanged with each subnet, "
                         "in both directions.",
              .examples = kExamples},
    .options = kOptions,
    .positionals = kPositionals,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kTrafficNeeds<tcpsubnet_bpf>,
    .fields = kTrafficFields,
    .prepare = prepare,
    .collect = read_sockets<tcpsubnet_bpf, Options>,
    .take = take,
    .weight = [](const Row& r, const Options&) -> std::uint64_t {
        return r.bytes.sent + r.bytes.received;
    },
    .events = [](const Row& r) { return r.readings; },
    .timed = true,
    .interval = std::chrono::seconds(1),
    .also = Shared::every,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
