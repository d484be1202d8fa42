// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "contest.hpp"

namespace
{

using namespace corebox::test;
using std::to_string;

std::uint64_t switches(const Records& records, const char* key = nullptr, const Json& value = {})
{
    return std::uint64_t(sum_of(key ? with(records, key, value) : records, "switches"));
}

// Each round is a switch there and one back; each slice that the kernel counts is a switch to the
// process.
TEST(Switchcount, CountsWhoGivesTheCpuToWhom)
{
    constexpr unsigned kRounds = 501;
    for (const char* rung : {"tp_btf", "raw_tp"}) {
        PingPong game(kRounds);
        Tracer tracer({"switchcount", "--json", "0.1", "-p", game.pids()},
                      {{"COREBOX_PROBES", rung}});
        game.pong.go();
        const Ran ping = run_and_ask(game.ping);
        EXPECT_EQ(game.pong.wait(), 0);
        const Result result = tracer.wait();
        expect_exact(result);
        const Records to_pong = with(result.records, "next_tid", game.pong_pid),
                      to_ping = with(result.records, "next_tid", game.ping_pid);
        // The first and the last ones may go over others.
        EXPECT_GE(switches(to_pong, "prev_tid", game.ping_pid), kRounds - 3) << result.out;
        EXPECT_LE(switches(to_pong, "prev_tid", game.ping_pid), kRounds + 3);
        EXPECT_GE(switches(to_ping, "prev_tid", game.pong_pid), kRounds - 3);
        EXPECT_GE(switches(to_ping) + kZombie, ping.slices);
        EXPECT_LE(switches(to_ping), ping.slices + kZombie);
        // Whoever came came from somewhere and went again.
        EXPECT_NEAR(double(switches(to_ping)),
                    double(switches(result.records, "prev_tid", game.ping_pid)), 1);
        EXPECT_EQ(switches(result.records), result.account.at("printed"));
        for (const Json& r : to_pong) {
            EXPECT_EQ(r.at("next_pid"), game.pong_pid);
            if (r.at("prev_tid") == game.ping_pid && r.at("prev_comm") == "ping") {
                EXPECT_EQ(r.at("prev_pid"), game.ping_pid);
            }
        }
    }
    EXPECT_NE(run({"switchcount", "--check", "--explain"}).err.find("tp_btf: taken"),
              std::string::npos);
}

// Outside are two processes that switch all the time: none of it is shown, nor taken for the idle
// task.
TEST(Switchcount, PidNamespace)
{
    PingPong outside(20000);
    outside.pong.go();
    outside.ping.go();
    in_namespaces(CLONE_NEWPID, [] {
        PingPong game(501);
        Tracer tracer({"switchcount", "--json", "3600"});
        game.run();
        const Result result = tracer.stop();
        expect_exact(result);
        EXPECT_GE(switches(with(result.records, "next_tid", game.pong_pid)), 490u) << result.out;
        EXPECT_GT(result.account.at("filtered"), 0);
        for (const Json& row : result.records) {
            EXPECT_TRUE(row.at("prev_tid") != 0 || row.at("next_tid") != 0) << row;
            for (const char* side : {"prev", "next"}) {
                if (row.at(std::string(side) + "_tid") != 0)
                    continue;
                const std::string comm = row.at(std::string(side) + "_comm");
                EXPECT_TRUE(comm == "?" || comm.starts_with("swapper/")) << row;
            }
        }
    });
    outside.ping.wait();
    outside.pong.wait();
}

TEST(Switchcount, TextItsOtherNameAndBadInput)
{
    PingPong game(2000);
    Tracer tracer({"task_switch", "3600"});
    game.run();
    const pid_t self = tracer.pid();
    const Result result = tracer.stop();
    EXPECT_EQ(result.status, 0) << result.err;
    const auto all = lines(result.out);
    ASSERT_GE(all.size(), 4u) << result.out;
    EXPECT_EQ(words(all[1]),
              (std::vector<std::string>{"FROM", "FROM", "COMM", "TO", "TO", "COMM", "SWITCHES"}));
    const auto first = words(all[2]), second = words(all[3]); // the busiest
    EXPECT_TRUE(first[0] == to_string(game.ping_pid) || first[0] == to_string(game.pong_pid))
        << all[2];
    EXPECT_EQ(first[0], second[2]);
    EXPECT_LE(all.size(), 2u + 20);
    for (const std::string& line : all)
        EXPECT_NE(words(line).at(0), to_string(self)) << line;
    EXPECT_EQ(run({"switchcount", "0"}).status, 1);
    EXPECT_EQ(run({"switchcount", "-p", "999999"}).status, 2);
}

TEST(Switchcount, Flood)
{
    constexpr unsigned kRounds = 5000;
    PingPong game(kRounds);
    Tracer tracer({"switchcount", "--json", "0.1", "--comm", "ping"});
    game.run();
    const Result result = tracer.stop();
    expect_exact(result);
    EXPECT_GE(switches(with(result.records, "next_tid", game.pong_pid)), kRounds - 5);
}

} // namespace
