// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Binds: what a socket is bound to, or was to be, and the options that change what that means.
#include "harness.hpp"
#include "net.hpp"
#include <cerrno>
#include <netinet/in.h>
#include <unistd.h>

namespace
{

using namespace corebox::test;

int bind_to(const Socket& s, const std::string& address, std::uint16_t port, socklen_t size = 0)
{
    const SocketAddress to(address, port);
    return ::bind(s.fd(), to.get(), size ? size : to.size) == 0 ? 0 : errno;
}

void set(const Socket& s, int level, int option, int value = 1)
{
    EXPECT_EQ(::setsockopt(s.fd(), level, option, &value, sizeof value), 0) << option;
}

// What of a row a test compares, in one line.
std::string text_of(const Json& r)
{
    std::string line;
    for (const char* key : {"ret", "protocol", "options", "interface", "ip", "laddr"})
        line += (r.at(key).is_string() ? r.at(key).get<std::string>() : r.at(key).dump()) + " ";
    return line;
}

class BindsnoopRung : public EachRung
{
};

TEST_P(BindsnoopRung, AddressesOptionsAndFailures)
{
    struct Case {
        std::string address;
        int type, protocol;
        std::vector<std::pair<int, int>> options;
        std::uint16_t port;
        const char* shown;
    };
    // Ports of their own, so that a row is found by its port.
    const std::vector<Case> cases = {
        {"127.0.0.1", SOCK_STREAM, 0, {}, 6001, "0 TCP ..... 0 4 127.0.0.1 "},
        {"0.0.0.0", SOCK_DGRAM, 0, {{SOL_SOCKET, SO_REUSEADDR}}, 6002, "0 UDP ...R. 0 4 0.0.0.0 "},
        {"::1",
         SOCK_STREAM,
         0,
         {{SOL_SOCKET, SO_REUSEPORT}, {IPPROTO_IP, IP_TRANSPARENT}},
         6003,
         "0 TCP .T..r 0 6 ::1 "},
        {"::", SOCK_DGRAM, 0, {}, 6004, "0 UDP ..... 0 6 :: "},
        {"::ffff:127.0.0.1", SOCK_STREAM, 0, {}, 6005, "0 TCP ..... 0 4 127.0.0.1 "},
        {"10.77.7.7",
         SOCK_STREAM,
         0,
         {{IPPROTO_IP, IP_FREEBIND}, {IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT}},
         6006,
         "0 TCP F.N.. 0 4 10.77.7.7 "},
        {"10.77.7.7", SOCK_STREAM, 0, {}, 6007, "-99 TCP ..... 0 4 10.77.7.7 "},
        {"127.0.0.1", SOCK_STREAM, 0, {}, 6001, "-98 TCP ..... 0 4 127.0.0.1 "},
        {"2001:db8::7", SOCK_DGRAM, 0, {}, 6008, "-99 UDP ..... 0 6 2001:db8::7 "},
    };
    const Result result =
        watch("bindsnoop", {"-x"},
              [&] {
                  std::vector<Socket> open;
                  for (const Case& c : cases) {
                      open.push_back(make_socket(c.address, c.type, c.protocol));
                      for (const auto& [level, option] : c.options)
                          set(open.back(), level, option);
                      bind_to(open.back(), c.address, c.port);
                  }
                  Socket device = make_socket("127.0.0.1");
                  EXPECT_EQ(::setsockopt(device.fd(), SOL_SOCKET, SO_BINDTODEVICE, "lo", 3), 0);
                  EXPECT_EQ(bind_to(device, "127.0.0.1", 6009), 0);
                  Socket raw = make_socket("127.0.0.1", SOCK_RAW, IPPROTO_ICMP);
                  EXPECT_EQ(bind_to(raw, "127.0.0.1", 0), 0);
                  EXPECT_EQ(bind_to(make_socket("127.0.0.1"), "127.0.0.1", 6010, 8), EINVAL);
                  Socket any = make_socket("127.0.0.1");
                  EXPECT_EQ(bind_to(any, "127.0.0.1", 0), 0);
                  EXPECT_EQ(bind_to(make_socket("127.0.0.1"), "127.0.0.1", any.port()), EADDRINUSE);
              },
              {.env = env(), .others_too = true});
    expect_exact(result);
    const Records& all = result.records;
    ASSERT_EQ(all.size(), cases.size() + 5) << result.out;
    for (std::size_t i = 0; i < cases.size(); i++) {
        EXPECT_EQ(text_of(all[i]), cases[i].shown) << i;
        EXPECT_EQ(all[i].at("lport"), cases[i].port) << i;
    }
    const Json* rest = &all[cases.size()];
    EXPECT_EQ(text_of(rest[0]), "0 TCP ..... 1 4 127.0.0.1 ");
    EXPECT_EQ(text_of(rest[1]), "0 ICMP ...R. 0 4 127.0.0.1 ");
    EXPECT_EQ(rest[1].at("lport"), Json());
    EXPECT_EQ(rest[2].at("error"), "EINVAL");
    EXPECT_EQ(rest[2].at("laddr"), Json());
    EXPECT_NE(rest[3].at("lport"), 0);
    EXPECT_EQ(rest[3].at("lport"), rest[4].at("lport"));
    EXPECT_EQ(rest[4].at("error"), "EADDRINUSE");
}
INSTANTIATE_TEST_SUITE_P(Rungs, BindsnoopRung, testing::Values("", "kprobe"), rung_name);

TEST(Bindsnoop, Flood)
{
    constexpr std::uint64_t kBinds = 4000;
    const Result result = watch("bindsnoop", {}, [] {
        for (std::uint64_t i = 0; i < kBinds; i++)
            bind_to(make_socket("127.0.0.1", SOCK_DGRAM), "127.0.0.1", 6001);
    });
    expect_exact_flood(result, result.records.size(), kBinds);
}

TEST(Bindsnoop, TextPortsAndBadInput)
{
    const Result result =
        watch("bindsnoop", {"-P", "6001,6003-6004", "-U"},
              [] {
                  for (const std::uint16_t port : {6001, 6002, 6003})
                      EXPECT_EQ(bind_to(make_socket("::1"), "::1", port), 0);
                  const Socket one = make_socket("127.0.0.1"), two = make_socket("127.0.0.1");
                  EXPECT_EQ(bind_to(one, "127.0.0.1", 6004), 0);
                  EXPECT_EQ(bind_to(two, "127.0.0.1", 6004), EADDRINUSE); // hidden without -x
              },
              {.json = false});
    const auto shown = lines(result.out);
    ASSERT_EQ(shown.size(), 4u) << result.out;
    EXPECT_EQ(words(shown[0]), words("UID PID COMM RET PROTO OPTS IF PORT ADDR"));
    EXPECT_EQ(words(shown[1])[7], "6001");
    EXPECT_EQ(words(shown[1])[8], "::1");
    EXPECT_EQ(words(shown[3])[7], "6004");
    EXPECT_NE(result.err.find("5 seen = 3 printed + 2 filtered + 0 lost"), std::string::npos)
        << result.err;
    EXPECT_EQ(run({"bindsnoop", "-P", "http"}).status, 1);
    const Result counts = watch("bindsnoop", {"--count", "-4"}, [] {
        for (int i = 0; i < 3; i++)
            bind_to(make_socket("127.0.0.1"), "127.0.0.1", 6001);
        bind_to(make_socket("::1"), "::1", 6001);
    });
    expect_exact(counts);
    ASSERT_EQ(counts.records.size(), 1u) << counts.out;
    EXPECT_EQ(counts.records[0].at("binds"), 3);
    EXPECT_EQ(counts.records[0].at("lport"), 6001);
    EXPECT_EQ(counts.account.at("filtered"), 1);
}

} // namespace
