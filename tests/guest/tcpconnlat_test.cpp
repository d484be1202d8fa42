// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// How long connects take, whatever their result.
#include "harness.hpp"
#include "net.hpp"
#include <cerrno>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

namespace
{

using namespace corebox::test;

constexpr unsigned kPauseMs = 700;

class TcpconnlatRung : public EachRung
{
};

TEST_P(TcpconnlatRung, LatencyOfEveryResult)
{
    const Socket listener = listen_on("127.0.0.1", 64);
    const FullListener full;
    const std::uint16_t port = listener.port(), closed = closed_port("127.0.0.1");
    std::uint16_t fast = 0;
    Tracer tool{{"tcpconnlat", "--json", "-p", std::to_string(::getpid())}, env()};
    connect_to("127.0.0.1", port).reset();
    int code = 0;
    connect_to("::ffff:127.0.0.1", closed, &code);
    EXPECT_EQ(code, ECONNREFUSED);
    {
        // The segment is sent by the first write; with a cookie from an earlier connection.
        const Socket opens = listen_on("127.0.0.1", 64);
        const int on = 1, queue = 16;
        EXPECT_EQ(::setsockopt(opens.fd(), IPPROTO_TCP, TCP_FASTOPEN, &queue, sizeof queue), 0);
        write_file("/proc/sys/net/ipv4/tcp_fastopen", "3");
        fast = opens.port();
        for (const unsigned pause_ms : {0u, kPauseMs}) {
            Socket s = make_socket("127.0.0.1");
            const SocketAddress to("127.0.0.1", fast);
            EXPECT_EQ(::setsockopt(s.fd(), IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof on), 0);
            EXPECT_EQ(::connect(s.fd(), to.get(), to.size), 0);
            ::usleep(pause_ms * 1000);
            s.send(1);
            accept_from(opens).receive(1);
        }
    }
    Socket abandoned = begin_connect("127.0.0.1", full.listener.port());
    ::usleep(kPauseMs * 1000);
    abandoned.close();
    time_out("127.0.0.1", full.listener.port());
    const Socket left = begin_connect("127.0.0.1", full.listener.port());
    const Result result = tool.stop();
    expect_exact(result);
    ASSERT_EQ(result.records.size(), 7u) << result.out;
    const auto latency = [&](std::uint16_t rport, const char* outcome) {
        const Records rows = with(with(result.records, "rport", rport), "result", outcome);
        EXPECT_EQ(rows.size(), rport == fast ? 2u : 1u) << outcome << result.out;
        return rows.empty() ? -1.0 : rows.back().at("lat_ms").get<double>();
    };
    EXPECT_GT(latency(port, "established"), 0);
    EXPECT_GT(latency(closed, "refused"), 0);
    EXPECT_LT(latency(fast, "established"), kPauseMs);
    EXPECT_GE(latency(full.listener.port(), "abandoned"), kPauseMs);
    EXPECT_GE(latency(full.listener.port(), "timed out"), 2'900);
    EXPECT_GT(latency(full.listener.port(), "in progress"), 0);
    for (const Json& r : result.records)
        EXPECT_EQ(r.at("pid"), ::getpid()) << r;
}
INSTANTIATE_TEST_SUITE_P(Rungs, TcpconnlatRung, testing::Values("", "raw_tp,kprobe"), rung_name);

TEST(Tcpconnlat, Flood)
{
    constexpr std::uint64_t kConnects = 3000;
    const Result result = watch("tcpconnlat", {}, [] { connect_often(kConnects); });
    expect_exact_flood(result, result.records.size(), kConnects);
}

TEST(Tcpconnlat, TextAndThreshold)
{
    const FullListener full;
    const auto connects = [&] {
        Socket slow = begin_connect("127.0.0.1", full.listener.port());
        int code = 0;
        connect_to("127.0.0.1", closed_port("127.0.0.1"), &code);
        ::usleep(kPauseMs * 1000);
    };
    const Result result = watch("tcpconnlat", {"-tL", "250.5"}, connects, {.json = false});
    const auto all = lines(result.out);
    ASSERT_EQ(all.size(), 2u) << result.out;
    EXPECT_EQ(words(all[0]),
              (std::vector<std::string>{"TIME(s)", "PID", "COMM", "IP", "SADDR", "LPORT", "DADDR",
                                        "DPORT", "LAT(ms)", "RESULT", "ERROR"}));
    EXPECT_EQ(words(all[1]).back(), "abandoned");
    EXPECT_EQ(run({"tcpconnlat", "fast"}).status, 1);
}

} // namespace
