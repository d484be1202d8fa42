// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Connects of TCP, each with what became of it, and its owner.
#include "harness.hpp"
#include "net.hpp"
#include <cerrno>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

namespace
{

using namespace corebox::test;

// What the traced process tells of itself.
struct Facts {
    std::uint16_t listener, mapped, v6, closed, full, bound;
};

Facts* shared_facts()
{
    return static_cast<Facts*>(
        ::mmap(nullptr, sizeof(Facts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
}

// The errno of a connect from this port to there; a second one has no port.
int connect_from(const Socket& s, std::uint16_t port, std::uint16_t to_port)
{
    const int on = 1;
    EXPECT_EQ(::setsockopt(s.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
    const SocketAddress from("127.0.0.1", port), to("127.0.0.1", to_port);
    EXPECT_EQ(::bind(s.fd(), from.get(), from.size), 0);
    return ::connect(s.fd(), to.get(), to.size) == 0 ? 0 : errno;
}

class TcpconnectRung : public EachRung
{
};

TEST_P(TcpconnectRung, EveryConnectWithItsResult)
{
    Facts& facts = *shared_facts();
    const FullListener full;
    facts.full = full.listener.port();
    pid_t pid = 0;
    const Result result =
        watch("tcpconnect", {},
              [&] {
                  const Socket listener = listen_on("127.0.0.1"), both = listen_on("::");
                  facts.listener = listener.port();
                  facts.mapped = both.port();
                  connect_to("127.0.0.1", facts.listener).reset();
                  connect_to("::ffff:127.0.0.1", facts.mapped).reset();
                  const Socket v6 = listen_on("::1");
                  facts.v6 = v6.port();
                  connect_to("::1", facts.v6).reset();
                  facts.closed = closed_port("127.0.0.1");
                  int code = 0;
                  connect_to("127.0.0.1", facts.closed, &code);
                  EXPECT_EQ(code, ECONNREFUSED);
                  connect_to("::ffff:127.0.0.1", facts.closed, &code);
                  EXPECT_EQ(code, ECONNREFUSED);
                  // No route (to TEST-NET-3), and no port: the call fails at once.
                  connect_to("203.0.113.9", 17, &code);
                  EXPECT_EQ(code, ENETUNREACH);
                  connect_to("::ffff:203.0.113.9", 18, &code);
                  EXPECT_EQ(code, ENETUNREACH);
                  Socket one = make_socket("127.0.0.1"), two = make_socket("127.0.0.1");
                  facts.bound = closed_port("127.0.0.1");
                  EXPECT_EQ(connect_from(one, facts.bound, facts.listener), 0);
                  EXPECT_EQ(connect_from(two, facts.bound, facts.listener), EADDRNOTAVAIL);
                  begin_connect("127.0.0.1", facts.full).close();
                  time_out("127.0.0.1", facts.full);
              },
              {.env = env(), .others_too = true, .pid = &pid});
    expect_exact(result);
    const auto rows = [&](std::uint16_t port) {
        std::string all;
        for (const Json& r : with(result.records, "rport", port)) {
            EXPECT_EQ(r.at("pid"), pid) << r;
            EXPECT_EQ(r.at("comm"), "guest_tests") << r;
            all += r.at("raddr").get<std::string>() + " " + r.at("result").get<std::string>() +
                   " " + r.at("error").get<std::string>() + "; ";
        }
        return all;
    };
    EXPECT_EQ(rows(facts.listener), "127.0.0.1 established ; 127.0.0.1 established ; "
                                    "127.0.0.1 failed EADDRNOTAVAIL; ");
    EXPECT_EQ(with(result.records, "lport", facts.bound).size(), 2u) << result.out;
    EXPECT_EQ(rows(facts.mapped), "127.0.0.1 established ; ");
    EXPECT_EQ(rows(facts.v6), "::1 established ; ");
    EXPECT_EQ(rows(facts.closed), "127.0.0.1 refused ECONNREFUSED; 127.0.0.1 refused "
                                  "ECONNREFUSED; ");
    EXPECT_EQ(rows(17) + rows(18),
              "203.0.113.9 failed ENETUNREACH; 203.0.113.9 failed ENETUNREACH; ");
    EXPECT_EQ(rows(facts.full), "127.0.0.1 abandoned ; 127.0.0.1 timed out ETIMEDOUT; ");
    EXPECT_EQ(result.records.size(), 11u) << result.out;
    for (const Json& r : result.records) {
        const bool sent = r.at("result") != "failed";
        EXPECT_EQ(r.at("lat_ms").is_number(), sent) << r;
        EXPECT_EQ(r.at("lport") == 0, !sent && r.at("lport") != facts.bound) << r;
        // 1 s for the first answer, 2 s for the second.
        if (r.at("result") == "timed out")
            EXPECT_GE(r.at("lat_ms"), 2'900) << r;
    }
}
INSTANTIATE_TEST_SUITE_P(Rungs, TcpconnectRung, testing::Values("", "raw_tp,kprobe"), rung_name);

// Without an answer when tracing ends, also as counts; MPTCP is one connect; of another namespace,
// by its process.
TEST(Tcpconnect, InProgressAtTheEndAndCounts)
{
    const FullListener full;
    const Socket listener = listen_on("127.0.0.1", 64);
    const std::uint16_t port = listener.port(), closed = closed_port("127.0.0.1");
    const auto traced = [&](std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), "tcpconnect");
        arguments.insert(arguments.end(),
                         {"--json", "-P", std::to_string(full.listener.port()), "-P",
                          std::to_string(port) + "," + std::to_string(closed)});
        Tracer tool{arguments};
        const Socket waits = begin_connect("127.0.0.1", full.listener.port());
        for (int i = 0; i < 3; i++)
            connect_to("127.0.0.1", port).reset();
        int code = 0;
        connect_to("127.0.0.1", closed, &code);
        EXPECT_EQ(code, ECONNREFUSED);
        const int mptcp = ::socket(AF_INET, SOCK_STREAM, 262);
        if (mptcp >= 0) {
            const Socket s(mptcp);
            const SocketAddress to("127.0.0.1", port);
            EXPECT_EQ(::connect(s.fd(), to.get(), to.size), 0);
        }
        const Result result = tool.stop();
        expect_exact(result);
        return std::pair(result.records, mptcp >= 0 ? 4u : 3u);
    };
    const auto [events, established] = traced({});
    EXPECT_EQ(with(events, "result", "established").size(), established);
    const Records left = with(events, "result", "in progress");
    ASSERT_EQ(left.size(), 1u);
    EXPECT_EQ(left[0].at("rport"), full.listener.port());
    EXPECT_EQ(left[0].at("pid"), ::getpid());
    EXPECT_EQ(events.size(), established + 2);

    const auto [counts, again] = traced({"-c"});
    ASSERT_EQ(counts.size(), 3u);
    EXPECT_EQ(counts[0].at("rport"), port);
    EXPECT_EQ(counts[0].at("connects"), again);
    EXPECT_EQ(counts[0].at("failed"), 0);
    EXPECT_EQ(with(counts, "rport", closed)[0].at("failed"), 1);
    EXPECT_EQ(with(counts, "rport", full.listener.port())[0].at("connects"), 1);
}

// A DNS server's answer: NAME, of one label, is 127.0.0.LAST.
std::string dns_answer(const std::string& name, int last)
{
    std::string m("\x12\x34\x81\x80\0\1\0\1\0\0\0\0", 12);
    m += char(name.size());
    m += name;
    m += std::string("\0\0\1\0\1\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x7f\0\0", 20);
    m += char(last);
    return m;
}

// However a resolver reads the answer.
TEST(Tcpconnect, NamesOfAddresses)
{
    const std::uint16_t closed = closed_port("127.0.0.1");
    const Result result = watch("tcpconnect", {"-d"}, [closed] {
        std::vector<std::function<ssize_t(int, iovec)>> ways{
            [](int fd, iovec to) { return ::read(fd, to.iov_base, to.iov_len); },
            [](int fd, iovec to) { return ::recv(fd, to.iov_base, to.iov_len, 0); },
            [](int fd, iovec to) {
                sockaddr_storage from;
                socklen_t size = sizeof from;
                return ::recvfrom(fd, to.iov_base, to.iov_len, 0,
                                  reinterpret_cast<sockaddr*>(&from), &size);
            },
            [](int fd, iovec to) {
                iovec parts[2] = {{to.iov_base, 5},
                                  {static_cast<char*>(to.iov_base) + 5, to.iov_len - 5}};
                msghdr m{};
                m.msg_iov = parts;
                m.msg_iovlen = 2;
                return ::recvmsg(fd, &m, 0);
            },
            [](int fd, iovec to) {
                mmsghdr m{};
                m.msg_hdr.msg_iov = &to;
                m.msg_hdr.msg_iovlen = 1;
                return ::recvmmsg(fd, &m, 1, 0, nullptr) == 1 ? ssize_t(m.msg_len) : -1;
            }};
        int last = 11;
        for (const auto& way : ways)
            for (const std::string address : {"127.0.0.1", "::1"}) {
                const Socket server = make_socket(address, SOCK_DGRAM);
                const Socket resolver = make_socket(address, SOCK_DGRAM);
                const SocketAddress at(address, 53);
                EXPECT_EQ(::bind(server.fd(), at.get(), at.size), 0);
                EXPECT_EQ(::connect(resolver.fd(), at.get(), at.size), 0);
                const SocketAddress to(address, resolver.port());
                const std::string m = dns_answer("n" + std::to_string(last), last);
                EXPECT_EQ(::sendto(server.fd(), m.data(), m.size(), 0, to.get(), to.size),
                          ssize_t(m.size()));
                char room[512];
                EXPECT_EQ(way(resolver.fd(), {room, sizeof room}), ssize_t(m.size()));
                int code = 0;
                connect_to("127.0.0." + std::to_string(last++), closed, &code);
                EXPECT_EQ(code, ECONNREFUSED);
            }
        int code = 0;
        connect_to("127.0.0.10", closed, &code); // nobody asked for it
    });
    expect_exact(result);
    ASSERT_EQ(result.records.size(), 11u) << result.out;
    for (int i = 0; i < 10; i++) {
        EXPECT_EQ(result.records[i].at("query"), "n" + std::to_string(11 + i)) << result.out;
        EXPECT_GE(result.records[i].at("query_ms"), 0);
    }
    EXPECT_EQ(result.records[10].at("query"), Json());
    EXPECT_EQ(run({"tcpconnect", "-cd"}).status, 1);
}

TEST(Tcpconnect, Flood)
{
    constexpr std::uint64_t kConnects = 3000;
    const Result result = watch("tcpconnect", {}, [] { connect_often(kConnects); });
    expect_exact_flood(result, result.records.size(), kConnects);
}

TEST(Tcpconnect, TextAndManyPorts)
{
    const std::uint16_t closed = closed_port("127.0.0.1");
    std::string ports;
    for (int port = 1000; port < 1100; port++)
        ports += std::to_string(port) + ",";
    const Result result = watch("tcpconnect", {"-tUL", "-P", ports + std::to_string(closed)},
                                [&] {
                                    int code = 0;
                                    connect_to("127.0.0.1", closed, &code);
                                    connect_to("127.0.0.1", 17, &code); // not asked for
                                },
                                {.json = false});
    const auto all = lines(result.out);
    ASSERT_EQ(all.size(), 2u) << result.out;
    EXPECT_EQ(words(all[0]),
              (std::vector<std::string>{"TIME(s)", "UID", "PID", "COMM", "IP", "SADDR", "LPORT",
                                        "DADDR", "DPORT", "RESULT", "ERROR"}));
    const auto row = words(all[1]);
    ASSERT_EQ(row.size(), 11u) << all[1];
    EXPECT_EQ(row[8], std::to_string(closed));
    EXPECT_EQ(row[9], "refused");
    EXPECT_EQ(run({"tcpconnect", "-P", "1,x"}).status, 1);
    EXPECT_EQ(run({"tcpconnect", "-P", "1", "--rport", "2"}).status, 1);
}

} // namespace
