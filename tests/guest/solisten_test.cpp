// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Calls of listen(), of sockets of all families, and those that fail.
#include "harness.hpp"
#include "net.hpp"
#include <cerrno>
#include <cstring>
#include <linux/vm_sockets.h>
#include <sys/un.h>
#include <unistd.h>

namespace
{

using namespace corebox::test;

int listen_unix(std::string_view name, int backlog)
{
    const Socket s(::socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un own{.sun_family = AF_UNIX, .sun_path = {}};
    std::memcpy(own.sun_path, name.data(), name.size());
    EXPECT_EQ(::bind(s.fd(), reinterpret_cast<const sockaddr*>(&own),
                     socklen_t(offsetof(sockaddr_un, sun_path) + name.size())),
              0)
        << std::strerror(errno);
    return ::listen(s.fd(), backlog);
}

bool listen_vsock(unsigned port)
{
    const Socket s(::socket(AF_VSOCK, SOCK_STREAM, 0));
    sockaddr_vm own{};
    own.svm_family = AF_VSOCK;
    own.svm_cid = VMADDR_CID_ANY;
    own.svm_port = port;
    EXPECT_EQ(::bind(s.fd(), reinterpret_cast<const sockaddr*>(&own), sizeof own), 0);
    return ::listen(s.fd(), 9) == 0;
}

std::string text_of(const Json& r)
{
    std::string line;
    for (const char* key : {"ret", "backlog", "limit", "protocol", "ip", "laddr"})
        line += (r.at(key).is_string() ? r.at(key).get<std::string>() : r.at(key).dump()) + " ";
    return line;
}

class SolistenRung : public EachRung
{
};

TEST_P(SolistenRung, AllFamiliesAndFailures)
{
    const std::string path = "/tmp/solisten." + std::to_string(::getpid());
    const Result result =
        watch("solisten", {},
              [&] {
                  const Socket v4 = listen_on("127.0.0.1", 7, 6001), v6 = listen_on("::1", 8, 6002);
                  listen_on("::ffff:127.0.0.1", 5, 6003);
                  EXPECT_EQ(::listen(v4.fd(), 70'000), 0); // again, with more than somaxconn
                  const Socket unbound = make_socket("127.0.0.1");
                  EXPECT_EQ(::listen(unbound.fd(), 1), 0);
                  const Socket udp = make_socket("127.0.0.1", SOCK_DGRAM);
                  EXPECT_EQ(::listen(udp.fd(), 2), -1);
                  EXPECT_EQ(errno, EOPNOTSUPP);
                  EXPECT_EQ(listen_unix(path, 3), 0);
                  EXPECT_EQ(listen_unix(std::string_view("\0na\0me", 6), 4), 0);
                  const Socket nameless(::socket(AF_UNIX, SOCK_STREAM, 0));
                  EXPECT_EQ(::listen(nameless.fd(), 6), -1);
                  EXPECT_EQ(::listen(-1, 1), -1); // no socket, no event
                  EXPECT_TRUE(listen_vsock(6004));
                  // Its backlog is the port that the kernel has chosen for that socket.
                  listen_on("127.0.0.1", unbound.port());
                  ::unlink(path.c_str());
              },
              {.env = env()});
    expect_exact(result);
    const Records& all = result.records;
    ASSERT_EQ(all.size(), 11u) << result.out;
    const char* const shown[] = {
        "0 7 7 TCP 4 127.0.0.1 ",        "0 8 8 TCP 6 ::1 ",     "0 5 5 TCP 4 127.0.0.1 ",
        "0 70000 4096 TCP 4 127.0.0.1 ", "0 1 1 TCP 4 0.0.0.0 ", "-95 2 null UDP 4 0.0.0.0 ",
    };
    for (std::size_t i = 0; i < std::size(shown); i++)
        EXPECT_EQ(text_of(all[i]), shown[i]);
    EXPECT_EQ(text_of(all[6]), "0 3 3 UNIX null " + path + " ");
    EXPECT_EQ(all[7].at("laddr"), std::string("@na\0me", 6));
    EXPECT_EQ(text_of(all[8]), "-22 6 null UNIX null null ");
    EXPECT_EQ(text_of(all[9]), "0 9 9 VSOCK null null ");
    EXPECT_EQ(all[9].at("lport"), 6004);
    EXPECT_EQ(all[9].at("cid"), VMADDR_CID_ANY);
    EXPECT_EQ(all[0].at("lport"), 6001);
    EXPECT_EQ(all[2].at("lport"), 6003);
    EXPECT_EQ(all[4].at("lport"), all[10].at("backlog"));
    EXPECT_EQ(all[6].at("lport"), Json());
}
INSTANTIATE_TEST_SUITE_P(Rungs, SolistenRung, testing::Values("", "kprobe"), rung_name);

TEST(Solisten, Flood)
{
    constexpr std::uint64_t kCalls = 4000;
    const Result result = watch("solisten", {}, [] {
        const Socket s = make_socket("127.0.0.1");
        for (std::uint64_t i = 0; i < kCalls; i++)
            ::listen(s.fd(), int(i % 100));
    });
    expect_exact_flood(result, result.records.size(), kCalls);
}

TEST(Solisten, TextAndFilters)
{
    const Result result = watch("solisten", {"-4", "--show-netns", "-L", "6001-6002"},
                                [] {
                                    listen_on("127.0.0.1", 1, 6001);
                                    listen_on("127.0.0.1", 1, 6003);
                                    listen_on("::1", 1, 6002);
                                    listen_unix(std::string_view("\0hidden", 7), 1);
                                },
                                {.json = false});
    const auto shown = lines(result.out);
    ASSERT_EQ(shown.size(), 2u) << result.out;
    EXPECT_EQ(words(shown[0]), words("PID COMM NETNS RET BACKLOG LIMIT PROTO IP PORT ADDR"));
    EXPECT_EQ(words(shown[1])[8], "6001");
    EXPECT_NE(result.err.find("4 seen = 1 printed + 3 filtered + 0 lost"), std::string::npos)
        << result.err;
    EXPECT_EQ(run({"solisten", "--netns", "none"}).status, 1);
}

} // namespace
