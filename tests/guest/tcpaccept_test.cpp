// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Accepts of TCP connections, with the process that accepts and the queue of its listener.
#include "harness.hpp"
#include "net.hpp"
#include "uring.hpp"
#include <sys/syscall.h>
#include <unistd.h>

namespace
{

using namespace corebox::test;

class TcpacceptRung : public EachRung
{
};

// One process has waited in accept() since before the tool began; then others of all kinds.
TEST_P(TcpacceptRung, EveryAcceptAlsoOneThatAlreadyWaited)
{
    const Socket listener = listen_on("127.0.0.1", 7), both = listen_on("::", 7);
    const std::uint16_t port = listener.port(), port6 = both.port();
    const Gate accepted, connected;
    Child server([&] {
        accept_from(listener).close(); // waits
        accepted.open();
        connected.wait();
        for (int i = 0; i < 3; i++)
            accept_from(listener).close();
        accept_from(both).close();
        accept_from(both).close();
    });
    server.go();
    const pid_t accepter = server.pid();
    EXPECT_TRUE(wait_until([&] {
        return read_file("/proc/" + std::to_string(accepter) + "/syscall")
            .starts_with(std::to_string(SYS_accept4) + " ");
    }));
    Tracer tool{{"tcpaccept", "--json", "-P", std::to_string(port) + "," + std::to_string(port6)},
                env()};
    Socket first = connect_to("127.0.0.1", port);
    accepted.wait();
    // Three wait, of which one has already gone.
    Socket a = connect_to("127.0.0.1", port), b = connect_to("127.0.0.1", port);
    connect_to("127.0.0.1", port).reset();
    Socket v6 = connect_to("::1", port6), mapped = connect_to("::ffff:127.0.0.1", port6);
    connected.open();
    EXPECT_EQ(server.wait(), 0);
    const Result result = tool.stop();
    expect_exact(result);
    const bool by_return = is("kretprobe");
    ASSERT_EQ(result.records.size(), by_return ? 5u : 6u) << result.out;
    std::vector<Json> queued;
    for (const Json& r : result.records) {
        EXPECT_EQ(r.at("pid"), accepter) << r;
        EXPECT_EQ(r.at("comm"), "guest_tests") << r;
        EXPECT_EQ(r.at("laddr"), r.at("raddr")) << r;
        if (r.at("lport") == port)
            queued.push_back(r.at("queued"));
        if (!r.at("backlog").is_null())
            EXPECT_EQ(r.at("backlog"), 7) << r;
    }
    if (by_return)
        EXPECT_EQ(queued, (std::vector<Json>{2, 1, 0}));
    else
        EXPECT_EQ(queued,
                  (std::vector<Json>{Json(), 2, 1, 0})); // where the first came from is unknown
    const Records gone = with(result.records, "state", "CLOSE");
    ASSERT_EQ(gone.size(), 1u);
    EXPECT_NE(gone[0].at("rport"), 0);
    EXPECT_EQ(gone[0].at("lport"), port);
    EXPECT_EQ(with(result.records, "rport", v6.port()).at(0).at("ip"), 6);
    EXPECT_EQ(with(result.records, "rport", mapped.port()).at(0).at("laddr"), "127.0.0.1");
}
INSTANTIATE_TEST_SUITE_P(Rungs, TcpacceptRung, testing::Values("", "kprobe", "kretprobe"),
                         rung_name);

// A call that finds nothing is no event; a connection of MPTCP is one. A worker of io_uring is its
// process, by name.
TEST(Tcpaccept, NothingToAcceptMptcpAndUring)
{
    const Result result = watch("tcpaccept", {}, [] {
        const Socket idle(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
        const SocketAddress any("127.0.0.1", 0);
        EXPECT_EQ(::bind(idle.fd(), any.get(), any.size), 0);
        EXPECT_EQ(::listen(idle.fd(), 1), 0);
        EXPECT_EQ(::accept(idle.fd(), nullptr, nullptr), -1);
        int protocol = 262; // MPTCP
        Socket listener(::socket(AF_INET, SOCK_STREAM, protocol));
        if (listener.fd() < 0)
            listener = Socket(::socket(AF_INET, SOCK_STREAM, protocol = 0));
        EXPECT_EQ(::bind(listener.fd(), any.get(), any.size), 0);
        EXPECT_EQ(::listen(listener.fd(), 3), 0);
        const SocketAddress to("127.0.0.1", listener.port());
        for (const int p : {protocol, 0}) {
            const Socket client(::socket(AF_INET, SOCK_STREAM, p));
            EXPECT_EQ(::connect(client.fd(), to.get(), to.size), 0);
            accept_from(listener).close();
        }
        const Socket client = connect_to("127.0.0.1", listener.port());
        Uring ring;
        io_uring_sqe e{};
        e.opcode = IORING_OP_ACCEPT;
        e.flags = IOSQE_ASYNC;
        e.fd = listener.fd();
        EXPECT_GE(ring.run(e), 0);
    });
    expect_exact(result);
    ASSERT_EQ(result.records.size(), 3u) << result.out;
    EXPECT_NE(result.records[2].at("tid"), result.records[2].at("pid"));
    for (const Json& r : result.records)
        EXPECT_EQ(r.at("comm"), "guest_tests") << r;
    for (const Json& r : result.records) {
        EXPECT_NE(r.at("rport"), 0) << r;
        EXPECT_EQ(r.at("raddr"), "127.0.0.1") << r;
        EXPECT_EQ(r.at("queued"), 0) << r;
        EXPECT_EQ(r.at("backlog"), 3) << r;
    }
}

TEST(Tcpaccept, Flood)
{
    constexpr std::uint64_t kAccepts = 3000;
    const Result result = watch("tcpaccept", {}, [] { connect_often(kAccepts); });
    expect_exact_flood(result, result.records.size(), kAccepts);
}

TEST(Tcpaccept, TextOfBcc)
{
    const Result result = watch("tcpaccept", {"-tT", "-4"},
                                [] {
                                    for (const char* address : {"127.0.0.1", "::1"}) {
                                        const Socket listener = listen_on(address);
                                        const Socket client = connect_to(address, listener.port());
                                        accept_from(listener).close();
                                    }
                                },
                                {.json = false});
    const auto all = lines(result.out);
    ASSERT_EQ(all.size(), 2u) << result.out;
    EXPECT_EQ(words(all[0]),
              (std::vector<std::string>{"TIME", "TIME(s)", "PID", "COMM", "IP", "RADDR", "RPORT",
                                        "LADDR", "LPORT", "QUEUED", "BACKLOG"}));
    EXPECT_EQ(words(all[1]).size(), 11u) << all[1];
    EXPECT_EQ(run({"tcpaccept", "-P", "1", "--lport", "2"}).status, 1);
}

} // namespace
