// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "irq.hpp"

namespace
{

using namespace corebox::test;
constexpr const char* kSoftirqs = "/proc/softirqs";
constexpr unsigned kPackets = 100;

// Timers, and what the scheduler and RCU do meanwhile.
void work()
{
    send_packets(kPackets);
    for (int i = 0; i < 20; i++)
        ::usleep(5000);
}

TEST(Softirqs, CountsWhatTheKernelCounts)
{
    for (const char* rung : {"", "tp_btf", "raw_tp"}) {
        Bracket b;
        const Result r =
            bracketed(b, kSoftirqs, {"softirqs", "--json", "--per-cpu"}, work, forced(rung));
        std::uint64_t all = 0;
        for (const auto& [name, ledger] : b.before)
            for (unsigned cpu = 0; cpu < cpus(); cpu++) {
                const Records rows = with(with(r.records, "softirq", lower(name)), "cpu", cpu);
                ASSERT_LE(rows.size(), 1u) << name;
                const std::uint64_t n = sum_of(rows, "count");
                EXPECT_GE(n, b.at_least(name, cpu)) << name << " " << cpu << " " << rung;
                EXPECT_LE(n, b.at_most(name, cpu)) << name << " " << cpu << " " << rung;
                all += n;
            }
        EXPECT_EQ(r.account.at("printed"), all);
        // Nobody else sends.
        EXPECT_EQ(sum_of(with(r.records, "softirq", "net_rx"), "count"), kPackets) << rung;
        EXPECT_GT(sum_of(with(r.records, "softirq", "timer"), "count"), 0u);
        for (const Json& row : r.records) {
            const auto count = row.at("count").get<std::uint64_t>();
            const auto total = row.at("total_ns").get<std::uint64_t>();
            const auto max = row.at("max_ns").get<std::uint64_t>();
            EXPECT_GT(max, 0u);
            EXPECT_GE(total, max + count - 1); // none took no time: nothing is cut off
            EXPECT_LE(total, max * count);
            EXPECT_EQ(row.at("total_us"), total / 1000);
            EXPECT_EQ(row.at("max_us"), max / 1000);
        }
        EXPECT_TRUE(std::ranges::is_sorted(r.records, std::greater<>{}, [](const Json& row) {
            return row.at("total_ns").get<std::uint64_t>();
        }));
    }
}

TEST(Softirqs, HistogramsCountTheSame)
{
    for (const char* rung : {"", "raw_tp"}) {
        Bracket b;
        const Result r = bracketed(
            b, kSoftirqs, {"softirqs", "--json", "-d", "-N", "-c", "0"},
            [] {
                Child child([] {
                    pin_to(0);
                    send_packets(kPackets);
                });
                Child other([] {
                    pin_to(cpus() - 1);
                    send_packets(7);
                });
                other.go_wait();
                child.go_wait();
            },
            forced(rung));
        const Records rows = with(r.records, "softirq", "net_rx");
        ASSERT_EQ(rows.size(), 1u);
        EXPECT_EQ(rows[0].at("count"), kPackets + (cpus() == 1 ? 7 : 0));
        EXPECT_EQ(rows[0].at("unit"), "nsecs");
        EXPECT_GT(rows[0].at("min"), 0);
        EXPECT_LE(rows[0].at("p50"), rows[0].at("max"));
        std::uint64_t counted = 0;
        for (const Json& bucket : rows[0].at("buckets"))
            counted += bucket.at("count").get<std::uint64_t>();
        EXPECT_EQ(counted, rows[0].at("count"));
        if (cpus() > 1) { // the other CPU's
            EXPECT_GE(r.account.at("filtered"), 7);
        }
    }
}

TEST(Softirqs, PrintsAsBcc)
{
    const auto text = [](std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), "softirqs");
        Tracer tracer(arguments);
        work();
        const Result r = tracer.stop(SIGINT);
        EXPECT_EQ(r.status, 0) << r.err;
        return lines(r.out);
    };
    const auto plain = text({});
    ASSERT_GE(plain.size(), 3u);
    EXPECT_EQ(plain[0], "");
    EXPECT_EQ(plain[1], "SOFTIRQ          TOTAL_usecs TOTAL_count  MAX_usecs");
    EXPECT_EQ(words(plain[2]).size(), 4u) << plain[2];

    const auto counts = text({"-C", "-T"});
    ASSERT_GE(counts.size(), 4u);
    EXPECT_EQ(counts[1].size(), 8u) << counts[1]; // HH:MM:SS
    EXPECT_EQ(counts[2], "SOFTIRQ          TOTAL_count");
    EXPECT_EQ(std::ranges::count(counts, "net_rx                   100"), 1);

    const auto ns = text({"-N", "--per-cpu"});
    ASSERT_GE(ns.size(), 3u);
    EXPECT_EQ(ns[1], "SOFTIRQ           CPU    TOTAL_nsecs TOTAL_count    MAX_nsecs");

    const auto bars = text({"-d"});
    EXPECT_EQ(std::ranges::count(bars, "softirq = net_rx"), 1);
    EXPECT_EQ(
        std::ranges::count(bars, "     usecs               : count     distribution"),
        std::ranges::count_if(bars, [](const auto& l) { return l.starts_with("softirq = "); }));
}

// No count is lost from one interval to the next.
TEST(Softirqs, FloodOverManyIntervals)
{
    constexpr unsigned kFlood = 5'000;
    Tracer tracer({"softirqs", "--json", "0.1"});
    send_packets(kFlood / 2);
    tracer.wait_for("net_rx"); // one interval at least has ended
    send_packets(kFlood - kFlood / 2);
    const Result r = tracer.stop(SIGINT);
    EXPECT_EQ(r.status, 0) << r.err;
    expect_exact(r);
    const Records rows = with(r.records, "softirq", "net_rx");
    EXPECT_GT(rows.size(), 1u);
    EXPECT_EQ(sum_of(rows, "count"), kFlood);
}

TEST(Softirqs, RefusesWhatMakesNoSense)
{
    const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
        {{"-C", "-d"}, "--events"},   {{"-C", "-N"}, "--events"}, {{"-c", "x"}, "--cpu"},
        {{"-c", "4096"}, "CPU 4096"}, {{"1", "2", "3"}, "'3'"},
    };
    for (auto [arguments, message] : cases) {
        arguments.insert(arguments.begin(), "softirqs");
        const Result r = run(arguments);
        EXPECT_EQ(r.status, message == "CPU 4096" ? 2 : 1) << r.err;
        EXPECT_NE(r.err.find(message), std::string::npos) << r.err;
    }
}

} // namespace
