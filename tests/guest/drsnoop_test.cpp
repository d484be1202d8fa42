// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Direct reclaim: of a process that wants more huge pages than there are, and of a file that is
// larger than the limit of its cgroup; each as the kernel's own tracing has it.
#include "event_log.hpp"
#include "memory_cgroup.hpp"
#include <algorithm>
#include <fstream>

namespace
{

using namespace corebox::test;

constexpr std::size_t kLimit = 4 << 20;

// More than there are: the last ones need reclaim, which fails in the end.
void want_huge_pages()
{
    write_file("/proc/sys/vm/nr_hugepages", "100000");
    write_file("/proc/sys/vm/nr_hugepages", "0");
}

// A file that is larger than the limit of the cgroup which reads it.
class LargeFile
{
public:
    LargeFile() : box_("drsnoop", kLimit)
    {
        write_file(kPath, std::string(3 * kLimit, 'x'));
        drop_caches();
    }
    ~LargeFile() { ::unlink(kPath); }

    void read() const
    {
        box_->enter();
        std::ifstream file(kPath);
        char block[4096];
        while (file.read(block, sizeof block)) {
        }
    }

private:
    static constexpr const char* kPath = "/mnt/ext4/drsnoop";
    MemoryCgroup box_;
};

// Names of flags, in any order.
std::vector<std::string> flags_of(std::string text)
{
    std::ranges::replace(text, '|', ' ');
    auto flags = words(text);
    std::ranges::sort(flags);
    return flags;
}

class DrsnoopRung : public EachRung
{
};

TEST_P(DrsnoopRung, EachAsTheKernelTracesIt)
{
    const LargeFile file;
    Child child([&] {
        want_huge_pages();
        file.read();
    });
    const EventLog log(
        {"vmscan/mm_vmscan_direct_reclaim_begin", "vmscan/mm_vmscan_direct_reclaim_end",
         "vmscan/mm_vmscan_memcg_reclaim_begin", "vmscan/mm_vmscan_memcg_reclaim_end"},
        child.pid());
    const pid_t pid = child.pid();
    Tracer tool{{"drsnoop", "--cgroups", "--json", "-p", std::to_string(pid)}, env()};
    child.go_wait();
    const Result result = tool.wait();
    expect_exact(result);

    const auto seen = log.read();
    ASSERT_EQ(result.records.size() * 2, seen.size()) << result.out;
    double ours_s = 0, theirs_s = 0;
    std::size_t direct = 0, pages = 0;
    for (std::size_t i = 0; i < result.records.size(); i++) {
        const Json& record = result.records[i];
        const EventLog::Line &begin = seen[2 * i], &end = seen[2 * i + 1];
        SCOPED_TRACE(record.dump() + "\n" + begin.text + "\n" + end.text);
        const bool is_direct = begin.event == "mm_vmscan_direct_reclaim_begin";
        EXPECT_EQ(record["kind"], is_direct ? "direct" : "cgroup");
        EXPECT_EQ(std::to_string(int(record["order"])), begin.field("order"));
        EXPECT_EQ(flags_of(record["gfp"]), flags_of(begin.field("gfp_flags")));
        EXPECT_EQ(std::to_string(int(record["pages"])), end.field("nr_reclaimed"));
        EXPECT_EQ(record["pid"], pid);
        EXPECT_EQ(record["tid"], pid);
        EXPECT_GT(record["free_kib"], 1000);
        EXPECT_LT(record["free_kib"], 1024 * 1024);
        ours_s += double(record["lat_ns"]) / 1e9;
        theirs_s += end.time_s - begin.time_s;
        direct += is_direct ? 1 : 0;
        pages += std::size_t(record["pages"]);
    }
    EXPECT_NEAR(ours_s, theirs_s, theirs_s * 0.5 + 0.02);
    EXPECT_GT(direct, 0u);
    EXPECT_LT(direct, result.records.size());
    EXPECT_GT(pages, 3 * kLimit / kPage / 2);
}

INSTANTIATE_TEST_SUITE_P(Rungs, DrsnoopRung, testing::Values("", "raw_tp"), rung_name);

TEST(Drsnoop, TextStacksAndBadInput)
{
    const LargeFile file;
    const Result result = watch("drsnoop", {"-TUv", "--cgroups", "--kernel-stack", "-n", "guest_"},
                                [&] { file.read(); }, {.json = false});
    const auto text = lines(result.out);
    ASSERT_GT(text.size(), 5u) << result.out << result.err;
    EXPECT_EQ(words(text[0]), words("TIME(s) UID COMM PID LAT(ms) PAGES FREE(KB) ORDER KIND GFP"));
    const auto row = words(text[1]);
    EXPECT_EQ(row[0], "0.000000000");
    EXPECT_EQ(row[1], "0");
    EXPECT_EQ(row[2], "guest_tests");
    EXPECT_EQ(row[7], "0");
    EXPECT_EQ(row[8], "cgroup");
    EXPECT_NE(result.out.find("try_to_free_mem_cgroup_pages"), std::string::npos) << result.out;
    const Result none = watch("drsnoop", {"--cgroups", "-n", "nobody"}, [&] { file.read(); });
    EXPECT_EQ(none.records.size(), 0u);
    EXPECT_GT(none.account["filtered"], 3);
    EXPECT_EQ(run({"drsnoop", "1"}).status, 1);
}

} // namespace
