// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Requests whose initiator, disk and least latency are known.
#include "block.hpp"
#include <algorithm>
#include <sys/prctl.h>
#include <thread>

namespace
{

using namespace corebox::test;

std::uint64_t total(const Records& records)
{
    std::uint64_t n = 0;
    for (const Json& r : records)
        n += r.at("count").get<std::uint64_t>();
    return n;
}

bool has_frame(const Json& row, std::string_view part)
{
    return std::ranges::any_of(row.at("kernel"), [&](const Json& frame) {
        return frame.get<std::string>().find(part) != std::string::npos;
    });
}

Result trace(std::vector<std::string> arguments, const std::function<void()>& work,
             const Environment& env = {})
{
    arguments.insert(arguments.begin(), "biostacks");
    return trace_until(arguments, env, [&](Tracer&) { work(); });
}

class Biostacks : public testing::Test
{
protected:
    static void SetUpTestSuite() { make_slow_disks(); }
};

TEST_F(Biostacks, LatencyByStackOfTheInitiator)
{
    for (const auto& [rung, scheduler] :
         {std::pair{"", "none"}, {"", "mq-deadline"}, {"bio", "mq-deadline"}}) {
        set_queue("nullb0", "scheduler", scheduler);
        pid_t reading = 0, writing = 0;
        const auto work = [&] {
            Child reader([] {
                ::prctl(PR_SET_NAME, "stack;reader");
                File(kSlow).read(19);
                File(kSlow2).read(4);
            });
            Child writer([] {
                ::prctl(PR_SET_NAME, "stack-writer");
                File(kSlow).write(13);
            });
            reading = reader.pid();
            writing = writer.pid();
            reader.go();
            writer.go();
            EXPECT_EQ(reader.wait(), 0);
            EXPECT_EQ(writer.wait(), 0);
        };
        const Result r = trace({"--json"}, work, forced(rung));
        expect_exact(r);
        const Records reads = with(r.records, "pid", reading);
        EXPECT_EQ(total(with(reads, "disk", "nullb0")), 19u) << rung << scheduler;
        EXPECT_EQ(total(with(reads, "disk", "nullb1")), 4u) << rung << scheduler;
        const Records writes = with(r.records, "pid", writing);
        EXPECT_EQ(total(writes), 13u) << rung << scheduler;
        for (const Json& row : reads) {
            EXPECT_EQ(row.at("comm"), "stack;reader");
            EXPECT_TRUE(has_frame(row, "vfs_read") || has_frame(row, "ksys_pread")) << row;
            EXPECT_FALSE(has_frame(row, "bpf")) << row;
            EXPECT_GE(row.at("min").get<double>() + clock_error_us(), kLatencyUs);
        }
        for (const Json& row : writes)
            EXPECT_TRUE(has_frame(row, "vfs_write") || has_frame(row, "ksys_pwrite")) << row;
        // The one that took longest in all comes last, and no two rows read the same.
        EXPECT_TRUE(std::ranges::is_sorted(
            r.records, {}, [](const Json& row) { return row.at("sum").get<double>(); }));
        for (std::size_t i = 0; i < r.records.size(); i++)
            for (std::size_t j = 0; j < i; j++)
                EXPECT_FALSE(r.records[i].at("pid") == r.records[j].at("pid") &&
                             r.records[i].at("disk") == r.records[j].at("disk") &&
                             r.records[i].at("kernel") == r.records[j].at("kernel"));
    }
    set_queue("nullb0", "scheduler", "none");
}

// A stack that has been seen is not unwound again: what comes from two places stays apart.
TEST_F(Biostacks, KnownStacksAreTold)
{
    for (const char* rung : {"", "bio"}) {
        pid_t pid = 0;
        const Result r = trace(
            {"--json", "-d", "nullb0"},
            [&] {
                Child child([] {
                    const File disk(kSlow);
                    for (unsigned i = 0; i < 60; i++) {
                        disk.read(1);
                        disk.write(1);
                    }
                });
                pid = child.pid();
                child.go_wait();
            },
            forced(rung));
        expect_exact(r);
        ASSERT_EQ(r.records.size(), 2u) << r.out;
        for (const Json& row : r.records) {
            const bool reads = has_frame(row, "blkdev_read_iter") || has_frame(row, "pread");
            EXPECT_EQ(row.at("pid"), pid);
            EXPECT_EQ(row.at("count"), 60) << row;
            EXPECT_NE(reads, has_frame(row, "write")) << row;
        }
        EXPECT_NE(has_frame(r.records[0], "write"), has_frame(r.records[1], "write"));
    }
}

TEST_F(Biostacks, FoldedAndFlame)
{
    const File disk(kSlow);
    const TempDir dir;
    const std::string svg = dir / "out.svg";
    const Result r = trace({"-f", "-a", "-d", "nullb0", "-p", std::to_string(::getpid())},
                           [&] { disk.read(5); });
    std::uint64_t us = 0;
    for (const std::string& line : lines(r.out)) {
        EXPECT_TRUE(line.starts_with("guest_tests;")) << line;
        EXPECT_NE(line.find("_[k];"), line.npos) << line;
        us += std::stoull(line.substr(line.rfind(' ') + 1));
    }
    EXPECT_GE(us + 5 * clock_error_us(), 5u * kLatencyUs) << r.out;
    const Result drawn = trace({"--flame", svg, "-d", "nullb0"}, [&] { disk.read(5); });
    EXPECT_NE(drawn.err.find("wrote " + svg), drawn.err.npos) << drawn.err;
    const std::string picture = read_file(svg);
    EXPECT_TRUE(picture.find("<svg") != picture.npos);
    EXPECT_NE(picture.find("guest_tests"), picture.npos);
}

TEST_F(Biostacks, TextAndFilters)
{
    const File disk(kSlow), other(kSlow2);
    const Result r = trace({"-m", "-d", "nullb0"}, [&] {
        disk.read(3);
        other.read(2);
    });
    EXPECT_TRUE(r.out.starts_with("Tracing block I/O with init stacks. Hit Ctrl-C to end.\n"));
    const std::string head = "guest_tests    " + std::to_string(::getpid());
    const auto at = r.out.find(head);
    ASSERT_NE(at, r.out.npos) << r.out;
    const auto first = lines(std::string_view(r.out).substr(at)).at(0);
    EXPECT_EQ(words(first),
              (std::vector<std::string>{"guest_tests", std::to_string(::getpid()), "nullb0"}));
    EXPECT_NE(r.out.find("     msecs               : count     distribution\n"), r.out.npos);
    EXPECT_EQ(r.out.find("nullb1"), r.out.npos);
    EXPECT_NE(r.out.find("count 3, "), r.out.npos) << r.out;
    const Result none = trace({"--json", "-p", "1"}, [&] { disk.read(3); });
    EXPECT_EQ(none.records.size(), 0u);
    EXPECT_GE(none.account.at("filtered").get<unsigned>(), 3u);
}

TEST_F(Biostacks, DurationIntervalsAndBadInput)
{
    const Result ends = run({"biostacks", "0.3"});
    EXPECT_EQ(ends.status, 0) << ends.err;
    const File disk(kSlow);
    Tracer tracer({"biostacks", "--json", "-d", "nullb0", "-i", "0.3"});
    disk.read(3);
    tracer.wait_for("\"nullb0\"");
    disk.read(4);
    const Result r = tracer.stop();
    EXPECT_EQ(total(r.records), 7u);
    EXPECT_GE(r.records.size(), 2u);
    for (const auto& [argument, status] : std::vector<std::pair<std::vector<std::string>, int>>{
             {{"-d", "nosuchdisk"}, 2},
             {{"-i", "0"}, 1},
             {{"0"}, 1},
             {{"-Z"}, 1},
             {{"--flame", "/no/such/file.svg"}, 4}}) {
        std::vector<std::string> argv{"biostacks"};
        argv.insert(argv.end(), argument.begin(), argument.end());
        EXPECT_EQ(run(argv).status, status) << argument[0];
    }
}

} // namespace
