// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Round trip times: those of a network that takes a known time, for each of its ends.
#include "harness.hpp"
#include "net_world.hpp"
#include <chrono>

namespace
{

using namespace corebox::test;

constexpr int kRounds = 20;

void exchange(const Socket& a, const Socket& b)
{
    for (int i = 0; i < kRounds; i++) {
        a.send(1);
        b.receive(1);
        b.send(1);
        a.receive(1);
    }
}

class TcprttRung : public EachRung
{
};

TEST_P(TcprttRung, TimesOfBothNetworks)
{
    const World world;
    world.make_trouble({.delay_ms = 40});
    const Socket far_listener = world.listen_there(), near_listener = listen_on("::1");
    const Result result =
        watch("tcprtt",
              {"-B", "--port",
               std::to_string(far_listener.port()) + "," + std::to_string(near_listener.port())},
              [&] {
                  const Socket far = connect_to(World::kThere, far_listener.port());
                  exchange(far, accept_from(far_listener));
                  const Socket near = connect_to("::1", near_listener.port());
                  exchange(near, accept_from(near_listener));
              },
              {.env = env(), .by = nullptr});
    expect_exact(result);
    ASSERT_EQ(result.records.size(), 3u) << result.out; // IPv4 first
    for (const Json& r : result.records)
        EXPECT_EQ(r.at("unit"), "usecs");
    for (int i = 0; i < 2; i++) {
        const Json& r = result.records[i];
        EXPECT_EQ(r.at("raddr"), i == 0 ? World::kHere : World::kThere);
        EXPECT_GE(r.at("count"), kRounds);
        EXPECT_GE(r.at("min"), 39'000);
        EXPECT_LT(r.at("min"), 400'000);
    }
    EXPECT_EQ(result.records[2].at("raddr"), "::1");
    EXPECT_GE(result.records[2].at("count"), 2 * kRounds);
    EXPECT_LT(result.records[2].at("min"), 39'000);
}
INSTANTIATE_TEST_SUITE_P(Rungs, TcprttRung, testing::Values("", "raw_tp"), rung_name);

// Of the peers one does not end without -i.
TEST(Tcprtt, DurationIntervalsTextAndBadInput)
{
    const auto began = std::chrono::steady_clock::now();
    const Result once = run({"tcprtt", "-d", "1", "--json"});
    EXPECT_EQ(once.status, 0) << once.err;
    EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(20));
    const Result twice = watch("tcprtt", {"-i", "100", "-m", "-e"},
                               [] {
                                   const Socket listener = listen_on("127.0.0.1");
                                   const Socket client = connect_to("127.0.0.1", listener.port());
                                   exchange(client, accept_from(listener));
                               },
                               {.json = false, .by = nullptr});
    EXPECT_NE(twice.out.find("msecs"), std::string::npos) << twice.out;
    EXPECT_NE(twice.out.find("avg = "), std::string::npos) << twice.out;
    EXPECT_EQ(run({"tcprtt", "-b", "-B"}).status, 1);
}

} // namespace
