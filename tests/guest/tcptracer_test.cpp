// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Connects, accepts and closes: every connection that begins has its end.
#include "harness.hpp"
#include "net.hpp"
#include <cerrno>
#include <map>
#include <unistd.h>

namespace
{

using namespace corebox::test;

// "CX" of each connection, by its local and remote port.
std::map<std::pair<int, int>, std::string> lives(const Records& records)
{
    std::map<std::pair<int, int>, std::string> all;
    for (const Json& r : records)
        all[{r.at("lport"), r.at("rport")}] += r.at("t").get<std::string>();
    return all;
}

class TcptracerRung : public EachRung
{
};

TEST_P(TcptracerRung, EveryConnectionFromItsBeginToItsEnd)
{
    pid_t pid = 0;
    const Result result =
        watch("tcptracer", {},
              [] {
                  const auto live = [](const Socket& listener, Socket client) {
                      Socket accepted = accept_from(listener);
                      client.close();
                      accepted.expect_end();
                      accepted.close();
                  };
                  for (const std::string address : {"127.0.0.1", "::1", "::ffff:127.0.0.1"}) {
                      const Socket listener =
                          listen_on(address[0] == ':' && address[2] == 'f' ? "::" : address);
                      live(listener, connect_to(address, listener.port()));
                  }
                  Socket listener = listen_on("127.0.0.1");
                  int code = 0;
                  connect_to("127.0.0.1", closed_port("127.0.0.1"), &code);
                  EXPECT_EQ(code, ECONNREFUSED);
                  // It has gone when it is accepted; nobody accepts the other.
                  connect_to("127.0.0.1", listener.port()).reset();
                  accept_from(listener).close();
                  connect_to("127.0.0.1", listener.port()).close();
                  listener.close();
                  wait_for_ends();
              },
              {.env = env(), .others_too = true, .pid = &pid});
    expect_exact(result);
    std::map<std::string, int> kinds;
    for (const auto& [ports, life] : lives(result.records)) {
        EXPECT_NE(ports.first, 0);
        EXPECT_NE(ports.second, 0);
        kinds[life]++;
    }
    EXPECT_EQ(kinds, (std::map<std::string, int>{{"CX", 5}, {"AX", 4}, {"C", 1}})) << result.out;
    for (const Json& r : result.records)
        EXPECT_EQ(r.at("pid"), pid) << r;
    const Records refused = with(result.records, "result", "refused");
    ASSERT_EQ(refused.size(), 1u);
    EXPECT_EQ(refused[0].at("error"), "ECONNREFUSED");
    EXPECT_EQ(count_if(result.records, [](const Json& r) { return r.at("ip") == 6; }), 4u);
}
INSTANTIATE_TEST_SUITE_P(Rungs, TcptracerRung, testing::Values("", "raw_tp,kprobe"), rung_name);

// A connection that is older than the tool has its close, and one of MPTCP is one on each side.
TEST(Tcptracer, OlderConnectionsAndMptcp)
{
    const Socket listener = listen_on("127.0.0.1");
    Socket older = connect_to("127.0.0.1", listener.port()), other = accept_from(listener);
    const int older_port = older.port(), port = listener.port();
    Tracer tool{{"tcptracer", "--json"}};
    older.close();
    other.expect_end();
    other.close();
    const int mptcp = ::socket(AF_INET, SOCK_STREAM, 262);
    if (mptcp >= 0) {
        Socket of_many(mptcp), client(::socket(AF_INET, SOCK_STREAM, 262));
        const SocketAddress any("127.0.0.1", 0);
        EXPECT_EQ(::bind(of_many.fd(), any.get(), any.size), 0);
        EXPECT_EQ(::listen(of_many.fd(), 3), 0);
        const SocketAddress to("127.0.0.1", of_many.port());
        EXPECT_EQ(::connect(client.fd(), to.get(), to.size), 0);
        Socket accepted = accept_from(of_many);
        client.send(3);
        accepted.receive(3);
        client.close();
        accepted.expect_end();
        accepted.close();
    }
    wait_for_ends();
    ::usleep(300'000); // MPTCP ends its connection in a worker
    const Result result = tool.stop();
    expect_exact(result);
    auto all = lives(result.records);
    EXPECT_EQ((all[{older_port, port}]), "X");
    EXPECT_EQ((all[{port, older_port}]), "X");
    EXPECT_EQ(all.size(), mptcp >= 0 ? 4u : 2u) << result.out;
    for (const auto& [ports, life] : all)
        if (ports.first != older_port && ports.second != older_port)
            EXPECT_TRUE(life == "CX" || life == "AX") << life << result.out;
}

TEST(Tcptracer, Flood)
{
    constexpr std::uint64_t kConnections = 1500;
    const Result result =
        watch("tcptracer", {}, [] { connect_often(kConnections); }, {.by = nullptr});
    expect_exact_flood(result, result.records.size(), 4 * kConnections);
}

TEST(Tcptracer, TextOfBcc)
{
    const Result result = watch("tcptracer", {"-tUv"},
                                [] {
                                    int code = 0;
                                    connect_to("127.0.0.1", closed_port("127.0.0.1"), &code);
                                },
                                {.json = false});
    const auto all = lines(result.out);
    ASSERT_EQ(all.size(), 2u) << result.out;
    EXPECT_EQ(words(all[0]),
              (std::vector<std::string>{"TIME(s)", "UID", "TYPE", "PID", "COMM", "IP", "SADDR",
                                        "DADDR", "SPORT", "DPORT", "NETNS", "RESULT", "ERROR"}));
    EXPECT_EQ(words(all[1])[2], "connect");
    EXPECT_EQ(run({"tcptracer", "-N", "nowhere"}).status, 1);
}

} // namespace
