// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Retransmissions: every one that the kernel counts, why, and whose connection it is.
#include "harness.hpp"
#include "net_world.hpp"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

namespace
{

using namespace corebox::test;

// What the kernel has counted in this network namespace.
std::uint64_t segments_sent_again()
{
    std::vector<std::string> names;
    for (const std::string& line : lines(read_file("/proc/thread-self/net/snmp")))
        if (const auto w = words(line); w[0] == "Tcp:") {
            for (std::size_t i = 0; i < names.size(); i++)
                if (names[i] == "RetransSegs")
                    return std::stoull(w[i]);
            names = w;
        }
    return 0;
}

std::uint64_t segments(const Records& records)
{
    std::uint64_t n = 0;
    for (const Json& r : records)
        n += r.at("segments").get<std::uint64_t>();
    return n;
}

void wait_ms(unsigned ms) { ::usleep(ms * 1000); }

constexpr int kRounds = 40;

// Its SYN-ACK is lost, and so both sides send again after a second; then one segment that the next
// ones overtake, and one that nothing follows.
void troubled_session(const World& world, std::uint16_t port)
{
    world.make_trouble_there({.loss_percent = 100});
    Child repair([&] {
        wait_ms(400);
        world.make_trouble_there({});
    });
    repair.go();
    Socket s = connect_to(World::kThere, port);
    const int on = 1;
    ::setsockopt(s.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    for (int i = 0; i < kRounds; i++) { // a second is no longer what the kernel takes for usual
        s.send(1);
        s.receive(1);
    }
    world.make_trouble({.loss_percent = 100});
    s.send(101);
    world.make_trouble({});
    for (int i = 0; i < 4; i++)
        s.send(102);
    s.receive(1);
    world.make_trouble({.loss_percent = 100});
    const std::uint64_t before = segments_sent_again();
    s.send(103);
    EXPECT_TRUE(wait_until([&] { return segments_sent_again() >= before + 2; }));
    world.make_trouble({});
    s.receive(1);
    s.close();
}

// Answers with a byte to the segments of the session.
void serve(const Socket& listener)
{
    Socket s = accept_from(listener);
    std::vector<std::size_t> rounds(kRounds, 1);
    rounds.insert(rounds.end(), {101 + 4 * 102, 103});
    for (const std::size_t bytes : rounds) {
        s.receive(bytes);
        s.send(1);
    }
    s.expect_end();
}

class TcpretransRung : public EachRung
{
};

TEST_P(TcpretransRung, EveryOneWithItsReasonAndOwner)
{
    World world;
    const Socket listener = world.listen_there(); // older than the tool
    std::uint64_t here = segments_sent_again(), there = 0;
    world.there([&] { there = segments_sent_again(); });
    pid_t client = 0;
    const Result result = watch("tcpretrans", {"-l"},
                                [&] {
                                    Child server([&] { serve(listener); });
                                    server.go();
                                    troubled_session(world, listener.port());
                                    EXPECT_EQ(server.wait(), 0);
                                },
                                {.env = env(), .by = nullptr, .pid = &client});
    here = segments_sent_again() - here;
    world.there([&] { there = segments_sent_again() - there; });
    expect_exact(result);
    const auto of_type = [&](const char* type) { return with(result.records, "type", type); };
    Records mine, theirs;
    for (const Json& r : result.records)
        if (r.at("type") != "PROBE")
            (r.at("netns") == world.netns() ? theirs : mine).push_back(r);
    EXPECT_EQ(segments(mine), here) << result.out;
    EXPECT_EQ(segments(theirs), there) << result.out;
    for (const Json& r : mine) {
        EXPECT_EQ(r.at("pid"), client) << r;
        EXPECT_EQ(r.at("raddr"), World::kThere);
        EXPECT_EQ(r.at("rport"), listener.port());
        EXPECT_NE(r.at("lport"), 0);
    }
    ASSERT_EQ(of_type("SYN").size(), 1u) << result.out;
    EXPECT_EQ(of_type("SYN")[0].at("state"), "SYN_SENT");
    const Records synacks = of_type("SYNACK");
    ASSERT_GE(synacks.size(), 1u);
    EXPECT_EQ(synacks[0].at("pid"), ::getpid()); // who listens
    EXPECT_EQ(synacks[0].at("lport"), listener.port());
    EXPECT_EQ(synacks[0].at("raddr"), World::kHere);
    ASSERT_EQ(of_type("FAST").size(), 1u) << result.out;
    EXPECT_EQ(of_type("FAST")[0].at("length"), 101);
    EXPECT_EQ(of_type("FAST")[0].at("state"), "ESTABLISHED");
    const Records timed_out = with(of_type("RTO"), "pid", client);
    ASSERT_GE(timed_out.size(), 1u);
    EXPECT_EQ(timed_out[0].at("length"), 103);
    EXPECT_GE(of_type("TLP").size(), 1u);
    EXPECT_GE(of_type("PROBE").size(), of_type("TLP").size());
}
INSTANTIATE_TEST_SUITE_P(Rungs, TcpretransRung, testing::Values("", "raw_tp,kprobe"), rung_name);

TEST(Tcpretrans, TextAndCounts)
{
    World world;
    const Socket listener = world.listen_there();
    world.there([] { segments_sent_again(); });
    Socket client = connect_to(World::kThere, listener.port());
    const Socket server = accept_from(listener);
    Tracer rows{{"tcpretrans", "-s", "--rport", std::to_string(listener.port())}};
    Tracer counts{{"tcpretrans", "-c", "--json"}};
    Tracer others{{"tcpretrans", "-c", "--raddr", World::kHere, "--json"}};
    std::uint64_t sent = segments_sent_again();
    world.make_trouble({.loss_percent = 100});
    client.send(77);
    wait_ms(700);
    world.make_trouble({});
    server.receive(77);
    sent = segments_sent_again() - sent;
    const Result text = rows.stop(), counted = counts.stop(), none = others.stop();
    const auto shown = lines(text.out);
    ASSERT_EQ(shown.size(), 1 + sent) << text.out;
    EXPECT_EQ(words(shown[0]),
              words("TIME PID IP LADDR:LPORT T> RADDR:RPORT STATE TYPE SEQ LEN SEGS"));
    const auto row = words(shown[1]);
    EXPECT_EQ(row[1], std::to_string(::getpid()));
    EXPECT_EQ(row[3], std::string(World::kHere) + ":" + std::to_string(client.port()));
    EXPECT_EQ(row[4], "R>");
    EXPECT_EQ(row[9], "77");
    ASSERT_EQ(counted.records.size(), 1u) << counted.out;
    EXPECT_EQ(counted.records[0].at("retransmits"), sent);
    EXPECT_EQ(counted.records[0].at("lport"), client.port());
    EXPECT_EQ(none.records.size(), 0u);
    EXPECT_EQ(none.account.at("filtered"), sent);
}

} // namespace
