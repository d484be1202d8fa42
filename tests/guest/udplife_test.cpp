// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// UDP sockets as they are closed: exact datagrams and bytes of both directions, the peer, the
// drops.
#include "harness.hpp"
#include "net.hpp"
#include <cerrno>
#include <sys/mman.h>
#include <unistd.h>

namespace
{

using namespace corebox::test;

Socket bound(const std::string& address)
{
    Socket s = make_socket(address, SOCK_DGRAM);
    const SocketAddress own(address, 0);
    EXPECT_EQ(::bind(s.fd(), own.get(), own.size), 0);
    return s;
}

void send_to(const Socket& s, const std::string& address, std::uint16_t port, std::size_t bytes)
{
    const std::string zeros(bytes, '\0');
    const SocketAddress to(address, port);
    EXPECT_EQ(::sendto(s.fd(), zeros.data(), bytes, 0, to.get(), to.size), ssize_t(bytes)) << errno;
}

ssize_t take(const Socket& s, int flags = 0)
{
    char room[2048];
    return ::recv(s.fd(), room, sizeof room, flags);
}

struct Facts {
    std::uint16_t server, client;
    int kept;
};

class UdplifeRung : public EachRung
{
};

TEST_P(UdplifeRung, DatagramsBytesPeersAndDrops)
{
    Facts* facts = static_cast<Facts*>(::mmap(nullptr, 4 * sizeof(Facts), PROT_READ | PROT_WRITE,
                                              MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    constexpr int kSent = 500;
    const std::string addresses[] = {"127.0.0.1", "::1", "::ffff:127.0.0.1"};
    Socket older = bound("127.0.0.1");
    const std::uint16_t older_port = older.port();
    Tracer tool{{"udplife", "--json"}, env()};
    Child child([&] {
        for (int i = 0; i < 3; i++) {
            // A server that is not connected, and a client that is.
            Socket server = bound(i == 2 ? "::" : addresses[i]);
            Socket client = make_socket(addresses[i], SOCK_DGRAM);
            const SocketAddress to(addresses[i], server.port());
            ASSERT_EQ(::connect(client.fd(), to.get(), to.size), 0);
            facts[i] = {server.port(), client.port(), 0};
            for (const std::size_t bytes : {100, 1009, 0})
                ASSERT_EQ(::send(client.fd(), std::string(bytes, 'x').data(), bytes, 0),
                          ssize_t(bytes));
            EXPECT_EQ(take(server, MSG_PEEK), 100);
            EXPECT_EQ(take(server), 100);
            send_to(server, addresses[i], facts[i].client, 17);
            EXPECT_EQ(take(server), 1009);
            EXPECT_EQ(take(server), 0);
            EXPECT_EQ(take(client), 17);
            EXPECT_EQ(take(client, MSG_DONTWAIT), -1);
            client.close();
            server.close();
        }
        // Two peers send to a small buffer; both fail at a port that nobody has.
        Socket full = bound("127.0.0.1"), one = bound("127.0.0.1"), two = bound("127.0.0.1");
        const int size = 4096;
        ASSERT_EQ(::setsockopt(full.fd(), SOL_SOCKET, SO_RCVBUF, &size, sizeof size), 0);
        facts[3].server = full.port();
        facts[3].client = one.port();
        for (int i = 0; i < kSent; i++)
            send_to(i % 2 ? one : two, "127.0.0.1", facts[3].server, 64);
        while (take(full, MSG_DONTWAIT) == 64)
            facts[3].kept++;
        const Socket unused = make_socket("::1", SOCK_DGRAM);
    });
    const Json pid = child.pid();
    send_to(older, "127.0.0.1", older_port, 31); // to itself
    EXPECT_EQ(take(older), 31);
    older.close();
    child.go_wait();
    const Result result = tool.stop();
    EXPECT_EQ(result.status, 0);
    const auto row = [&](std::uint16_t lport) {
        const Records rows = with(result.records, "lport", lport);
        EXPECT_EQ(rows.size(), 1u) << result.out;
        return rows.empty() ? Json() : rows[0];
    };
    const auto expect = [&](const Json& r, std::array<std::size_t, 5> counts) {
        const std::array keys{"tx_datagrams", "tx_bytes", "rx_datagrams", "rx_bytes", "drops"};
        for (std::size_t i = 0; i < keys.size(); i++)
            EXPECT_EQ(r.at(keys[i]), counts[i]) << keys[i] << r;
    };
    for (int i = 0; i < 3; i++) {
        const std::string peer = i == 1 ? "::1" : "127.0.0.1";
        const Json server = row(facts[i].server), client = row(facts[i].client);
        expect(server, {1, 17, 3, 1109, 0});
        expect(client, {3, 1109, 1, 17, 0});
        for (const Json& r : {server, client}) {
            EXPECT_EQ(r.at("raddr"), peer) << r;
            EXPECT_EQ(r.at("pid"), pid);
            EXPECT_EQ(r.at("ip"), i == 1 ? 6 : 4);
            EXPECT_TRUE(r.at("span_ms").is_number());
        }
        EXPECT_EQ(server.at("rport"), facts[i].client);
        EXPECT_EQ(client.at("rport"), facts[i].server);
    }
    const std::size_t kept = std::size_t(facts[3].kept);
    EXPECT_GT(kept, 0u);
    expect(row(facts[3].server), {0, 0, kept, 64 * kept, kSent - kept});
    EXPECT_EQ(row(facts[3].server).at("raddr"), "*");
    EXPECT_EQ(row(facts[3].client).at("rport"), facts[3].server);
    const Json old = row(older_port);
    expect(old, {1, 31, 1, 31, 0});
    EXPECT_EQ(old.at("pid"), ::getpid());
    EXPECT_EQ(old.at("span_ms"), Json());
    EXPECT_EQ(result.account.at("lost"), 0);
    EXPECT_EQ(result.account.at("seen"), result.account.at("printed").get<std::size_t>() +
                                             result.account.at("filtered").get<std::size_t>());
    EXPECT_GE(result.account.at("filtered"), 1); // the unused one
}
INSTANTIATE_TEST_SUITE_P(Rungs, UdplifeRung, testing::Values("", "kprobe"), rung_name);

TEST(Udplife, Flood)
{
    constexpr std::uint64_t kSockets = 3000;
    const Result result = watch("udplife", {"-a"}, [] {
        for (std::uint64_t i = 0; i < kSockets; i++)
            make_socket("127.0.0.1", SOCK_DGRAM).close();
    });
    expect_exact_flood(result, result.records.size(), kSockets);
}

TEST(Udplife, TextAndFilters)
{
    const auto text = [](std::vector<std::string> arguments) {
        const Result result = watch("udplife", arguments,
                                    [] {
                                        Socket s = bound("127.0.0.1");
                                        send_to(s, "127.0.0.1", s.port(), 5);
                                        EXPECT_EQ(take(s), 5);
                                    },
                                    {.json = false});
        EXPECT_EQ(result.status, 0) << result.err;
        return lines(result.out);
    };
    const auto all = text({});
    ASSERT_EQ(all.size(), 2u);
    EXPECT_EQ(words(all[0]),
              (std::vector<std::string>{"PID", "COMM", "LADDR", "LPORT", "RADDR", "RPORT", "TX",
                                        "RX", "TX_BYTES", "RX_BYTES", "DROPS", "MS"}));
    const auto row = words(all[1]);
    EXPECT_EQ(row[2], row[4]);
    EXPECT_EQ(row[3], row[5]); // itself
    EXPECT_EQ(row[8], "5");
    EXPECT_EQ(text({"-6"}).size(), 1u);
    EXPECT_EQ(text({"--where", "rx_bytes == 5 && drops == 0"}).size(), 2u);
}

} // namespace
