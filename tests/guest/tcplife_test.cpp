// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Sessions of TCP as they end: exact bytes of both sides, and their owners.
#include "harness.hpp"
#include "net.hpp"
#include <cerrno>
#include <set>
#include <unistd.h>

namespace
{

using namespace corebox::test;

constexpr std::size_t kAsked = 1009, kAnswered = 250'007;

enum class End { client_first, server_first, client_resets };

// A client in a child asks, the server answers, and one of them ends it.
void session(const Socket& listener, const std::string& address, End end)
{
    const std::uint16_t port = listener.port();
    Child client([&] {
        Socket s = connect_to(address, port);
        s.send(kAsked);
        s.receive(kAnswered);
        if (end == End::client_resets)
            return s.reset();
        if (end == End::server_first)
            s.expect_end();
        s.close();
    });
    client.go();
    Socket accepted = accept_from(listener);
    accepted.receive(kAsked);
    accepted.send(kAnswered);
    char byte;
    if (end == End::client_first)
        accepted.expect_end();
    else if (end == End::client_resets) // ECONNRESET
        EXPECT_EQ(::recv(accepted.fd(), &byte, 1, 0), -1);
    accepted.close();
    EXPECT_EQ(client.wait(), 0);
}

class TcplifeRung : public EachRung
{
};

TEST_P(TcplifeRung, BytesAndOwnersOfBothSides)
{
    pid_t server = 0;
    const Result result = watch(
        "tcplife", {},
        [] {
            for (const std::string address : {"127.0.0.1", "::1"}) {
                const Socket listener = listen_on(address);
                for (const End end : {End::client_first, End::server_first, End::client_resets})
                    session(listener, address, end);
            }
            wait_for_ends();
        },
        {.env = env(), .by = nullptr, .pid = &server});
    expect_exact(result);
    ASSERT_EQ(result.records.size(), 12u) << result.out;
    std::set<Json> clients;
    for (const Json& r : result.records) {
        const bool at_server = r.at("tx_bytes") == kAnswered;
        EXPECT_EQ(r.at("tx_bytes"), at_server ? kAnswered : kAsked) << r;
        EXPECT_EQ(r.at("rx_bytes"), at_server ? kAsked : kAnswered) << r;
        if (at_server)
            EXPECT_EQ(r.at("pid"), server) << r;
        else
            clients.insert(r.at("pid"));
        EXPECT_EQ(r.at("laddr"), r.at("raddr"));
        EXPECT_TRUE(r.at("span_ms").is_number()) << r;
    }
    EXPECT_EQ(clients.size(), 6u); // each its own, and none a stranger's
    EXPECT_FALSE(clients.contains(Json()));
    EXPECT_FALSE(clients.contains(Json(server)));
}
INSTANTIATE_TEST_SUITE_P(Rungs, TcplifeRung, testing::Values("", "raw_tp,kprobe"), rung_name);

// A refused connect is a session that failed; one that is older than the tool has no birth. Open
// ones are shown at the end on demand.
TEST(Tcplife, RefusedOlderAndOpenSessions)
{
    const Socket listener = listen_on("127.0.0.1");
    Socket older = connect_to("127.0.0.1", listener.port()), other = accept_from(listener);
    older.send(17);
    other.receive(17);
    const std::uint16_t closed = closed_port("127.0.0.1");
    Socket still = connect_to("127.0.0.1", listener.port()), open = accept_from(listener);
    Tracer tool{{"tcplife", "--json", "--open"}};
    Socket fresh = connect_to("127.0.0.1", listener.port());
    const Socket waits = accept_from(listener);
    fresh.send(23);
    waits.receive(23);
    int code = 0;
    connect_to("127.0.0.1", closed, &code);
    EXPECT_EQ(code, ECONNREFUSED);
    const std::uint16_t port = older.port();
    older.close();
    other.expect_end();
    other.close();
    wait_for_ends(4);
    const Result result = tool.stop();
    expect_exact(result);
    const Records refused = with(result.records, "rport", closed);
    ASSERT_EQ(refused.size(), 1u);
    EXPECT_EQ(refused[0].at("error"), "ECONNREFUSED");
    EXPECT_EQ(refused[0].at("state"), "SYN_SENT");
    EXPECT_EQ(refused[0].at("tx_bytes"), 0);
    const Records sides[] = {with(result.records, "lport", port),
                             with(result.records, "rport", port)};
    for (const Records& side : sides) {
        ASSERT_EQ(side.size(), 1u);
        EXPECT_EQ(side[0].at("pid"), ::getpid());
        EXPECT_EQ(side[0].at("span_ms"), Json());
        EXPECT_EQ(side[0].at("rx_bytes"), &side == sides ? 0 : 17);
    }
    EXPECT_EQ(sides[1][0].at("tx_bytes"), 0);
    const Records left = with(result.records, "open", true);
    EXPECT_EQ(left.size(), 4u) << result.out;
    for (const std::uint16_t client : {still.port(), fresh.port()})
        for (const char* side : {"lport", "rport"}) {
            const Records row = with(left, side, client);
            ASSERT_EQ(row.size(), 1u) << side << result.out;
            EXPECT_EQ(row[0].at("pid"), ::getpid());
            EXPECT_EQ(row[0].at("state"), "ESTABLISHED");
            EXPECT_EQ(row[0].at("span_ms").is_null(), client == still.port());
        }
    EXPECT_EQ(with(left, "lport", fresh.port())[0].at("tx_bytes"), 23);
    EXPECT_EQ(with(left, "rport", fresh.port())[0].at("rx_bytes"), 23);
}

TEST(Tcplife, Flood)
{
    constexpr std::uint64_t kSessions = 3000;
    const Result result = watch("tcplife", {}, [] { connect_often(kSessions); }, {.by = nullptr});
    expect_exact_flood(result, result.records.size(), 2 * kSessions);
}

} // namespace
