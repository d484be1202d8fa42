// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Bytes by subnet: both directions of each session, in the longest of the subnets that it is in.
#include "harness.hpp"
#include "net.hpp"

namespace
{

using namespace corebox::test;

// The server's side is another child's, so each side has a process of its own.
void exchange(const std::string& address, std::size_t asked, std::size_t answered)
{
    const Socket listener = listen_on(address == "127.0.0.2" ? "0.0.0.0" : address);
    Child server([&] {
        Socket accepted = accept_from(listener);
        accepted.receive(asked);
        accepted.send(answered);
        accepted.expect_end();
    });
    server.go();
    Socket client = connect_to(address, listener.port());
    client.send(asked);
    client.receive(answered);
    client.close();
    EXPECT_EQ(server.wait(), 0);
}

void traffic()
{
    exchange("127.0.0.1", 1009, 40'009);
    exchange("127.0.0.1", 1013, 2003);
    exchange("127.0.0.2", 4099, 1);
    exchange("::1", 17, 70'001);
}

class TcpsubnetRung : public EachRung
{
};

TEST_P(TcpsubnetRung, BothDirectionsOfTheLongestSubnet)
{
    const Result result =
        watch("tcpsubnet", {"-i", "1000", "127.0.0.0/8,127.0.0.1,::/0"}, traffic, {.env = env()});
    expect_exact(result);
    ASSERT_EQ(result.records.size(), 3u) << result.out;
    const auto of = [&](const char* subnet) {
        const Records rows = with(result.records, "subnet", subnet);
        return rows.empty() ? std::pair(0, 0)
                            : std::pair(rows[0].at("tx_bytes").get<int>(),
                                        rows[0].at("rx_bytes").get<int>());
    };
    EXPECT_EQ(of("127.0.0.1/32"), std::pair(2022, 42'012));
    EXPECT_EQ(of("127.0.0.0/8"), std::pair(4099, 1));
    EXPECT_EQ(of("::/0"), std::pair(17, 70'001));
    EXPECT_EQ(result.records[0].at("subnet"), "::/0"); // the most
}
INSTANTIATE_TEST_SUITE_P(Rungs, TcpsubnetRung, testing::Values("", "raw_tp,kprobe"), rung_name);

TEST(Tcpsubnet, TextUnitsAndBadInput)
{
    const auto text = [](std::vector<std::string> arguments) {
        const Result result = watch("tcpsubnet", arguments, traffic, {.json = false});
        EXPECT_EQ(result.status, 0) << result.err;
        auto all = lines(result.out);
        all.erase(all.begin(), all.begin() + 2); // a blank one, and the time
        return all;
    };
    auto all = text({"-i", "1000"});
    ASSERT_EQ(all.size(), 4u);
    EXPECT_EQ(words(all[0]), (std::vector<std::string>{"SUBNET", "TX", "RX"}));
    EXPECT_EQ(words(all[1]), (std::vector<std::string>{"::1/128", "17", "70001"}));
    EXPECT_EQ(words(all[2]), (std::vector<std::string>{"127.0.0.1/32", "2022", "42012"}));
    EXPECT_EQ(words(all[3]), (std::vector<std::string>{"0.0.0.0/0", "4099", "1"}));
    all = text({"-i", "1000", "-f", "k", "10.0.0.0/8"});
    ASSERT_EQ(all.size(), 2u);
    EXPECT_EQ(words(all[1]),
              (std::vector<std::string>{"other", "47", "875"})); // 6138, 112014 bytes
    EXPECT_EQ(run({"tcpsubnet", "10.0.0.0/33"}).status, 1);
    EXPECT_EQ(run({"tcpsubnet", "-f", "g"}).status, 1);
}

} // namespace
