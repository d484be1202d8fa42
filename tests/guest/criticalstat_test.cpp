// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// No kernel of the matrix has the preemptirq tracepoints. That the programs load is tested where
// the tool is refused, for it attaches last; what they measure, on sections between other
// tracepoints.
#include "irq.hpp"

namespace
{

using namespace corebox::test;
using std::to_string;
constexpr unsigned kPackets = 50;
constexpr const char* kSoftirqs = "softirq_entry,softirq_exit";

TEST(Criticalstat, SaysWhatTheKernelLacks)
{
    for (const auto& [option, tracepoint, config] :
         {std::tuple{"-i", "preemptirq:irq_", "CONFIG_TRACE_IRQFLAGS"},
          {"-p", "preemptirq:preempt_", "CONFIG_TRACE_PREEMPT_TOGGLE"},
          {"-pi", "preemptirq:irq_", "CONFIG_TRACE_IRQFLAGS"}}) {
        const Result r = run({"criticalstat", option, "-v"});
        EXPECT_EQ(r.status, 2) << r.err;
        EXPECT_NE(r.err.find(tracepoint), std::string::npos) << r.err;
        EXPECT_NE(r.err.find("CONFIG_PREEMPTIRQ_TRACEPOINTS"), std::string::npos) << r.err;
        EXPECT_NE(r.err.find(config), std::string::npos) << r.err;
        EXPECT_EQ(r.err.find("BEGIN PROG LOAD LOG"), std::string::npos) << r.err; // they do load
    }
    for (const std::vector<std::string>& bad : std::vector<std::vector<std::string>>{
             {"--section", "a"}, {"--section", "a,b,c"}, {"-d", "x"}, {"x"}}) {
        auto arguments = bad;
        arguments.insert(arguments.begin(), "criticalstat");
        EXPECT_EQ(run(arguments).status, 1) << testing::PrintToString(bad);
    }
    const Result r = run({"criticalstat", "--section", "softirq_entry,no_such"});
    EXPECT_EQ(r.status, 2);
    EXPECT_NE(r.err.find("no tracepoint no_such"), std::string::npos) << r.err;
}

TEST(Criticalstat, MeasuresEachSection)
{
    for (const char* rung : {"", "perf_buffer"}) {
        Child child([] {
            ::prctl(PR_SET_NAME, "se\nnd");
            send_packets(kPackets);
        });
        Child other([] { send_packets(kPackets); });
        const pid_t pid = child.pid();
        Tracer tracer({"criticalstat", "--section", kSoftirqs, "-d", "0", "--json", "--pid",
                       to_string(child.pid())},
                      forced(rung));
        other.go_wait();
        child.go_wait();
        const Result r = tracer.wait();
        EXPECT_EQ(r.status, 0) << r.err;
        expect_exact(r);
        std::size_t received = 0;
        for (const Json& row : r.records) {
            EXPECT_EQ(row.at("pid"), pid);
            EXPECT_EQ(row.at("begin"), "softirq_entry");
            EXPECT_EQ(row.at("end"), "softirq_exit");
            EXPECT_GT(row.at("total_ns"), 0);
            EXPECT_EQ(row.at("total_us"), row.at("total_ns").get<std::uint64_t>() / 1000);
            const std::string stack = row.at("stack").dump();
            EXPECT_EQ(stack.find("bpf_"), std::string::npos) << stack; // our own frames
            if (stack.find("udp_send") == stack.npos)                  // a timer's
                continue;
            EXPECT_EQ(row.at("comm"), "se\nnd");
            received++;
        }
        EXPECT_GE(received, kPackets / 2) << rung; // ksoftirqd may take some
        EXPECT_GE(r.account.at("filtered"), kPackets);
    }
}

TEST(Criticalstat, PrintsAsBcc)
{
    Child child([] { send_packets(3); });
    const pid_t pid = child.pid();
    Tracer tracer({"criticalstat", "--section", kSoftirqs, "-d", "0", "--count", "1", "--pid",
                   to_string(child.pid())});
    child.go_wait();
    const auto out = lines(tracer.wait().out);
    ASSERT_GE(out.size(), 9u);
    EXPECT_EQ(out[0], "Finding critical section with softirq_entry,softirq_exit for > 0us");
    EXPECT_EQ(out[1], "===================================");
    EXPECT_TRUE(out[2].starts_with("TASK: guest_tests (pid " + to_string(pid) + " tid ")) << out[2];
    EXPECT_EQ(out[4], "Section start: softirq_entry");
    EXPECT_EQ(out[5], "Section end:   softirq_exit");
    EXPECT_TRUE(out[6].starts_with("  ") && out[6].find("+0x") != std::string::npos) << out[6];
    EXPECT_EQ(out[out.size() - 2], "===================================");
    // A threshold that nothing reaches.
    Child again([] { send_packets(3); });
    Tracer none({"criticalstat", "--section", kSoftirqs, "-d", "60000000", "--json", "--pid",
                 to_string(again.pid())});
    again.go_wait();
    const Result r = none.wait();
    EXPECT_EQ(r.status, 0);
    EXPECT_TRUE(r.records.empty());
}

} // namespace
