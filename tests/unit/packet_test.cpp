// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// --pcap: what is generated for an expression selects the same packets as libpcap's own
// interpreter, on every packet; what cannot be had is refused in one line.
#include "abi/packet.h"
#include "base/error.hpp"
#include "base/text.hpp"
#include "bpf_machine.hpp"
#include "packet/compile.hpp"
#include "packet/expression.hpp"
#include "packet/translate.hpp"
#include <cstring>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <random>

// pcap/bpf.h and linux/bpf.h each have a struct bpf_insn of their own.
extern "C" unsigned bpf_filter(const sock_filter*, const unsigned char*, unsigned length,
                               unsigned captured);

namespace corebox
{
namespace
{

using packet::compile;
using packet::translate;

using Bytes = std::vector<std::uint8_t>;
constexpr std::uint64_t kPacket = 0xffff888000001000;

// Of which `linear` bytes are in one piece.
struct Packet {
    Bytes bytes;
    std::size_t linear;
};

void put(Bytes& to, std::initializer_list<int> bytes)
{
    for (const int b : bytes)
        to.push_back(std::uint8_t(b));
}

Bytes transport(int protocol, int from, int to, int flags)
{
    Bytes b;
    put(b, {from >> 8, from, to >> 8, to});
    if (protocol == 6)
        put(b, {1, 2, 3, 4, 5, 6, 7, 8, 0x50, flags, 1, 0, 0, 0, 0, 0, 'G', 'E', 'T', ' '});
    else if (protocol == 1 || protocol == 58)
        b = {std::uint8_t(flags), 0, 0, 0, 0x12, 0x34, 0, 1};
    else
        put(b, {0, 12, 0, 0, 'a', 'b', 'c', 'd'});
    return b;
}

Bytes ipv4(int protocol, Bytes rest, int last = 2, int fragment = 0, int options = 0)
{
    Bytes b;
    const int length = int(rest.size()) + 20 + options;
    put(b, {0x45 + options / 4,
            0,
            length >> 8,
            length,
            0x12,
            0x34,
            fragment >> 8,
            fragment,
            64,
            protocol,
            0,
            0,
            10,
            0,
            0,
            1,
            192,
            168,
            7,
            last});
    b.insert(b.end(), std::size_t(options), 1);
    b.insert(b.end(), rest.begin(), rest.end());
    return b;
}

Bytes ipv6(int protocol, const Bytes& rest, int last = 2)
{
    Bytes b;
    put(b, {0x60, 0, 0, 0, 0, int(rest.size()), protocol, 64});
    put(b, {0xfd, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
    put(b, {0xfd, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last});
    b.insert(b.end(), rest.begin(), rest.end());
    return b;
}

std::vector<Packet> make_packets()
{
    std::vector<Packet> packets;
    const auto add = [&](Bytes bytes) {
        const std::size_t whole = bytes.size();
        for (const std::size_t linear : {whole, std::size_t(20), std::size_t(33)})
            if (linear <= whole)
                packets.push_back({bytes, linear});
    };
    for (const auto& [from, to] :
         {std::pair{40000, 443}, {443, 40000}, {53, 53}, {80, 8080}, {6003, 22}})
        for (const int flags : {0x02, 0x12, 0x10, 0x04, 0x08})
            for (const int protocol : {6, 17, 132}) {
                add(ipv4(protocol, transport(protocol, from, to, flags), flags));
                add(ipv6(protocol, transport(protocol, from, to, flags), flags));
            }
    for (const int type : {0, 3, 8, 11, 128, 129, 135}) {
        add(ipv4(1, transport(1, 0, 0, type)));
        add(ipv6(58, transport(58, 0, 0, type)));
    }
    add(ipv4(6, transport(6, 40000, 443, 2), 2, 0x2000));
    add(ipv4(6, transport(6, 40000, 443, 2), 2, 0x0010));
    add(ipv4(6, transport(6, 40000, 443, 2), 2, 0, 12));
    add(ipv6(44, Bytes{6, 0, 0, 1, 0, 0, 0, 7, 0x9c, 0x40, 1, 0xbb}));
    for (const int protocol : {2, 47, 50, 51, 89, 103, 112})
        add(ipv4(protocol, Bytes(24, 0x33)));
    Bytes large = ipv4(17, transport(17, 53, 5353, 0));
    large.resize(1400, 0x5a);
    add(large);
    std::mt19937 random(7);
    for (int i = 0; i < 40; i++) {
        Bytes bytes(1 + random() % 120);
        for (std::uint8_t& b : bytes)
            b = std::uint8_t(random());
        bytes[0] = std::uint8_t(i % 2 ? 0x45 : 0x60) | (i % 7 ? 0 : 0x0a);
        packets.push_back({bytes, bytes.size()});
    }
    packets.push_back({{}, 0});
    return packets;
}

bool runs_true(std::span<const bpf_insn> code, const Packet& packet)
{
    test::BpfMachine machine;
    const packet_view view{kPacket, __u32(packet.linear), __u32(packet.bytes.size())};
    machine.context.resize(sizeof view);
    std::memcpy(machine.context.data(), &view, sizeof view);
    // What is not linear is not there; behind it is something else.
    machine.read = [&](std::uint64_t address, bool, std::span<std::byte> to) {
        for (std::size_t i = 0; i < to.size(); i++) {
            const std::uint64_t at = address + i - kPacket;
            if (at >= packet.linear + 320)
                return false;
            to[i] = at < packet.linear ? std::byte(packet.bytes[at]) : std::byte(0xee);
        }
        return true;
    };
    return machine.run(code);
}

bool libpcap_says(std::span<const sock_filter> program, const Packet& packet)
{
    return bpf_filter(program.data(), packet.bytes.data(), unsigned(packet.bytes.size()),
                      unsigned(packet.linear)) != 0;
}

std::vector<std::string> make_expressions()
{
    std::vector<std::string> all = {
        "ip",
        "ip6",
        "tcp",
        "udp",
        "sctp",
        "icmp",
        "icmp6",
        "igmp",
        "igrp",
        "pim",
        "vrrp",
        "ah",
        "esp",
        "less 60",
        "greater 100",
        "len > 64",
        "len = 60",
        "len & 1 = 1",
        "len >= 0",
        "ip proto 89",
        "ip6 proto 17",
        "proto 6",
        "proto \\udp",
        "ip6 proto 44",

        "ip multicast",
        "ip6 multicast",
        "host 10.0.0.1",
        "src host 10.0.0.1",
        "dst 192.168.7.2",
        "net 192.168.0.0/16",
        "src net 10",
        "net 192.168.7",
        "dst net fd00:2::/32",
        "host fd00:1::1",
        "net 10.0.0.0 mask 255.0.0.0",
        "src or dst 192.168.7.18",
        "port 443",
        "src port 443",
        "dst port 53",
        "tcp port 80",
        "udp port 53",
        "sctp port 22",
        "portrange 6000-6010",
        "tcp src portrange 1-1023",
        "ip and tcp dst port 443",
        "ip6 and udp",
        "tcp[tcpflags] & tcp-syn != 0",
        "tcp[tcpflags] & (tcp-syn|tcp-ack) = tcp-syn",
        "tcp[tcpflags] == tcp-rst",
        "tcp[13] & 8 != 0",
        "tcp[0:2] = 443",
        "tcp[4:4] = 0x01020304",
        "tcp[1:4] > 5",
        "tcp[((tcp[12:1] & 0xf0) >> 2):4] = 0x47455420",
        "icmp[icmptype] = icmp-echo",
        "icmp[icmptype] != icmp-echoreply",
        "icmp[4:2] = 0x1234",
        "icmp6[icmp6type] = icmp6-echo",
        "ip6[6] = 6",
        "ip[8] < 65",
        "ip[9] = 17 or ip[9] = 6",
        "ip[6:2] & 0x1fff = 0",
        "ip[6] & 0x20 != 0",
        "ip[0] & 0xf > 5",
        "ip[1:2] > 3",
        "ip[3:4] != 9",
        "ip[2:2] = len",
        "ip[2:2] - ((ip[0] & 0xf) << 2) > 20",
        "ip[2:2] + 1 = len + 1",
        "ip[8] * 2 = 128",
        "ip[8] / 3 = 21",
        "ip[8] % 7 = 1",
        "ip[8] | 1 = 65",
        "ip[8] ^ 64 = 0",
        "ip[8] << ip[9] = 4096",
        "ip[12:4] >> ip[9] > 1000",
        "ip[8] << ip[12:4] = 0",
        "-ip[8] = 0",
        "ip[16:4] / ip[1] = 1",
        "ip[16:4] % ip[1] = 1",
        "ip[16:4] / ip[8] > 5",
        "ip[ip[8]] = 0",
        "ip[ip[12:4]] = 0",
        "ip[1000] = 0x5a",
        "ip[1398:2] = 0x5a5a",
        "ip[1399:2] = 0",
        "ip[70:4] != 1",
        "udp[4:2] = 12",
        "udp[8:4] = 0x61626364",
        "udp[len] = 0",
        "tcp[20] != 0 and len > 50",
        "not tcp",
        "not (port 443 or port 53)",
        "tcp or udp port 53",
        "tcp and not port 22",
        "host 10.0.0.1 and not dst 192.168.7.2",
        "(tcp and port 80) or (udp and port 53) or icmp",
        "ip host 10.0.0.1 and (tcp[13] = 2 or tcp[13] = 18)",
        "ip6 host fd00:2::12 and tcp",
        "ip[0:4] = ip[0:4]",
        "ip[12:4] > ip[16:4]",
        "ip[12:4] >= 0xc0000000",
        "ip6[8:4] = 0xfd000001",
        "tcp[tcpflags] & tcp-syn != 0 and port 443",
        "1 = 1",
        "2 > 3 or tcp",
        "((ip[2:2] - ((ip[0]&0xf)<<2)) - ((tcp[12]&0xf0)>>2)) != 0",
        "ip[12:4] + ip[16:4] * ip[8] - ip[2:2] / (ip[9] + 1) > ip[4:2] << 3"};
    // Each of the first with each of the second.
    for (const std::string_view a : {"tcp", "ip6", "not udp", "src port 443", "ip[8] = 64",
                                     "len < 70", "dst host 192.168.7.2", "icmp or icmp6"})
        for (const std::string_view b :
             {"port 443", "dst portrange 20-8080", "net 10.0.0.0/8", "tcp[13] & 2 != 0",
              "ip[6:2] = 0", "ip6[40:2] = 443", "greater 44", "host fd00:2::2"})
            for (const std::string_view joined : {" and ", " or "})
                all.push_back(cat("(", a, ")", joined, "(", b, ")"));
    return all;
}

TEST(Packet, SelectsWhatLibpcapSelects)
{
    const std::vector<Packet> packets = make_packets();
    std::size_t compared = 0, selected = 0, expressions = 0;
    for (const std::string& expression : make_expressions()) {
        const packet::Compiled compiled = compile(expression);
        if (compiled.error.find("rejects all packets") != std::string::npos)
            continue;
        ASSERT_EQ(compiled.error, "") << expression;
        expressions++;
        const auto code = translate(compiled.code);
        for (const Packet& packet : packets) {
            const bool expected = libpcap_says(compiled.code, packet);
            ASSERT_EQ(runs_true(code, packet), expected)
                << expression << " on packet " << &packet - packets.data();
            compared++;
            selected += expected;
        }
    }
    EXPECT_GE(expressions, 200u);
    EXPECT_GT(selected, compared / 10);
    EXPECT_LT(selected, compared * 9 / 10);
}

// All instructions of classic BPF, in programs that no expression gives.
TEST(Packet, RandomProgramsDoTheSame)
{
    std::mt19937 random(11);
    const auto any = [&](unsigned below) { return unsigned(random() % below); };
    const std::vector<Packet> packets = make_packets();
    std::size_t selected = 0;
    constexpr int kPrograms = 3000;
    for (int n = 0; n < kPrograms; n++) {
        std::vector<sock_filter> program(4 + any(30));
        for (unsigned i = 0; i < 4; i++) // libpcap's interpreter has no memory to begin with
            program[i] = {BPF_ST, 0, 0, i};
        for (std::size_t at = 4; at < program.size(); at++) {
            const auto left = unsigned(program.size() - at); // the last and what is put behind
            const __u32 values[] = {0,         1,     any(8),     any(64),           any(100),
                                    any(2000), 0xfff, 0xffffffff, unsigned(random())};
            const __u32 k = values[any(std::size(values))];
            const auto size = __u16(std::array{BPF_W, BPF_H, BPF_B}[any(3)]);
            const __u16 source = any(2) ? BPF_X : BPF_K;
            const auto skip = [&] { return __u8(any(std::min(left, 4u))); };
            sock_filter& i = program[at];
            switch (any(11)) {
            case 0:
                i = {__u16(BPF_LD | BPF_ABS | size), 0, 0, any(100)};
                break;
            case 1:
                i = {__u16(BPF_LD | BPF_IND | size), 0, 0, k};
                break;
            case 2:
                i = {__u16(std::array{BPF_LD | BPF_IMM, BPF_LDX | BPF_IMM}[any(2)]), 0, 0, k};
                break;
            case 3:
                i = {__u16(std::array{BPF_LD | BPF_LEN, BPF_LDX | BPF_LEN}[any(2)] | BPF_W), 0, 0,
                     0};
                break;
            case 4:
                i = {__u16(std::array{BPF_LD, BPF_LDX}[any(2)] | BPF_MEM), 0, 0, any(4)};
                break;
            case 5:
                i = {__u16(std::array{BPF_ST, BPF_STX}[any(2)]), 0, 0, any(4)};
                break;
            case 6:
                i = {BPF_LDX | BPF_MSH | BPF_B, 0, 0, any(80)};
                break;
            case 7:
                i = {__u16(std::array{BPF_MISC | BPF_TAX, BPF_MISC | BPF_TXA}[any(2)]), 0, 0, 0};
                break;
            case 8:
            case 9: {
                const int op = std::array{BPF_ADD, BPF_SUB, BPF_MUL, BPF_DIV, BPF_MOD, BPF_AND,
                                          BPF_OR,  BPF_XOR, BPF_LSH, BPF_RSH, BPF_NEG}[any(11)];
                // What libpcap's compiler refuses of constants, its interpreter does not handle.
                const bool divides = op == BPF_DIV || op == BPF_MOD,
                           shifts = op == BPF_LSH || op == BPF_RSH;
                const __u32 constant = divides ? k | 1 : shifts && source == BPF_K ? k & 31 : k;
                i = {__u16(BPF_ALU | op | (op == BPF_NEG ? 0 : source)), 0, 0, constant};
                break;
            }
            default: {
                const int op = std::array{BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET, BPF_JA}[any(5)];
                i = op == BPF_JA ? sock_filter{BPF_JMP | BPF_JA, 0, 0, skip()}
                                 : sock_filter{__u16(BPF_JMP | op | source), skip(), skip(), k};
            }
            }
        }
        const __u16 result = any(2) ? BPF_A : BPF_K;
        program.push_back({__u16(BPF_RET | result), 0, 0, 1});
        const auto code = translate(program);
        for (std::size_t p = any(7); p < packets.size(); p += 7) {
            const bool expected = libpcap_says(program, packets[p]);
            ASSERT_EQ(runs_true(code, packets[p]), expected) << "program " << n << ", packet " << p;
            selected += expected;
        }
    }
    EXPECT_GT(selected, 1000u);
}

std::string refusal(std::string_view expression)
{
    try {
        packet::give_expression({}, expression);
    } catch (const Failure& failure) {
        EXPECT_EQ(failure.status, Exit::usage) << expression;
        return failure.message;
    }
    ADD_FAILURE() << expression << " is taken";
    return {};
}

TEST(Packet, RefusesInOneLine)
{
    using testing::HasSubstr;
    EXPECT_EQ(refusal("tcp prot 80"), "--pcap 'tcp prot 80': can't parse filter expression: syntax "
                                      "error; see pcap-filter(7)");
    EXPECT_EQ(refusal("host example.org"), "--pcap 'host example.org': unknown host 'example.org'; "
                                           "use an address: names of hosts are not looked up");
    EXPECT_THAT(refusal("vlan 3"), HasSubstr("no VLAN support for Raw IP"));
    EXPECT_THAT(refusal("arp"), HasSubstr("expression rejects all packets"));
    EXPECT_THAT(refusal("ip6 protochain 17"), HasSubstr("a loop, which is not supported"));
    for (const std::string_view asked :
         {"inbound", "outbound", "ifindex 3", "ip[-1] = 3 or inbound"})
        EXPECT_THAT(refusal(asked), HasSubstr("inbound, outbound, ifindex")) << asked;
    EXPECT_THAT(refusal("port no-such-service"), HasSubstr("unknown port 'no-such-service'"));
    EXPECT_THAT(refusal("tcp[13"), HasSubstr("syntax error"));
    EXPECT_THAT(refusal("ip[1] / 0 = 1"), HasSubstr("division by zero"));
}

} // namespace
} // namespace corebox
