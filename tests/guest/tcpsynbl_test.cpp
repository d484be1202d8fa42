// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Accept queues: how long they are, and what full ones drop, which no other tool shows.
#include "harness.hpp"
#include "net.hpp"

namespace
{

using namespace corebox::test;

// Counters of /proc/net/netstat.
std::uint64_t overflows()
{
    std::vector<std::string> names;
    for (const std::string& line : lines(read_file("/proc/net/netstat")))
        if (const auto w = words(line); w[0] == "TcpExt:") {
            for (std::size_t i = 0; i < names.size(); i++)
                if (names[i] == "ListenOverflows")
                    return std::stoull(w[i]);
            names = w;
        }
    return 0;
}

class TcpsynblRung : public EachRung
{
};

TEST_P(TcpsynblRung, QueuedAndDropped)
{
    for (const std::string address : {"127.0.0.1", "::ffff:127.0.0.1"}) {
        const Socket listener = listen_on(address == "127.0.0.1" ? address : "::", 2),
                     other = listen_on("::1", 5);
        std::uint64_t dropped = overflows();
        const Result result =
            watch("tcpsynbl", {"-l"},
                  [&] {
                      std::vector<Socket> clients;
                      for (int i = 0; i < 3; i++) // 0, 1 and 2 wait
                          clients.push_back(connect_to(address, listener.port()));
                      for (int i = 0; i < 4; i++) { // each a SYN, and gone before the next one
                          Socket s = make_socket(address, SOCK_STREAM | SOCK_NONBLOCK);
                          const SocketAddress to(address, listener.port());
                          ::connect(s.fd(), to.get(), to.size);
                      }
                      clients.push_back(connect_to("::1", other.port()));
                  },
                  {.env = env(), .by = nullptr});
        dropped = overflows() - dropped;
        expect_exact(result);
        EXPECT_EQ(dropped, 4u);
        const Records queued = with(result.records, "event", "queued"),
                      syns = with(result.records, "event", "SYN dropped");
        ASSERT_EQ(queued.size(), 2u) << result.out;
        const Records mine = with(queued, "lport", listener.port());
        ASSERT_EQ(mine.size(), 1u) << result.out;
        EXPECT_EQ(mine[0].at("backlog_max"), 2);
        EXPECT_EQ(mine[0].at("count"), 3);
        EXPECT_EQ(mine[0].at("max"), 2);
        EXPECT_EQ(mine[0].at("sum"), 3);
        ASSERT_EQ(syns.size(), 1u) << result.out;
        EXPECT_EQ(syns[0].at("lport"), listener.port());
        EXPECT_EQ(syns[0].at("count"), dropped);
        EXPECT_EQ(syns[0].at("max"), 3);
        const Records theirs = with(queued, "lport", other.port());
        ASSERT_EQ(theirs.size(), 1u);
        EXPECT_EQ(theirs[0].at("laddr"), "::1");
        EXPECT_EQ(theirs[0].at("backlog_max"), 5);
        EXPECT_EQ(theirs[0].at("count"), 1);
    }
}
INSTANTIATE_TEST_SUITE_P(Rungs, TcpsynblRung, testing::Values("", "kprobe"), rung_name);

TEST(Tcpsynbl, TextAndFilters)
{
    const Result result = watch("tcpsynbl", {"-4", "--where", "backlog_max < 100"},
                                [] {
                                    const Socket few = listen_on("127.0.0.1", 9),
                                                 many = listen_on("127.0.0.1", 200),
                                                 v6 = listen_on("::1", 9);
                                    connect_to("127.0.0.1", few.port());
                                    connect_to("127.0.0.1", many.port());
                                    connect_to("::1", v6.port());
                                },
                                {.json = false, .by = nullptr});
    EXPECT_NE(result.out.find("backlog_max = 9"), std::string::npos) << result.out;
    EXPECT_EQ(result.out.find("200"), std::string::npos) << result.out;
    EXPECT_NE(result.err.find("3 seen = 1 printed + 2 filtered + 0 lost"), std::string::npos)
        << result.err;
}

} // namespace
