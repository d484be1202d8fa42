// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Bytes of TCP sessions in intervals: each byte once, of sessions that live on and of those that
// end.
#include "harness.hpp"
#include "net.hpp"
#include <cstring>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace
{

using namespace corebox::test;

struct Sums {
    std::uint64_t sent = 0, received = 0;
    Json pid;
    bool operator==(const Sums&) const = default;
    friend void PrintTo(const Sums& s, std::ostream* out)
    {
        *out << s.sent << " sent " << s.received << " received by " << s.pid;
    }
};

// Over all intervals, of the sockets with this local and remote port; their owner is the same in
// all.
Sums sums(const Records& records, std::uint16_t lport, std::uint16_t rport)
{
    Sums s;
    for (const Json& r : records) {
        if (r.at("lport") != lport || r.at("rport") != rport)
            continue;
        s.sent += r.at("tx_bytes").get<std::uint64_t>();
        s.received += r.at("rx_bytes").get<std::uint64_t>();
        EXPECT_TRUE(s.pid.is_null() || s.pid == r.at("pid")) << r;
        s.pid = r.at("pid");
    }
    return s;
}

constexpr std::size_t kTries = 100, kSize = 80'000;

// Asks a full socket again and again to take more: returns what it took.
std::size_t send_in_vain(const Socket& s)
{
    const std::string bytes(kSize, 'x');
    std::size_t taken = 0, failed = 0;
    for (std::size_t i = 0; i < kTries || failed < kTries / 2; i++) {
        const ssize_t n = ::send(s.fd(), bytes.data(), bytes.size(), MSG_DONTWAIT);
        if (n > 0)
            taken += std::size_t(n);
        else
            failed++;
    }
    return taken;
}

void bring_loopback_up()
{
    const Socket s = make_socket("127.0.0.1", SOCK_DGRAM);
    ifreq request{};
    std::strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP;
    ASSERT_EQ(::ioctl(s.fd(), SIOCSIFFLAGS, &request), 0);
}

// What the traced processes tell of themselves.
struct Facts {
    std::uint16_t port[4], client[4];
    std::size_t taken;
    std::uint16_t elsewhere[2]; // in another network namespace: listener, client
};

class TcptopRung : public EachRung
{
};

TEST_P(TcptopRung, EachByteOnceAndItsOwner)
{
    Facts& facts = *static_cast<Facts*>(
        ::mmap(nullptr, sizeof(Facts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    const Socket old_listener = listen_on("127.0.0.1");
    Socket older = connect_to("127.0.0.1", old_listener.port()), other = accept_from(old_listener);
    older.send(17);
    other.receive(17);
    Tracer tool{{"tcptop", "--json", "0.2"}, env()};
    Child server([&] {
        const char* const addresses[] = {"127.0.0.1", "::1", "::ffff:127.0.0.1"};
        for (int i = 0; i < 3; i++) {
            const Socket listener = listen_on(i == 2 ? "::" : addresses[i]);
            Socket client = connect_to(addresses[i], listener.port());
            facts.port[i] = listener.port();
            facts.client[i] = client.port();
            Socket accepted = accept_from(listener);
            for (int part = 0; part < 5; part++) { // over several intervals
                client.send(1009);
                accepted.receive(1009);
                accepted.send(250'007);
                client.receive(250'007);
                ::usleep(i == 0 ? 90'000 : 1000);
            }
            client.close();
            accepted.expect_end();
        }
        const Socket listener = listen_on("127.0.0.1");
        Socket client = connect_to("127.0.0.1", listener.port());
        facts.port[3] = listener.port();
        facts.client[3] = client.port();
        Socket accepted = accept_from(listener);
        facts.taken = send_in_vain(client);
        accepted.receive(facts.taken);
        client.close();
        accepted.expect_end();
    });
    Child elsewhere([&] {
        ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
        bring_loopback_up();
        const Socket listener = listen_on("127.0.0.1");
        Socket client = connect_to("127.0.0.1", listener.port());
        facts.elsewhere[0] = listener.port();
        facts.elsewhere[1] = client.port();
        Socket accepted = accept_from(listener);
        client.send(4099);
        accepted.receive(4099);
        ::usleep(300'000); // an interval ends
    });
    const Json pid = server.pid(), other_pid = elsewhere.pid(), self = ::getpid();
    elsewhere.go();
    older.send(1013);
    other.receive(1013);
    server.go_wait();
    EXPECT_EQ(elsewhere.wait(), 0);
    const Result result = tool.stop();
    expect_exact(result);
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(sums(result.records, facts.client[i], facts.port[i]), (Sums{5045, 1250035, pid}));
        EXPECT_EQ(sums(result.records, facts.port[i], facts.client[i]), (Sums{1250035, 5045, pid}));
    }
    for (const Json& r : with(result.records, "lport", facts.client[2]))
        EXPECT_EQ(r.at("laddr"), "127.0.0.1");
    EXPECT_GT(with(result.records, "lport", facts.client[0]).size(), 1u);
    EXPECT_LT(facts.taken, kTries * kSize / 2);
    EXPECT_EQ(sums(result.records, facts.client[3], facts.port[3]), (Sums{facts.taken, 0, pid}));
    EXPECT_EQ(sums(result.records, facts.port[3], facts.client[3]), (Sums{0, facts.taken, pid}));
    EXPECT_EQ(sums(result.records, older.port(), old_listener.port()), (Sums{1013, 0, self}));
    EXPECT_EQ(sums(result.records, old_listener.port(), older.port()), (Sums{0, 1013, self}));
    EXPECT_EQ(sums(result.records, facts.elsewhere[1], facts.elsewhere[0]),
              (Sums{4099, 0, other_pid}));
}
INSTANTIATE_TEST_SUITE_P(Rungs, TcptopRung, testing::Values("", "raw_tp,kprobe"), rung_name);

// More sessions than one interval has readings: each is told as it ends.
TEST(Tcptop, Flood)
{
    constexpr std::uint64_t kSessions = 1500;
    const Result result = watch("tcptop", {"1000"},
                                [] {
                                    const Socket listener = listen_on("127.0.0.1", 128);
                                    for (std::uint64_t i = 0; i < kSessions; i++) {
                                        Socket client = connect_to("127.0.0.1", listener.port());
                                        Socket accepted = accept_from(listener);
                                        client.send(1);
                                        accepted.receive(1);
                                        accepted.close();
                                        client.expect_end();
                                        client.reset();
                                    }
                                },
                                {.by = nullptr});
    std::uint64_t sent = 0, received = 0;
    for (const Json& r : result.records) {
        sent += r.at("tx_bytes").get<std::uint64_t>();
        received += r.at("rx_bytes").get<std::uint64_t>();
    }
    expect_exact_flood(result, result.records.size(), 2 * kSessions);
    if (!preempts_itself()) {
        EXPECT_EQ(sent, kSessions);
        EXPECT_EQ(received, kSessions);
    }
}

TEST(Tcptop, TextSortAndFilters)
{
    const Socket listener = listen_on("::1");
    const std::string port = std::to_string(listener.port());
    const auto text = [&](std::vector<std::string> arguments) {
        const Result result = watch("tcptop", arguments,
                                    [&] {
                                        Socket client = connect_to("::1", listener.port());
                                        Socket accepted = accept_from(listener);
                                        client.send(2048);
                                        accepted.receive(2048);
                                        accepted.send(512);
                                        client.receive(512);
                                    },
                                    {.json = false});
        EXPECT_EQ(result.status, 0) << result.err;
        return lines(result.out);
    };
    auto all = text({"-C", "-S", "-s", "sent", "1000"});
    ASSERT_EQ(all.size(), 3u);
    EXPECT_EQ(words(all[0]),
              (std::vector<std::string>{"PID", "COMM", "LADDR", "RADDR", "RX_KB", "TX_KB"}));
    auto first = words(all[1]), second = words(all[2]);
    EXPECT_EQ(first[3], "[::1]:" + port);
    EXPECT_EQ(first[4] + " " + first[5], "0.50 2.00");
    EXPECT_EQ(second[2], "[::1]:" + port);
    EXPECT_EQ(second[4] + " " + second[5], "2.00 0.50");
    all = text({"-C", "--sort", "received", "-r", "1", "1000"});
    ASSERT_EQ(all.size(), 3u); // with the load
    EXPECT_EQ(words(all[2])[2], "[::1]:" + port);
    EXPECT_EQ(text({"-S", "-4", "1000"}).size(), 1u);
    EXPECT_EQ(text({"-S", "--rport", port, "1000"}).size(), 2u);
    EXPECT_EQ(text({"-S", "--where", "tx_bytes > 1k", "1000"}).size(), 2u);
    EXPECT_EQ(run({"tcptop", "-s", "names"}).status, 1);
}

} // namespace
