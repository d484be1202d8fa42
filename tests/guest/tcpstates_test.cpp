// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Changes of TCP's states: each, in order, with the owner of the socket and never a stranger.
#include "harness.hpp"
#include "net.hpp"
#include <set>
#include <sys/mman.h>
#include <unistd.h>

namespace
{

using namespace corebox::test;
using Names = std::vector<std::string>;

// What the traced processes tell of themselves.
struct Facts {
    std::uint16_t listener, client, refused;
};

Facts* shared_facts()
{
    return static_cast<Facts*>(
        ::mmap(nullptr, sizeof(Facts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
}

// "SYN_SENT>ESTABLISHED" of the sockets with this local and remote port, in order.
Names changes(const Records& records, std::uint16_t lport, std::uint16_t rport)
{
    Names names;
    for (const Json& r : records)
        if (r.at("lport") == lport && r.at("rport") == rport)
            names.push_back(r.at("old_state").get<std::string>() + ">" +
                            r.at("new_state").get<std::string>());
    return names;
}

class TcpstatesRung : public EachRung
{
};

// One process listens and accepts, its child connects, and closes first.
TEST_P(TcpstatesRung, EveryChangeWithItsOwner)
{
    Facts& facts = *shared_facts();
    for (const std::string address : {"127.0.0.1", "::1", "::ffff:127.0.0.1"}) {
        pid_t server = 0;
        static pid_t* const client = static_cast<pid_t*>(::mmap(
            nullptr, sizeof(pid_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
        const Result result =
            watch("tcpstates", {},
                  [&] {
                      // A v4-mapped address is that of a listener that takes both.
                      Socket listener =
                          listen_on(address[0] == ':' && address[2] == 'f' ? "::" : address);
                      facts.listener = listener.port();
                      Child connector([&] {
                          Socket s = connect_to(address, facts.listener);
                          facts.client = s.port();
                          s.receive(1); // it is accepted
                          s.close();
                      });
                      *client = connector.pid();
                      connector.go();
                      Socket accepted = accept_from(listener);
                      accepted.send(1);
                      accepted.expect_end();
                      accepted.close();
                      connector.wait();
                      int refused = 0;
                      listener.close();
                      Socket(connect_to(address, facts.listener, &refused));
                      EXPECT_EQ(refused, ECONNREFUSED);
                      wait_for_ends();
                  },
                  {.env = env(), .by = nullptr, .pid = &server});
        expect_exact(result);
        const Records& all = result.records;
        EXPECT_EQ(changes(all, facts.client, facts.listener),
                  (Names{"CLOSE>SYN_SENT", "SYN_SENT>ESTABLISHED", "ESTABLISHED>FIN_WAIT1",
                         "FIN_WAIT1>FIN_WAIT2", "FIN_WAIT2>CLOSE"}));
        EXPECT_EQ(changes(all, facts.listener, facts.client),
                  (Names{"LISTEN>SYN_RECV", "SYN_RECV>ESTABLISHED", "ESTABLISHED>CLOSE_WAIT",
                         "CLOSE_WAIT>LAST_ACK", "LAST_ACK>CLOSE"}));
        EXPECT_EQ(changes(all, facts.listener, 0), (Names{"CLOSE>LISTEN", "LISTEN>CLOSE"}));
        for (const Json& r : all) {
            if (r.at("lport") == facts.client)
                EXPECT_EQ(r.at("pid"), *client) << r;
            if (r.at("lport") != facts.listener || r.at("rport") == 0)
                continue;
            // Nobody has accepted it before it is established.
            const bool accepted = r.at("old_state") != "LISTEN" && r.at("old_state") != "SYN_RECV";
            EXPECT_EQ(r.at("pid"), accepted ? Json(server) : Json()) << r;
            const bool mapped = address == "::ffff:127.0.0.1";
            EXPECT_EQ(r.at("laddr"), mapped ? "127.0.0.1" : address);
            EXPECT_EQ(r.at("ip"), address == "::1" ? 6 : 4);
        }
        // Refused: SYN_SENT is told with its port.
        const Records refused = with(all, "rport", facts.listener);
        EXPECT_EQ(count_if(refused,
                           [&](const Json& r) {
                               return r.at("lport") != facts.client && r.at("lport") != 0 &&
                                      r.at("pid") == server;
                           }),
                  2u);
    }
}
INSTANTIATE_TEST_SUITE_P(Rungs, TcpstatesRung, testing::Values("", "raw_tp,kprobe"), rung_name);

// A server that was there before the tool, with a connection of then: -p knows it.
TEST(Tcpstates, SocketsOlderThanTheToolHaveTheirOwner)
{
    Socket listener = listen_on("127.0.0.1");
    Child server([&] {
        Socket accepted = accept_from(listener);
        accepted.send(1);
        accepted.expect_end();
        accepted.close();
    });
    server.go();
    const pid_t accepter = server.pid();
    Socket client = connect_to("127.0.0.1", listener.port());
    client.receive(1);
    const std::uint16_t port = client.port();
    Tracer tool{{"tcpstates", "--json"}};
    client.close();
    EXPECT_EQ(server.wait(), 0);
    wait_for_ends();
    const Result result = tool.stop();
    expect_exact(result);
    const auto owners = [&](const char* side) {
        std::set<Json> pids;
        for (const Json& r : with(result.records, side, port))
            pids.insert(r.at("pid"));
        return pids;
    };
    EXPECT_EQ(owners("lport"), std::set<Json>{::getpid()});
    EXPECT_EQ(owners("rport"), std::set<Json>{accepter});
}

TEST(Tcpstates, FiltersOfConnections)
{
    Socket wanted = listen_on("127.0.0.1"), other = listen_on("::1");
    const auto rows = [&](std::vector<std::string> arguments) {
        const Result result = watch("tcpstates", arguments,
                                    [&] {
                                        Socket(connect_to("127.0.0.1", wanted.port())).reset();
                                        Socket(connect_to("::1", other.port())).reset();
                                        wait_for_ends();
                                    },
                                    {});
        expect_exact(result);
        std::string ports;
        for (const Json& r : result.records)
            ports += r.at("rport") == wanted.port()  ? "w"
                     : r.at("rport") == other.port() ? "o"
                                                     : "?";
        return ports;
    };
    const std::string port = std::to_string(wanted.port());
    EXPECT_EQ(rows({}), "wwwooo");
    EXPECT_EQ(rows({"-D", port}), "www");
    EXPECT_EQ(rows({"--port", port + ",1-9"}), "www");
    EXPECT_EQ(rows({"-L", "1-9"}), "");
    EXPECT_EQ(rows({"-6"}), "ooo");
    EXPECT_EQ(rows({"--raddr", "127.0.0.0/8"}), "www");
    EXPECT_EQ(rows({"--laddr", "::/64,10.0.0.0/8"}), "ooo");
    EXPECT_EQ(rows({"--netns", "self"}), "wwwooo");
    EXPECT_EQ(rows({"--netns", "17"}), "");
}

} // namespace
