// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Paths of packets: each hop once, in order, followed from one network namespace into another, with
// their owners, and where and why they end.
#include "harness.hpp"
#include "net_world.hpp"
#include <algorithm>
#include <unistd.h>

namespace
{

using namespace corebox::test;
using Names = std::vector<std::string>;

constexpr std::uint16_t kRead = 7001, kClosed = 7002, kFiltered = 7003;
constexpr std::size_t kBytes = 1009;

Socket receiver(const World& world, const std::string& address)
{
    Socket s;
    world.there([&] {
        s = make_socket(address, SOCK_DGRAM);
        const SocketAddress own(address, kRead);
        EXPECT_EQ(::bind(s.fd(), own.get(), own.size), 0);
    });
    return s;
}

void send_to(const Socket& s, const std::string& address, std::uint16_t port)
{
    const std::vector<char> zeros(kBytes);
    const SocketAddress to(address, port);
    EXPECT_EQ(::sendto(s.fd(), zeros.data(), kBytes, 0, to.get(), to.size), ssize_t(kBytes));
}

// "queue" and so on, of the packets to this port, in order.
Names path(const Records& records)
{
    Names names;
    for (const Json& r : records)
        names.push_back(r.at("event"));
    return names;
}

const Names kArrival = {"queue", "transmit", "rx", "receive"};
Names and_then(Names names, const Names& more)
{
    names.insert(names.end(), more.begin(), more.end());
    return names;
}

class SkbtraceRung : public EachRung
{
};

// The filter is of the sender's interface: all behind it is seen because the packet is followed.
TEST_P(SkbtraceRung, FromTheSenderToTheReaderOrTheDrop)
{
    const World world;
    world.drop_there(World::Hook::input, kFiltered);
    const bool has_reasons = has_enumerator("skb_drop_reason", "SKB_DROP_REASON_NO_SOCKET");
    for (const std::string address : {World::kThere, World::kThere6}) {
        const bool v6 = address == World::kThere6;
        const std::size_t headers = v6 ? 40 + 8 : 20 + 8;
        pid_t sender = 0;
        const Result result = watch(
            "skbtrace", {"-i", "cbw0", "--proto", "udp", "--rport", "7001-7003", "--drop-stack"},
            [&] {
                const Socket reader = receiver(world, address);
                const Socket s = make_socket(address, SOCK_DGRAM);
                for (const std::uint16_t port : {kRead, kClosed, kFiltered})
                    send_to(s, address, port);
                reader.receive(kBytes);
            },
            {.env = env(), .by = nullptr, .pid = &sender});
        expect_exact(result);
        const Records read = with(result.records, "dport", kRead),
                      closed = with(result.records, "dport", kClosed),
                      filtered = with(result.records, "dport", kFiltered);
        // Later kernels (7.2) free what was read at another time, without a tracepoint.
        EXPECT_EQ(path(read),
                  and_then(kArrival, read.size() == kArrival.size() + 1 ? Names{"read"}
                                                                        : Names{"read", "end"}))
            << result.out;
        EXPECT_EQ(path(closed), and_then(kArrival, {"drop"})) << result.out;
        EXPECT_EQ(path(filtered), and_then(kArrival, {"drop"})) << result.out;
        for (const Records& one : {read, closed, filtered})
            for (const Json& r : one) {
                EXPECT_EQ(r.at("packet"), one[0].at("packet"));
                EXPECT_EQ(r.at("span_us").is_null(), &r == one.data()) << r;
                EXPECT_EQ(r.at("bytes"), kBytes + headers) << r;
                EXPECT_EQ(r.at("daddr"), address) << r;
                EXPECT_EQ(r.at("protocol"), "UDP") << r;
                const bool here = r.at("event") == "queue" || r.at("event") == "transmit";
                EXPECT_EQ(r.at("netns") != world.netns(), here) << r;
                if (here || r.at("event") == "receive")
                    EXPECT_EQ(r.at("interface"), here ? "cbw0" : "cbw1") << r;
                if (here)
                    EXPECT_EQ(r.at("pid"), sender) << r;
            }
        if (closed.size() != 5 || filtered.size() != 5)
            continue;
        EXPECT_NE(closed[0].at("packet"), filtered[0].at("packet"));
        EXPECT_EQ(closed[4].at("reason"), has_reasons ? Json("NO_SOCKET") : Json());
        EXPECT_EQ(filtered[4].at("reason"), has_reasons ? Json("NETFILTER_DROP") : Json());
        const std::string function = filtered[4].at("function");
        EXPECT_TRUE(function == "nf_hook_slow" || function.starts_with("nft_do_chain")) << function;
        EXPECT_GT(filtered[4].at("kernel_stack").size(), 3u);
        EXPECT_TRUE(closed[3].at("kernel_stack").is_null());
    }
}
INSTANTIATE_TEST_SUITE_P(Rungs, SkbtraceRung, testing::Values("", "raw_tp,kprobe"), rung_name);

// The chain that dropped a packet, who that was in the kernel, and what is said of it.
TEST(Skbtrace, NamesTheChainThatDroppedAPacket)
{
    const World world;
    world.drop_there(World::Hook::input, kFiltered);
    const Result result = watch("skbtrace", {"--diag", "--proto", "udp", "--rport", "7002-7003"},
                                [&] {
                                    const Socket s = make_socket(World::kThere, SOCK_DGRAM);
                                    for (const std::uint16_t port : {kClosed, kFiltered})
                                        send_to(s, World::kThere, port);
                                },
                                {.by = nullptr});
    expect_exact(result);
    const Records drops = with(with(result.records, "verdict", "drop"), "dport", kFiltered);
    ASSERT_EQ(drops.size(), 1u) << result.out;
    const Json& drop = drops[0];
    const Records lines = with(result.records, "packet", drop.at("packet"));
    EXPECT_EQ(lines.back().at("event"), "netfilter");
    EXPECT_EQ(lines[lines.size() - 2].at("event"), "drop");
    EXPECT_EQ(drop.at("nf_family"), "ip") << drop;
    EXPECT_EQ(drop.at("nf_hook"), "input") << drop;
    EXPECT_EQ(drop.at("nf_priority"), 0) << drop;
    EXPECT_EQ(drop.at("netns"), world.netns()) << drop;
    EXPECT_EQ(drop.at("function"), "nft_do_chain_inet") << drop;
    // Before 5.11 modules have no BTF.
    const bool has_names = ::access("/sys/kernel/btf/nf_tables", F_OK) == 0;
    EXPECT_EQ(drop.at("nf_table"), has_names ? Json("cb1_7003") : Json()) << drop;
    EXPECT_EQ(drop.at("nf_chain"), has_names ? Json("drops") : Json()) << drop;
    EXPECT_NE(result.err.find("no socket receives on port 7002 of 10.66.0.2"), std::string::npos)
        << result.err;
    EXPECT_NE(result.err.find(
                  has_names ? "chain drops of nftables' table cb1_7003 dropped it at hook input"
                            : "nft_do_chain_inet() dropped it at hook input"),
              std::string::npos)
        << result.err;
}

// Through a bridge, with another port by NAT, and inside of a tunnel: each packet is one.
TEST(Skbtrace, FollowsThroughBridgeTranslationAndTunnel)
{
    constexpr std::uint16_t kTranslated = 7004;
    const World world;
    world.bridge_there();
    world.translate_there(kTranslated, kRead);
    world.add_tunnel();
    const Result result = watch("skbtrace", {"--proto", "udp", "--rport", "7001,7004"},
                                [&] {
                                    const Socket reader = receiver(world, "0.0.0.0");
                                    const Socket s = make_socket(World::kThere, SOCK_DGRAM);
                                    send_to(s, World::kThere, kRead);
                                    send_to(s, World::kThere, kTranslated);
                                    send_to(s, World::kTunnelThere, kRead);
                                    for (int i = 0; i < 3; i++)
                                        reader.receive(kBytes);
                                },
                                {.by = nullptr});
    expect_exact(result);
    std::map<std::uint64_t, Records> packets;
    for (const Json& r : result.records)
        packets[r.at("packet")].push_back(r);
    std::map<Json, Records> by_first; // by what it was as it left
    for (const auto& [number, hops] : packets)
        by_first[Json::array({hops[0].at("daddr"), hops[0].at("dport")})] = hops;
    ASSERT_EQ(packets.size(), 3u) << result.out;
    const auto find = [&](const char* address, std::uint16_t port) {
        return by_first[Json::array({address, port})];
    };
    const auto interfaces = [](const Records& hops) {
        Names names;
        for (const Json& r : hops)
            if (r.at("interface").is_string() &&
                (names.empty() || names.back() != r.at("interface")))
                names.push_back(r.at("interface"));
        return names;
    };
    const Records bridged = find(World::kThere, kRead), tunneled = find(World::kTunnelThere, kRead),
                  translated = find(World::kThere, kTranslated);
    EXPECT_EQ(interfaces(bridged), (Names{"cbw0", "cbw1", "cbbr"})) << Json(bridged);
    ASSERT_EQ(with(translated, "event", "read").size(), 1u) << result.out;
    EXPECT_EQ(with(translated, "event", "read")[0].at("dport"), kRead);
    EXPECT_EQ(interfaces(tunneled), (Names{"cbx0", "cbw0", "cbw1", "cbbr", "cbx1"}))
        << Json(tunneled);
    EXPECT_EQ(with(tunneled, "dport", 4789).size(), 5u) << Json(tunneled);
    EXPECT_EQ(with(tunneled, "event", "read").size(), 1u) << Json(tunneled);
}

// Each function that has the packet, between the tracepoints; a clone goes on as the packet that it
// is of.
TEST(Skbtrace, DeepModeShowsFunctions)
{
    const Result result = watch("skbtrace", {"--deep", "--proto", "udp", "--rport", "7001"},
                                [&] {
                                    const Socket reader = make_socket("127.0.0.1", SOCK_DGRAM);
                                    const SocketAddress own("127.0.0.1", kRead);
                                    EXPECT_EQ(::bind(reader.fd(), own.get(), own.size), 0);
                                    const Socket s = make_socket("127.0.0.1", SOCK_DGRAM);
                                    send_to(s, "127.0.0.1", kRead);
                                    reader.receive(kBytes);
                                },
                                {.by = nullptr});
    expect_exact(result);
    ASSERT_FALSE(result.records.empty()) << result.err;
    Names functions;
    for (const Json& r : result.records) {
        EXPECT_EQ(r.at("packet"), result.records[0].at("packet")) << r;
        if (r.at("event") == "function")
            functions.push_back(r.at("function"));
    }
    std::size_t at = 0;
    for (const std::string name : {"ip_output", "dev_hard_start_xmit", "ip_rcv", "ip_local_deliver",
                                   "udp_queue_rcv_one_skb"}) {
        const auto next = std::find(functions.begin() + std::ptrdiff_t(at), functions.end(), name);
        ASSERT_NE(next, functions.end()) << name << " in " << result.out;
        at = std::size_t(next - functions.begin());
    }
    EXPECT_EQ(with(result.records, "event", "read").size(), 1u) << result.out;
}

// TCP's packets end without a trace, and their memory is soon another's: none may take the place of
// one that was followed. Both directions are asked for by one end.
TEST(Skbtrace, ReusedMemoryIsAnotherPacket)
{
    constexpr int kSessions = 300;
    std::uint16_t wanted = 0;
    const Socket traced = listen_on("127.0.0.1"), other = listen_on("127.0.0.1");
    wanted = traced.port();
    const Result result = watch("skbtrace", {"--rport", std::to_string(wanted)},
                                [&] {
                                    for (int i = 0; i < kSessions; i++)
                                        for (const Socket* listener : {&traced, &other}) {
                                            Socket client =
                                                connect_to("127.0.0.1", listener->port());
                                            Socket server = accept_from(*listener);
                                            client.send(17);
                                            server.receive(17);
                                            server.send(19);
                                            client.receive(19);
                                            client.reset();
                                        }
                                },
                                {.by = nullptr});
    if (!preempts_itself())
        expect_exact(result);
    std::map<std::uint64_t, Records> packets;
    for (const Json& r : result.records) {
        EXPECT_TRUE(r.at("sport") == wanted || r.at("dport") == wanted) << r;
        packets[r.at("packet")].push_back(r);
    }
    std::size_t syns = 0, resets = 0, reads = 0;
    for (const auto& [number, hops] : packets) {
        syns += hops[0].at("tcp_flags") == "S";
        resets += hops[0].at("tcp_flags").get<std::string>().find('R') != std::string::npos;
        reads += with(hops, "event", "read").size();
        if (!preempts_itself())
            EXPECT_EQ(with(hops, "event", "queue").size(), 1u) << Json(hops);
        for (const Json& r : hops)
            EXPECT_EQ(r.at("sport"), hops[0].at("sport")) << Json(hops);
    }
    if (preempts_itself())
        return;
    EXPECT_EQ(syns, std::size_t(kSessions));
    EXPECT_EQ(resets, std::size_t(kSessions));
    EXPECT_EQ(reads, std::size_t(2 * kSessions));
}

TEST(Skbtrace, TextOwnersAndWhatIsRefused)
{
    // Of the processes of a command.
    const Result text =
        run({"skbtrace", "-w", "--proto", "icmp", "--", "ping", "-c", "1", "127.0.0.1"});
    EXPECT_EQ(text.status, 0) << text.err;
    EXPECT_NE(text.out.find(" ICMP "), std::string::npos) << text.out;
    EXPECT_NE(text.out.find(" ping "), std::string::npos) << text.out;
    for (const std::vector<std::string>& bad : {std::vector<std::string>{"--mark", "1/"},
                                                {"--proto", "tpc"},
                                                {"-i", "an-interface-name"}})
        EXPECT_EQ(run({"skbtrace", bad[0], bad[1]}).status, 1) << bad[1];
}

} // namespace
