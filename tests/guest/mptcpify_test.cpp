// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// New TCP sockets become MPTCP's, where the kernel can; where not, the tool says why.
#include "harness.hpp"
#include "net.hpp"
#include <netinet/in.h>

namespace
{

using namespace corebox::test;

int protocol_of(const std::string& address, int type, int asked)
{
    const Socket s = make_socket(address, type, asked);
    int protocol = 0;
    socklen_t size = sizeof protocol;
    EXPECT_EQ(::getsockopt(s.fd(), SOL_SOCKET, SO_PROTOCOL, &protocol, &size), 0);
    return protocol;
}

constexpr int kMptcp = 262;

TEST(Mptcpify, NewSocketsOfTheTargetsOnly)
{
    if (!has_function("update_socket_protocol")) {
        const Result result = run({"mptcpify"});
        EXPECT_EQ(result.status, 2);
        EXPECT_NE(result.err.find("update_socket_protocol"), std::string::npos) << result.err;
        return;
    }
    pid_t pid = 0;
    const auto make = [](int tcp) {
        EXPECT_EQ(protocol_of("127.0.0.1", SOCK_STREAM, 0), tcp);
        EXPECT_EQ(protocol_of("::1", SOCK_STREAM, IPPROTO_TCP), tcp);
        EXPECT_EQ(protocol_of("127.0.0.1", SOCK_DGRAM, 0), IPPROTO_UDP);
    };
    const Result result = watch("mptcpify", {"-t", "other,guest_tests"},
                                [&] {
                                    make(kMptcp);
                                    // Data passes, and the other side may speak plain TCP.
                                    const Socket listener = listen_on("127.0.0.1");
                                    Socket client = connect_to("127.0.0.1", listener.port());
                                    const Socket accepted = accept_from(listener);
                                    client.send(1009);
                                    accepted.receive(1009);
                                },
                                {.pid = &pid});
    expect_exact(result);
    EXPECT_EQ(result.records.size(), 4u);
    EXPECT_EQ(with(result.records, "pid", pid).size(), 4u);
    EXPECT_EQ(with(result.records, "ip", 6).size(), 1u);
    make(IPPROTO_TCP); // it is undone
    watch("mptcpify", {"-t", "guest"}, [&] { make(IPPROTO_TCP); });

    write_file("/proc/sys/net/mptcp/enabled", "0");
    const Result off = run({"mptcpify"});
    write_file("/proc/sys/net/mptcp/enabled", "1");
    EXPECT_EQ(off.status, 2);
    EXPECT_NE(off.err.find("sysctl net.mptcp.enabled=1"), std::string::npos) << off.err;
}

} // namespace
