// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// --pcap selects packets in the kernel; --pcapng writes them to a file, with what became of them.
#include "harness.hpp"
#include "net_world.hpp"
#include <algorithm>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>
#include <unistd.h>

namespace
{

using namespace corebox::test;

class SkbtracePcapRung : public EachRung
{
};

// Of two listeners and both versions of IP, the SYNs and SYN-ACKs of one; the expression reads
// bytes of fixed places (flags) and of places that the packet names (ports).
TEST_P(SkbtracePcapRung, ExactlyTheSyns)
{
    constexpr int kSessions = 3;
    const Socket wanted = listen_on("::"), other = listen_on("::");
    const std::string port = std::to_string(wanted.port());
    const Result result =
        watch("skbtrace",
              {"--pcap", "(tcp[tcpflags] & tcp-syn != 0 or ip6[53] & 2 != 0) and port " + port},
              [&] {
                  for (int i = 0; i < kSessions; i++)
                      for (const std::string address : {"127.0.0.1", "::1"})
                          for (const Socket* listener : {&wanted, &other}) {
                              Socket client = connect_to(address, listener->port());
                              Socket server = accept_from(*listener);
                              client.send(17);
                              server.receive(17);
                              client.reset();
                          }
              },
              {.env = env(), .by = nullptr});
    std::map<std::string, std::set<std::uint64_t>> packets; // by flags and source
    for (const Json& r : result.records) {
        const bool to = r.at("dport") == wanted.port();
        EXPECT_TRUE(to || r.at("sport") == wanted.port()) << r;
        packets[r.at("tcp_flags").get<std::string>() + " " + r.at("saddr").get<std::string>()]
            .insert(r.at("packet").get<std::uint64_t>());
    }
    EXPECT_EQ(packets.size(), 4u) << result.out;
    if (preempts_itself())
        return;
    expect_exact(result);
    for (const std::string flags : {"S ", "SA "})
        for (const std::string source : {"127.0.0.1", "::1"})
            EXPECT_EQ(packets[flags + source].size(), std::size_t(kSessions)) << flags << source;
}
INSTANTIATE_TEST_SUITE_P(Rungs, SkbtracePcapRung, testing::Values("", "raw_tp,kprobe"), rung_name);

struct FilePacket {
    std::string bytes, comment;
    std::uint32_t length = 0;
};

// The enhanced packet blocks (type 6) of a pcapng file, whose other blocks the unit tests read.
std::vector<FilePacket> read_packets(const char* path)
{
    std::stringstream content;
    content << std::ifstream(path).rdbuf();
    const std::string file = content.str();
    const auto number = [&](std::size_t at) {
        std::uint32_t n = 0;
        if (at + sizeof n <= file.size())
            std::memcpy(&n, &file[at], sizeof n);
        return n;
    };
    std::vector<FilePacket> packets;
    for (std::size_t at = 0; at + 12 <= file.size() && number(at + 4) >= 12; at += number(at + 4)) {
        if (number(at) != 6)
            continue;
        const std::uint32_t captured = number(at + 20);
        FilePacket& p = packets.emplace_back();
        p.bytes = file.substr(at + 28 + 16, captured - 16); // behind the cooked header
        p.length = number(at + 24) - 16;
        const std::size_t option = at + 28 + (captured + 3) / 4 * 4;
        EXPECT_EQ(number(option) & 0xffff, 1u); // comment
        p.comment = file.substr(option + 4, number(option) >> 16);
    }
    return packets;
}

TEST_P(SkbtracePcapRung, FileHasEachPacketAndItsVerdict)
{
    constexpr std::uint16_t kFiltered = 7003, kClosed = 7002;
    constexpr const char* kFile = "/tmp/skbtrace.pcapng";
    const World world;
    world.drop_there(World::Hook::input, kFiltered);
    const Result result =
        watch("skbtrace", {"--pcapng", kFile, "--proto", "udp", "--rport", "7002-7003"},
              [&] {
                  const Socket s = make_socket(World::kThere, SOCK_DGRAM);
                  for (const std::uint16_t port : {kClosed, kFiltered}) {
                      const SocketAddress to(World::kThere, port);
                      EXPECT_EQ(::sendto(s.fd(), "whole", 5, 0, to.get(), to.size), 5);
                  }
              },
              {.env = env(), .json = false, .by = nullptr});
    EXPECT_EQ(result.status, 0) << result.err;
    EXPECT_EQ(result.out, "");
    std::map<std::uint16_t, std::vector<std::string>> comments; // by port
    for (const FilePacket& p : read_packets(kFile)) {
        ASSERT_EQ(p.bytes.size(), 33u) << p.comment;
        EXPECT_EQ(p.length, 33u);
        EXPECT_EQ(p.bytes.substr(28), "whole");
        comments[std::uint16_t(std::uint8_t(p.bytes[22]) << 8 | std::uint8_t(p.bytes[23]))]
            .push_back(p.comment);
    }
    ::unlink(kFile);
    const bool has_reasons = has_enumerator("skb_drop_reason", "SKB_DROP_REASON_NO_SOCKET");
    for (const std::uint16_t port : {kClosed, kFiltered}) {
        const auto& of = comments[port];
        ASSERT_GE(of.size(), 3u) << port;
        EXPECT_NE(of[0].find(": transmit"), std::string::npos) << of[0];
        EXPECT_NE(of[1].find(": receive"), std::string::npos) << of[1];
        EXPECT_NE(of[2].find(": drop"), std::string::npos) << of[2];
        const char* reason = port == kClosed ? "NO_SOCKET" : "NETFILTER_DROP";
        EXPECT_EQ(of[2].find(reason) != std::string::npos, has_reasons) << of[2];
        EXPECT_EQ(of[0].substr(0, of[0].find(':')), of[2].substr(0, of[2].find(':')));
    }
    EXPECT_EQ(comments[kClosed].size(), 3u);
    ASSERT_EQ(comments[kFiltered].size(), 4u);
    EXPECT_NE(comments[kFiltered][3].find(": netfilter, drop in ip input"), std::string::npos)
        << comments[kFiltered][3];
}

TEST(SkbtracePcap, FullDiskClosedPipeAndBadInput)
{
    const Result full =
        watch("skbtrace", {"--pcapng", "/dev/full"}, [] {}, {.json = false, .by = nullptr});
    EXPECT_EQ(full.status, 4);
    EXPECT_NE(full.err.find("cannot write to /dev/full: No space left on device"),
              std::string::npos)
        << full.err;
    const Result closed = shell("skbtrace --pcapng - | true");
    EXPECT_EQ(closed.status, 0) << closed.err;
    for (const std::vector<std::string>& bad : {std::vector<std::string>{"--pcap", "tcp prot 80"},
                                                {"--pcap", "host example.org"},
                                                {"--snaplen", "99"},
                                                {"--pcapng", "x", "--json"},
                                                {"--pcapng", "/no/such/file"}}) {
        std::vector<std::string> argv{"skbtrace"};
        argv.insert(argv.end(), bad.begin(), bad.end());
        const Result refused = run(argv);
        EXPECT_EQ(refused.status, bad[1][0] == '/' ? 4 : 1) << bad[1];
        EXPECT_EQ(std::ranges::count(refused.err, '\n'), 1) << refused.err;
    }
}

} // namespace
