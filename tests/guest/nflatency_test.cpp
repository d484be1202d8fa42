// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Latency of netfilter's hooks: each packet once, at its hook, with what became of it.
#include "harness.hpp"
#include "net_world.hpp"

namespace
{

using namespace corebox::test;

constexpr std::uint16_t kOpen = 7101, kFiltered = 7102;
constexpr int kAccepted = 7, kDropped = 5;

void send_datagrams(const std::string& address, std::uint16_t port, int n)
{
    const Socket s = make_socket(address, SOCK_DGRAM);
    const SocketAddress to(address, port);
    for (int i = 0; i < n; i++)
        EXPECT_EQ(::sendto(s.fd(), "x", 1, 0, to.get(), to.size), 1);
}

class NflatencyRung : public EachRung
{
};

TEST_P(NflatencyRung, EachPacketOnceByHookAndVerdict)
{
    const World world;
    world.drop_there(World::Hook::input, kFiltered);
    const Result result = watch(
        "nflatency", {"--netns", std::to_string(world.netns()), "-k", "input", "-v", "--nano"},
        [&] {
            std::vector<Socket> readers;
            world.there([&] {
                for (const char* address : {World::kThere, World::kThere6}) {
                    readers.push_back(make_socket(address, SOCK_DGRAM));
                    const SocketAddress own(address, kOpen);
                    EXPECT_EQ(::bind(readers.back().fd(), own.get(), own.size), 0);
                }
            });
            for (std::size_t i = 0; i < readers.size(); i++) {
                const std::string address = i == 0 ? World::kThere : World::kThere6;
                send_datagrams(address, kFiltered, kDropped);
                send_datagrams(address, kOpen, kAccepted);
                for (int n = 0; n < kAccepted; n++)
                    readers[i].receive(1);
            }
        },
        {.env = env(), .by = nullptr});
    if (!preempts_itself())
        expect_exact(result);
    ASSERT_EQ(result.records.size(), 4u) << result.out; // ip accept, drop; ip6 accept, drop
    for (std::size_t i = 0; i < 4; i++) {
        const Json& r = result.records[i];
        EXPECT_EQ(r.at("family"), i < 2 ? "ip" : "ip6");
        EXPECT_EQ(r.at("hook"), "input");
        EXPECT_EQ(r.at("verdict"), i % 2 ? "drop" : "accept");
        EXPECT_EQ(r.at("unit"), "nsecs");
        EXPECT_GT(r.at("min"), 100);
        EXPECT_LT(r.at("max"), 1'000'000'000);
        if (preempts_itself())
            continue;
        if (i == 2) // and neighbours that are looked for
            EXPECT_GE(r.at("count"), kAccepted);
        else
            EXPECT_EQ(r.at("count"), i % 2 ? kDropped : kAccepted) << result.out;
    }
}
INSTANTIATE_TEST_SUITE_P(Rungs, NflatencyRung, testing::Values("", "kprobe"), rung_name);

TEST(Nflatency, TextIntervalsAndBadInput)
{
    const Result text = watch("nflatency", {"-i", "100", "-p", "ip", "--where", "family == 2"},
                              [] {
                                  const World world;
                                  world.drop_there(World::Hook::input, kFiltered);
                                  send_datagrams(World::kThere, kFiltered, kDropped);
                                  send_datagrams(World::kThere6, kFiltered, kDropped);
                              },
                              {.json = false, .by = nullptr});
    EXPECT_EQ(text.status, 0) << text.err;
    EXPECT_NE(text.out.find("usecs"), std::string::npos) << text.out;
    EXPECT_NE(text.out.find("ip"), std::string::npos) << text.out;
    EXPECT_EQ(text.out.find("ip6"), std::string::npos) << text.out;
    for (const std::vector<std::string>& bad :
         {std::vector<std::string>{"-p", "inet"}, {"-k", "inputt"}, {"--netns", "x"}})
        EXPECT_EQ(run({"nflatency", bad[0], bad[1]}).status, 1) << bad[1];
}

} // namespace
