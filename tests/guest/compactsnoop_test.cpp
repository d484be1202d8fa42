// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Compaction of all zones, asked for by hand, and for huge pages; each as the kernel's own tracing
// has it.
#include "event_log.hpp"
#include <algorithm>

namespace
{

using namespace corebox::test;

void compact() { write_file("/proc/sys/vm/compact_memory", "1"); }

class CompactsnoopRung : public EachRung
{
};

TEST_P(CompactsnoopRung, EachAsTheKernelTracesIt)
{
    Child child([] {
        compact();
        // More than there are: the last ones need compaction.
        write_file("/proc/sys/vm/nr_hugepages", "100000");
        write_file("/proc/sys/vm/nr_hugepages", "0");
    });
    const pid_t pid = child.pid();
    const EventLog log({"compaction/mm_compaction_begin", "compaction/mm_compaction_end",
                        "compaction/mm_compaction_finished"},
                       pid);
    Tracer tool{{"compactsnoop", "-e", "--json", "-p", std::to_string(pid)}, env()};
    child.go_wait();
    const Result result = tool.wait();
    expect_exact(result);

    std::size_t at = 0;
    double ours_s = 0, theirs_s = 0, begin_s = 0;
    std::string zone, node, order;
    for (const EventLog::Line& line : log.read()) {
        SCOPED_TRACE(line.event + ": " + line.text);
        if (line.event == "mm_compaction_begin") {
            begin_s = line.time_s;
            continue;
        }
        if (line.event == "mm_compaction_finished") {
            zone = line.field("zone");
            node = line.field("node");
            order = line.field("order");
            continue;
        }
        ASSERT_LT(at, result.records.size());
        const Json& record = result.records[at++];
        SCOPED_TRACE(record.dump());
        EXPECT_EQ(record["zone"], zone);
        EXPECT_EQ(std::to_string(int(record["node"])), node);
        EXPECT_EQ(std::to_string(int(record["order"])), order);
        EXPECT_EQ(record["mode"], line.field("mode") == "sync" ? "SYNC" : "ASYNC");
        EXPECT_EQ(record["status"], line.field("status"));
        EXPECT_EQ(record["kind"], order == "-1" ? "manual" : "direct");
        EXPECT_EQ(record["pid"], pid);
        EXPECT_LT(record["min_pages"], record["low_pages"]);
        EXPECT_LT(record["low_pages"], record["high_pages"]);
        EXPECT_GT(record["free_pages"], 0);
        ours_s += double(record["lat_ns"]) / 1e9;
        theirs_s += line.time_s - begin_s;
    }
    EXPECT_EQ(at, result.records.size());
    EXPECT_GE(with(result.records, "kind", "manual").size(), 2u); // DMA and DMA32 at least
    EXPECT_NEAR(ours_s, theirs_s, theirs_s * 0.5 + 0.02);
    EXPECT_EQ(result.records[0]["fragidx"], nullptr); // of no order
}

INSTANTIATE_TEST_SUITE_P(Rungs, CompactsnoopRung, testing::Values("", "kprobe"), rung_name);

TEST(Compactsnoop, TextStacksAndBadInput)
{
    const Result result = watch("compactsnoop", {"-TeK"}, compact, {.json = false});
    const auto text = lines(result.out);
    ASSERT_GT(text.size(), 5u) << result.out << result.err;
    EXPECT_EQ(words(text[0]), words("TIME(s) COMM PID NODE ZONE ORDER MODE FRAGIDX MIN LOW HIGH "
                                    "FREE LAT(ms) STATUS KIND"));
    const auto row = words(text[1]);
    EXPECT_EQ(row[1], "guest_tests");
    EXPECT_EQ(row[5], "-1");
    EXPECT_EQ(row[6], "SYNC");
    EXPECT_EQ(row[14], "manual");
    EXPECT_NE(result.out.find("sysctl_compaction_handler"), std::string::npos) << result.out;
    EXPECT_EQ(run({"compactsnoop", "1"}).status, 1);
}

} // namespace
