// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Packets that the kernel drops: each that a test has dropped, once, with the kernel's own reason.
#include "harness.hpp"
#include "net_world.hpp"
#include <fcntl.h>
#include <netinet/in.h>
#include <unistd.h>

namespace
{

using namespace corebox::test;

// The name of a reason, where this kernel has it.
Json reason(const std::string& name)
{
    return has_enumerator("skb_drop_reason", ("SKB_DROP_REASON_" + name).c_str()) ? Json(name)
                                                                                  : Json();
}

// Begins to connect, and does not wait: one SYN, unless it stays a second.
Socket begin_connect(const std::string& address, std::uint16_t port)
{
    Socket s = make_socket(address, SOCK_STREAM | SOCK_NONBLOCK);
    const SocketAddress to(address, port);
    ::connect(s.fd(), to.get(), to.size);
    return s;
}

class TcpdropRung : public EachRung
{
};

TEST_P(TcpdropRung, EveryPlaceAndItsReason)
{
    constexpr std::uint16_t kIn = 6101, kOut = 6102, kNobody = 6103, kLost = 6104;
    World world;
    world.drop_there(World::Hook::input, kIn);
    world.drop_there(World::Hook::output, kOut);
    const Socket listener = listen_on("127.0.0.1");
    std::uint16_t late = 0;
    const Result result = [&] {
        Tracer tool{{"tcpdrop", "--json"}, env()};
        int refused = 0;
        connect_to(World::kThere, kNobody, &refused);
        EXPECT_EQ(refused, ECONNREFUSED);
        connect_to(World::kThere6, kNobody, &refused);
        EXPECT_EQ(refused, ECONNREFUSED);
        begin_connect(World::kThere, kIn);
        world.there([&] { begin_connect(World::kHere, kOut); });
        world.make_trouble({.loss_percent = 100});
        begin_connect(World::kThere, kLost);
        world.make_trouble({});
        // Data for a reader that has closed.
        const Socket client = connect_to("127.0.0.1", listener.port());
        late = client.port();
        accept_from(listener).close();
        client.expect_end();
        client.send(10);
        return tool.stop();
    }();
    expect_exact(result);
    // With a SYN in it: answers (RST) that nobody waits for any more are dropped, too.
    const auto syns = [&](std::uint16_t port) {
        Records found;
        for (const Json& r : result.records)
            if ((r.at("lport") == port || r.at("rport") == port) && r.at("flags") == "SYN")
                found.push_back(r);
        return found;
    };
    const Records nobody = syns(kNobody);
    ASSERT_EQ(nobody.size(), 2u) << result.out;
    EXPECT_EQ(nobody[0].at("laddr"), World::kThere);
    EXPECT_EQ(nobody[0].at("raddr"), World::kHere);
    EXPECT_EQ(nobody[0].at("lport"), kNobody);
    EXPECT_EQ(nobody[0].at("direction"), "in");
    EXPECT_EQ(nobody[1].at("laddr"), World::kThere6);
    EXPECT_EQ(nobody[1].at("ip"), 6);
    for (const Json& r : nobody) {
        EXPECT_EQ(r.at("reason"), reason("NO_SOCKET")) << r;
        EXPECT_EQ(r.at("netns"), world.netns());
        EXPECT_EQ(r.at("pid"), Json());
        EXPECT_EQ(r.at("state"), Json());
        ASSERT_TRUE(r.at("kernel_stack").is_array()) << r;
        const std::string stack = r.at("kernel_stack").dump();
        EXPECT_NE(stack.find(r.at("ip") == 6 ? "tcp_v6_rcv" : "tcp_v4_rcv"), std::string::npos);
    }
    const Records in = syns(kIn), out = syns(kOut), lost = syns(kLost);
    ASSERT_EQ(in.size(), 1u) << result.out;
    EXPECT_EQ(in[0].at("reason"), reason("NETFILTER_DROP"));
    EXPECT_EQ(in[0].at("direction"), "in");
    EXPECT_EQ(in[0].at("lport"), kIn);
    ASSERT_EQ(out.size(), 1u) << result.out;
    EXPECT_EQ(out[0].at("reason"), reason("NETFILTER_DROP"));
    EXPECT_EQ(out[0].at("direction"), "out");
    EXPECT_EQ(out[0].at("rport"), kOut);
    EXPECT_EQ(out[0].at("pid"), ::getpid());
    EXPECT_EQ(out[0].at("state"), "SYN_SENT");
    ASSERT_EQ(lost.size(), 1u) << result.out;
    EXPECT_EQ(lost[0].at("reason"), reason("QDISC_DROP"));
    EXPECT_EQ(lost[0].at("pid"), ::getpid());
    const std::size_t data = count_if(result.records, [&](const Json& r) {
        return r.at("rport") == late && r.at("lport") == listener.port() &&
               r.at("flags") == "PSH|ACK" &&
               (r.at("reason") == reason("TCP_ABORT_ON_DATA") ||
                r.at("reason") == reason("NOT_SPECIFIED"));
    });
    EXPECT_EQ(data, 1u) << result.out;
    for (const Json& r : result.records)
        EXPECT_FALSE(r.at("function").get<std::string>().starts_with("0x")) << r;
}
INSTANTIATE_TEST_SUITE_P(Rungs, TcpdropRung, testing::Values("", "raw_tp,kprobe"), rung_name);

TEST(Tcpdrop, TextUdpAndFilters)
{
    const auto send_to = [](const char* address, std::uint16_t port) {
        const Socket s = make_socket(address, SOCK_DGRAM);
        const SocketAddress to(address, port);
        EXPECT_EQ(::sendto(s.fd(), "x", 1, 0, to.get(), to.size), 1);
    };
    Tracer tool{{"tcpdrop", "--udp", "--laddr", "127.0.0.0/8", "-P", "6111,6112"}};
    Tracer tcp_only{{"tcpdrop", "-P", "6111", "--json"}};
    send_to("127.0.0.1", 6111);
    send_to("::1", 6111);
    send_to("127.0.0.1", 6113);
    int refused = 0;
    const std::uint16_t from = connect_to("127.0.0.1", 6112, &refused).port();
    const Result result = tool.stop();
    const auto shown = lines(result.out);
    ASSERT_GE(shown.size(), 4u) << result.out;
    EXPECT_EQ(words(shown[0]),
              words("TIME PID IP PROTO SADDR:SPORT > DADDR:DPORT STATE FLAGS REASON FUNCTION"));
    EXPECT_EQ(words(shown[1])[6], "127.0.0.1:6111");
    EXPECT_EQ(words(shown[1])[3], "UDP");
    EXPECT_EQ(shown[2][0], ' '); // the stack
    EXPECT_NE(result.out.find("127.0.0.1:" + std::to_string(from)), std::string::npos);
    EXPECT_EQ(result.out.find("6113"), std::string::npos);
    EXPECT_EQ(tcp_only.stop().records.size(), 0u);
}

} // namespace
