// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// How long data waits for its reader: that of the oldest segment, told once for each read.
#include "harness.hpp"
#include "net.hpp"
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace
{

using namespace corebox::test;

struct Facts {
    std::uint16_t port; // of the reader
    std::uint16_t sender;
};

double wait_ms(const Json& r) { return r.at("wait_ns").get<double>() / 1e6; }

class TcppktlatRung : public EachRung
{
};

// Two segments come 200 ms apart and wait, one is looked at and read in parts; then a pause of
// none.
TEST_P(TcppktlatRung, AgeOfTheOldestUnreadSegment)
{
    Facts& facts = *static_cast<Facts*>(
        ::mmap(nullptr, sizeof(Facts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    for (const std::string address : {"127.0.0.1", "::1"}) {
        pid_t pid = 0;
        const Result result =
            watch("tcppktlat", {},
                  [&] {
                      const Socket listener = listen_on(address);
                      Socket sender = connect_to(address, listener.port());
                      Socket reader = accept_from(listener);
                      facts = {listener.port(), sender.port()};
                      sender.send(100);
                      ::usleep(200'000);
                      sender.send(100);
                      ::usleep(100'000);
                      char bytes[200];
                      ASSERT_EQ(::recv(reader.fd(), bytes, 50, MSG_PEEK), 50);
                      reader.receive(50);  // of the first: 300 ms
                      reader.receive(150); // the rest of it, 300 ms, and the second, 100 ms
                      sender.send(1);
                      ::usleep(30'000);
                      reader.receive(1);
                      sender.close(); // its FIN is no data
                      reader.expect_end();
                  },
                  {.env = env(), .pid = &pid});
        expect_exact(result);
        std::vector<double> waits;
        for (const Json& r : with(result.records, "lport", facts.port)) {
            waits.push_back(wait_ms(r));
            EXPECT_EQ(r.at("pid"), pid);
            EXPECT_EQ(r.at("tid"), pid);
            EXPECT_EQ(r.at("comm"), "guest_tests");
            EXPECT_EQ(r.at("laddr"), address);
            EXPECT_EQ(r.at("rport"), facts.sender);
        }
        EXPECT_EQ(result.records.size(), waits.size());
        // The kernel may have joined the two segments, which are then read at once.
        ASSERT_GE(waits.size(), 3u) << result.out;
        ASSERT_LE(waits.size(), 4u) << result.out;
        EXPECT_GE(waits[0], 300);
        EXPECT_LT(waits[0], 600);
        EXPECT_GE(waits[1], waits[0]);
        EXPECT_LT(waits[1], waits[0] + 50);
        if (waits.size() == 4) {
            EXPECT_GE(waits[2], 100);
            EXPECT_LT(waits[2], waits[0] - 150);
        }
        EXPECT_GE(waits.back(), 30);
        EXPECT_LT(waits.back(), 100);
    }
}
INSTANTIATE_TEST_SUITE_P(Rungs, TcppktlatRung, testing::Values("", "raw_tp"), rung_name);

// One byte there and back, read at once.
void ping_pong(int times)
{
    const Socket listener = listen_on("127.0.0.1");
    Socket a = connect_to("127.0.0.1", listener.port()), b = accept_from(listener);
    for (int i = 0; i < times; i++) {
        a.send(1);
        b.receive(1);
    }
}

TEST(Tcppktlat, Flood)
{
    constexpr int kReads = 5000;
    const Result result = watch("tcppktlat", {}, [] { ping_pong(kReads); });
    expect_exact_flood(result, result.records.size(), kReads);
}

TEST(Tcppktlat, TextThresholdAndFilters)
{
    const auto text = [](std::vector<std::string> arguments) {
        const Result result = watch("tcppktlat", arguments, [] { ping_pong(7); }, {.json = false});
        EXPECT_EQ(result.status, 0) << result.err;
        return lines(result.out);
    };
    const auto all =
        text({"-T", "-w", "--columns", "pid,tid,comm,laddr,lport,raddr,rport,wait_ms"});
    ASSERT_EQ(all.size(), 8u);
    EXPECT_EQ(words(all[0]), (std::vector<std::string>{"PID", "TID", "COMM", "LADDR", "LPORT",
                                                       "RADDR", "RPORT", "MS"}));
    EXPECT_EQ(words(all[1])[3], "127.0.0.1");
    EXPECT_EQ(text({"1000000"}).size(), 1u);
    EXPECT_EQ(text({"-6"}).size(), 1u);
    EXPECT_EQ(text({"--where", "segments > 1"}).size(), 1u);
    EXPECT_EQ(run({"tcppktlat", "-l", "99999"}).status, 1);
    EXPECT_EQ(run({"tcppktlat", "soon"}).status, 1);
}

} // namespace
