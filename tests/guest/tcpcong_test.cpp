// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// States of congestion control: a connection that is in trouble for a known time.
#include "harness.hpp"
#include "net_world.hpp"
#include <unistd.h>

namespace
{

using namespace corebox::test;

// Loses all for a while: a timeout, and an acknowledgement that ends it.
void troubled_session(const World& world, std::uint16_t port)
{
    const Socket s = connect_to(World::kThere, port);
    for (int i = 0; i < 20; i++) {
        s.send(1);
        s.receive(1);
    }
    world.make_trouble({.loss_percent = 100});
    s.send(1);
    ::usleep(1'200'000);
    world.make_trouble({});
    for (int i = 0; i < 20; i++) {
        s.receive(1);
        s.send(1);
    }
    s.receive(1);
}

void serve(const Socket& listener)
{
    const Socket s = accept_from(listener);
    for (int i = 0; i < 41; i++) {
        s.receive(1);
        s.send(1);
    }
    s.expect_end();
}

class TcpcongRung : public EachRung
{
};

TEST_P(TcpcongRung, TimeInLoss)
{
    const World world;
    const Socket listener = world.listen_there();
    for (const std::string option : {"-u", "-d"}) {
        pid_t client = 0;
        const Result result = watch("tcpcong", {option, "--raddr", World::kThere},
                                    [&] {
                                        Child server([&] { serve(listener); });
                                        server.go();
                                        troubled_session(world, listener.port());
                                        EXPECT_EQ(server.wait(), 0);
                                    },
                                    {.env = env(), .by = nullptr, .pid = &client});
        expect_exact(result);
        if (option == "-d") {
            const Records loss = with(result.records, "state", "loss");
            ASSERT_EQ(loss.size(), 1u) << result.out;
            EXPECT_GE(loss[0].at("count"), 1);
            EXPECT_GE(loss[0].at("max"), 300);
            continue;
        }
        ASSERT_EQ(result.records.size(), 1u) << result.out;
        const Json& r = result.records[0];
        EXPECT_EQ(r.at("pid"), client);
        EXPECT_EQ(r.at("rport"), listener.port());
        EXPECT_GE(r.at("changes"), 2);
        EXPECT_GE(r.at("loss_us"), 300'000);
        EXPECT_LT(r.at("loss_us"), 10'000'000);
    }
}
INSTANTIATE_TEST_SUITE_P(Rungs, TcpcongRung, testing::Values("", "kprobe,raw_tp"), rung_name);

} // namespace
