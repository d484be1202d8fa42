// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "irq.hpp"

namespace
{

using namespace corebox::test;
constexpr const char* kSoftirqs = "/proc/softirqs";
constexpr const char* kWait = "irq(hard) to softirq";
constexpr const char* kRun = "softirq runtime";
constexpr unsigned kPackets = 100;

// Every stage of every softirq, and whom it interrupted: a sender's packets arrive in its own time.
TEST(Softirqslower, ShowsEveryOne)
{
    for (const char* rung : {"", "tp_btf", "raw_tp", "perf_buffer"}) {
        pid_t sender = 0;
        Bracket b;
        const auto start = std::chrono::steady_clock::now();
        const Result r = bracketed(
            b, kSoftirqs, {"softirqslower", "--json", "0"},
            [&] {
                Child child([] {
                    pin_to(cpus() - 1);
                    ::prctl(PR_SET_NAME, "se\nnd\x1b[er");
                    send_packets(kPackets);
                });
                sender = child.pid();
                child.go_wait();
                for (int i = 0; i < 20; i++)
                    ::usleep(5000);
            },
            forced(rung));
        const auto took = std::chrono::steady_clock::now() - start;
        const Records runs = with(r.records, "stage", kRun),
                      waits = with(r.records, "stage", kWait);
        EXPECT_EQ(runs.size() + waits.size(), r.records.size());
        for (const auto& [name, ledger] : b.before)
            for (unsigned cpu = 0; cpu < cpus(); cpu++) {
                const auto of = [&](const Records& records) {
                    return with(with(records, "softirq", lower(name)), "cpu", cpu).size();
                };
                EXPECT_GE(of(runs), b.at_least(name, cpu)) << name << " " << cpu << " " << rung;
                EXPECT_LE(of(runs), b.at_most(name, cpu)) << name << " " << cpu << " " << rung;
                EXPECT_LE(of(waits), b.at_most(name, cpu)) << name << " " << cpu << " " << rung;
            }
        for (const Records& stage : {runs, waits}) {
            const Records packets = with(stage, "softirq", "net_rx");
            EXPECT_EQ(packets.size(), kPackets) << rung;
            std::size_t own = 0;
            for (const Json& row : packets) {
                EXPECT_EQ(row.at("cpu"), cpus() - 1);
                // Where ksoftirqd has been woken for another one, it takes this too.
                if (row.at("comm").get<std::string>().starts_with("ksoftirqd/"))
                    continue;
                EXPECT_EQ(row.at("pid"), sender) << row;
                EXPECT_EQ(row.at("comm"), "se\nnd\x1b[er");
                own++;
            }
            EXPECT_GT(own, 0u);
        }
        // No bogus first event: none is longer than we watched.
        for (const Json& row : r.records) {
            EXPECT_LT(row.at("lat_ns"),
                      std::chrono::duration_cast<std::chrono::nanoseconds>(took).count())
                << row;
            EXPECT_EQ(row.at("lat_us"), row.at("lat_ns").get<std::uint64_t>() / 1000);
        }
    }
}

TEST(Softirqslower, PidNamespace)
{
    in_namespaces(CLONE_NEWPID, [] {
        Child child([] {
            pin_to(cpus() - 1);
            ::prctl(PR_SET_NAME, "inner");
            send_packets(kPackets);
        });
        const pid_t sender = child.pid();
        Tracer tracer({"softirqslower", "--json", "0"});
        child.go_wait();
        const Result r = tracer.stop(SIGINT);
        const Records own = with(r.records, "comm", "inner");
        EXPECT_LT(sender, 20);
        EXPECT_GT(own.size(), 0u) << r.out;
        for (const Json& row : own) {
            EXPECT_EQ(row.at("pid"), sender);
            EXPECT_EQ(row.at("tid"), sender);
        }
    });
}

TEST(Softirqslower, PrintsAsBcc)
{
    Tracer tracer({"softirqslower", "0"});
    Child child([] {
        ::prctl(PR_SET_NAME, "se\nnd\x1b[er");
        send_packets(3);
    });
    child.go_wait();
    const Result r = tracer.stop(SIGINT);
    const auto out = lines(r.out);
    EXPECT_EQ(out.at(0), "TIME     STAGE                SOFTIRQ        LAT(us)  CPU COMM");
    std::size_t mine = 0;
    for (const std::string& line : out) {
        if (line.find("net_rx") == line.npos)
            continue;
        mine++;
        EXPECT_TRUE(line.ends_with(" se\\nnd\\x1b[er") || line.find(" ksoftirqd/") != line.npos)
            << line;
        EXPECT_TRUE(line.substr(9).starts_with(kWait) || line.substr(9).starts_with(kRun)) << line;
    }
    EXPECT_EQ(mine, 6u) << r.out;
}

TEST(Softirqslower, ThresholdAndCpu)
{
    // What takes an hour does not happen; the other CPU's are told as filtered.
    const auto trace = [](std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), {"softirqslower", "--json"});
        Tracer tracer(arguments);
        Child child([] {
            pin_to(0);
            send_packets(kPackets);
        });
        child.go_wait();
        const Result r = tracer.stop(SIGINT);
        EXPECT_EQ(r.status, 0) << r.err;
        expect_exact(r);
        return r;
    };
    EXPECT_TRUE(trace({"3600000000"}).records.empty());
    EXPECT_EQ(with(trace({"0", "-c", "0"}).records, "softirq", "net_rx").size(), 2 * kPackets);
    if (cpus() > 1) {
        const Result r = trace({"0", "--cpu", "1"});
        EXPECT_TRUE(with(r.records, "softirq", "net_rx").empty());
        EXPECT_EQ(with(r.records, "cpu", 1).size(), r.records.size());
        EXPECT_GE(r.account.at("filtered"), kPackets);
    }
    EXPECT_EQ(run({"softirqslower", "-c", "4096"}).status, 2);
    for (const char* bad : {"x", "-5", "1.5"})
        EXPECT_EQ(run({"softirqslower", bad}).status, 1) << bad;
}

TEST(Softirqslower, FloodIsAccountedFor)
{
    constexpr unsigned kFlood = 5'000;
    Tracer tracer({"softirqslower", "--json", "0"});
    Child child([] { send_packets(kFlood); });
    child.go_wait();
    const Result r = tracer.stop(SIGINT);
    expect_exact_flood(r, with(r.records, "softirq", "net_rx").size(), 2 * kFlood);
}

} // namespace
