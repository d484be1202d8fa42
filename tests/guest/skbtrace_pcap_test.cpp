// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// --pcap selects packets in the kernel.
#include "harness.hpp"
#include "net.hpp"
#include <set>

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

} // namespace
