// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Packets by queue: each once, in its size, of the device that was asked for alone.
#include "harness.hpp"
#include "net.hpp"

namespace
{

using namespace corebox::test;

// Packets of these sizes through the loopback device: 20 bytes of IP and 8 of UDP before the data,
// and 14 of Ethernet while they are sent.
void send_packets()
{
    const Socket to = make_socket("127.0.0.1", SOCK_DGRAM),
                 from = make_socket("127.0.0.1", SOCK_DGRAM);
    const SocketAddress any("127.0.0.1", 0);
    ASSERT_EQ(::bind(to.fd(), any.get(), any.size), 0);
    const SocketAddress own("127.0.0.1", to.port());
    ASSERT_EQ(::connect(from.fd(), own.get(), own.size), 0);
    const auto send = [&](int times, std::size_t bytes) {
        const std::string data(bytes, 'x');
        for (int i = 0; i < times; i++)
            ASSERT_EQ(::send(from.fd(), data.data(), bytes, 0), ssize_t(bytes));
    };
    send(7, 10);
    send(5, 100);
    send(3, 1000);
    send(2, 10'000);
    send(1, 40'000);
}

class NetqtopRung : public EachRung
{
};

TEST_P(NetqtopRung, PacketsBySizeAndQueue)
{
    const Result result = watch("netqtop", {"-n", "lo", "-i", "1000", "-t"}, send_packets,
                                {.env = env(), .by = nullptr});
    expect_exact(result);
    EXPECT_EQ(result.account.at("printed"), 36); // sent and received
    for (const char* direction : {"TX", "RX"}) {
        const Records rows = with(result.records, "direction", direction);
        ASSERT_EQ(rows.size(), 2u) << result.out; // one queue, and the sum
        EXPECT_EQ(rows[0].at("queue"), 0);
        EXPECT_EQ(rows[1].at("queue"), Json());
        const std::size_t header = 28 + (*direction == 'T' ? 14 : 0);
        for (const Json& r : rows) {
            EXPECT_EQ(r.at("packets"), 18) << r;
            EXPECT_EQ(r.at("bytes"), 63'570 + 18 * header) << r;
            EXPECT_EQ(r.at("below_64"), 7);
            EXPECT_EQ(r.at("below_512"), 5);
            EXPECT_EQ(r.at("below_2k"), 3);
            EXPECT_EQ(r.at("below_16k"), 2);
            EXPECT_EQ(r.at("below_64k"), 1);
            EXPECT_GT(r.at("bps"), 0);
        }
    }
}
INSTANTIATE_TEST_SUITE_P(Rungs, NetqtopRung, testing::Values("", "raw_tp"), rung_name);

TEST(Netqtop, TextAndBadInput)
{
    const Result result = watch("netqtop", {"-n", "lo", "-i", "1000", "--where", "bytes > 20000"},
                                send_packets, {.json = false, .by = nullptr});
    const auto all = lines(result.out);
    ASSERT_EQ(all.size(), 7u) << result.out;
    EXPECT_EQ(words(all[2]),
              (std::vector<std::string>{"DIR", "QUEUE", "AVG_SIZE", "[0,64)", "[64,512)",
                                        "[512,2K)", "[2K,16K)", "[16K,64K)"}));
    EXPECT_EQ(words(all[4]),
              (std::vector<std::string>{"TX", "Total", "40042.00", "0", "0", "0", "0", "1"}));
    EXPECT_EQ(run({"netqtop"}).status, 1);
    const Result none = run({"netqtop", "-n", "none0"});
    EXPECT_EQ(none.status, 2);
    EXPECT_NE(none.err.find("none0"), std::string::npos);
}

} // namespace
