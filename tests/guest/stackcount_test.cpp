// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// How often each path of calls leads to a function, a tracepoint or a USDT probe.
#include "harness.hpp"
#include <algorithm>
#include <cstdlib>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

// Frames by names that nothing else has, each with a frame pointer, as the kernel follows those.
#define FRAME [[gnu::noinline, gnu::noipa, gnu::optimize("no-optimize-sibling-calls")]]
#define KEEP_FRAME asm volatile("" : : "r"(__builtin_frame_address(0)) : "memory")

extern "C" {
FRAME void cbtest_stack_leaf() { KEEP_FRAME; }
FRAME void cbtest_stack_other() { KEEP_FRAME; }
FRAME void cbtest_stack_middle()
{
    KEEP_FRAME;
    cbtest_stack_leaf();
    KEEP_FRAME;
}
FRAME void cbtest_stack_one()
{
    KEEP_FRAME;
    cbtest_stack_middle();
    KEEP_FRAME;
}
FRAME void cbtest_stack_two()
{
    KEEP_FRAME;
    cbtest_stack_middle();
    KEEP_FRAME;
}
// The C library's functions keep no frame pointer, which hides who calls them.
FRAME void cbtest_stack_make(const char* dir, int n)
{
    KEEP_FRAME;
    for (int i = 0; i < n; i++)
        if (::mkdir((std::string(dir) + "/" + std::to_string(i)).c_str(), 0755) != 0)
            std::abort();
    KEEP_FRAME;
}
FRAME void cbtest_stack_dirs(const char* dir, int n)
{
    KEEP_FRAME;
    cbtest_stack_make(dir, n);
    KEEP_FRAME;
}
FRAME void cbtest_stack_wait(int n)
{
    KEEP_FRAME;
    for (int i = 0; i < n; i++)
        ::usleep(10'000); // long enough that it is not over before it began
    KEEP_FRAME;
}
FRAME void cbtest_stack_sleep(int n)
{
    KEEP_FRAME;
    cbtest_stack_wait(n);
    KEEP_FRAME;
}
}

namespace
{

using namespace corebox::test;

constexpr int kOne = 70, kTwo = 30, kOther = 11, kDirs = 23, kSleeps = 15;

void call()
{
    for (int i = 0; i < kOne; i++)
        cbtest_stack_one();
    for (int i = 0; i < kTwo; i++)
        cbtest_stack_two();
    for (int i = 0; i < kOther; i++)
        cbtest_stack_other();
}

bool has_frame(const Json& row, const char* stack, const std::string& function)
{
    const Json& frames = row.at(stack);
    return std::ranges::find(frames, Json(function)) != frames.end();
}

std::uint64_t sum_with(const Records& records, const char* stack, const std::string& function)
{
    std::uint64_t n = 0;
    for (const Json& r : records)
        n += has_frame(r, stack, function) ? r.at("count").get<std::uint64_t>() : 0;
    return n;
}

Result trace(const std::vector<std::string>& arguments, const std::function<void()>& work,
             const Environment& env = {}, bool by_pid = true)
{
    const Result r = watch("stackcount", arguments, work,
                           {.env = env, .json = false, .by = by_pid ? "-p" : nullptr});
    EXPECT_EQ(r.status, 0) << r.err << r.out;
    return r;
}

// Paths to a function of a program; its own frame is the leaf.
TEST(Stackcount, UserFunctions)
{
    for (const std::string rung : {"uprobe.multi", "uprobe"}) {
        if (rung == "uprobe.multi" && !has_multi())
            continue;
        const Result r = trace({"--json", "--explain", "/t/guest_tests:cbtest_stack_leaf"}, call,
                               {{"COREBOX_PROBES", rung}});
        EXPECT_NE(r.err.find("  " + rung + ": taken"), std::string::npos) << r.err;
        EXPECT_EQ(sum_with(r.records, "user", "cbtest_stack_one"), kOne) << r.out;
        EXPECT_EQ(sum_with(r.records, "user", "cbtest_stack_two"), kTwo);
        EXPECT_EQ(sum_with(r.records, "user", "cbtest_stack_leaf"), kOne + kTwo);
        // Before 6.12 the kernel leaves out the caller of a function that has just begun.
        if (has_multi())
            EXPECT_EQ(sum_with(r.records, "user", "cbtest_stack_middle"), kOne + kTwo);
        ASSERT_EQ(r.records.size(), 2u) << r.out;
        EXPECT_EQ(r.records[0]["count"], kTwo) << "ascending";
        EXPECT_EQ(r.records[0]["user"][0], "cbtest_stack_leaf");
        EXPECT_EQ(r.records[0]["event"], "cbtest_stack_leaf");
        EXPECT_EQ(r.account["printed"], kOne + kTwo);
    }
}

// Paths in the kernel, by each kind of probe: no frames of the tracing itself.
TEST(Stackcount, KernelFunctions)
{
    for (const std::string rung : {"kprobe.multi", "kprobe", "fentry"}) {
        if (rung == (has_multi() ? "kprobe" : "kprobe.multi"))
            continue;
        TempDir dir;
        const Result r =
            trace({"--json", "vfs_mkdir"}, [&] { cbtest_stack_dirs(dir.path().c_str(), kDirs); },
                  {{"COREBOX_PROBES", rung}});
        // One path, but for what the kernel takes for frames below main().
        EXPECT_EQ(r.account["printed"], kDirs) << r.out;
        EXPECT_EQ(sum_with(r.records, "kernel", "do_syscall_64"), kDirs) << rung << r.out;
        EXPECT_EQ(sum_with(r.records, "user", "cbtest_stack_dirs"), kDirs) << rung << r.out;
        for (const Json& row : r.records)
            EXPECT_EQ(row["kernel"][0], "vfs_mkdir") << rung << row;
    }
}

// The lesson: who leaves the CPU, and from where. Events with and without a raw tracepoint.
TEST(Stackcount, Tracepoints)
{
    for (const std::string rung : {"raw_tp", "tracepoint"}) {
        const Result r = trace({"--json", "t:sched:sched_switch"},
                               [] { cbtest_stack_sleep(kSleeps); }, {{"COREBOX_PROBES", rung}});
        EXPECT_GE(sum_with(r.records, "user", "cbtest_stack_sleep"), unsigned(kSleeps)) << r.out;
        EXPECT_GE(sum_with(r.records, "kernel", "do_nanosleep") +
                      sum_with(r.records, "kernel", "hrtimer_nanosleep"),
                  unsigned(kSleeps));
        for (const Json& row : r.records)
            if (has_frame(row, "user", "cbtest_stack_sleep"))
                EXPECT_EQ(row["kernel"][0], "__schedule") << rung << row;
    }
    TempDir dir;
    const Result r = trace({"--json", "-U", "t:syscalls:sys_enter_mkdir*"},
                           [&] { cbtest_stack_dirs(dir.path().c_str(), kDirs); });
    EXPECT_EQ(sum_with(r.records, "user", "cbtest_stack_dirs"), kDirs) << r.out;
    EXPECT_TRUE(r.records[0]["kernel"].is_null()) << r.records[0];
    EXPECT_TRUE(r.records[0]["event"].get<std::string>().starts_with("syscalls:sys_enter_mkdir"));
}

// BCC's block, intervals with the time; several events are told apart.
TEST(Stackcount, Text)
{
    const Result r = trace({"-T", "-i", "0.2", "/t/guest_tests:cbtest_stack_[lo]*"}, [] {
        call();
        ::usleep(450'000);
        call();
    });
    const auto rows = lines(r.out);
    ASSERT_GE(rows.size(), 8u) << r.out;
    EXPECT_EQ(rows[0], "Tracing 3 functions for \"/t/guest_tests:cbtest_stack_[lo]*\"... Hit "
                       "Ctrl-C to end.");
    int others = 0, times = 0;
    for (std::size_t i = 0; i + 1 < rows.size(); i++) {
        times += rows[i].size() == 8 && rows[i][2] == ':' ? 1 : 0;
        if (rows[i] != "  cbtest_stack_other")
            continue;
        const auto end = std::find(rows.begin() + long(i), rows.end(), "");
        others += std::stoi(*(end - 1));
    }
    EXPECT_EQ(others, 2 * kOther) << r.out;
    EXPECT_GE(times, 2);

    // Of tracepoints the event stands above where it happened; the process below, with -P.
    const Result events = trace(
        {"-P", "-d", "t:sched:sched_process_ex[ei][ct]"},
        [] { ::execl("/bin/true", "true", nullptr); }, {}, false);
    EXPECT_NE(events.out.find("\n  sched:sched_process_exit\n  do_exit\n"), std::string::npos)
        << events.out;
    EXPECT_NE(events.out.find("\n    true ["), std::string::npos) << events.out;

    const Result offsets = trace({"-s", "/t/guest_tests:cbtest_stack_other"}, call);
    EXPECT_NE(offsets.out.find("\n  cbtest_stack_other+0x0\n"), std::string::npos) << offsets.out;
    const Result addresses = trace({"-v", "/t/guest_tests:cbtest_stack_other"}, call);
    EXPECT_NE(addresses.out.find(" cbtest_stack_other+0x0 [/t/guest_tests]\n"), std::string::npos)
        << addresses.out;
}

// Folded lines and a flame graph; of all processes together without -P.
TEST(Stackcount, FoldedFlameAndBadInput)
{
    TempDir dir;
    const std::string svg = dir / "out.svg";
    // Lives on until the tool has seen what it is.
    const auto calls = [] {
        call();
        ::usleep(300'000);
    };
    const Result flame =
        trace({"--flame", svg, "/t/guest_tests:cbtest_stack_leaf"}, calls, {}, false);
    EXPECT_NE(read_file(svg).find("cbtest_stack_two"), std::string::npos);
    const Result folded = trace({"-f", "/t/guest_tests:cbtest_stack_other"}, calls, {}, false);
    const auto rows = lines(folded.out);
    ASSERT_EQ(rows.size(), 1u) << folded.out;
    EXPECT_TRUE(rows[0].starts_with("cbtest_stack_other;")) << rows[0];
    EXPECT_TRUE(rows[0].ends_with(";cbtest_stack_other " + std::to_string(kOther))) << rows[0];
    for (const auto& [argv, status] :
         {std::pair(std::vector<std::string>{"stackcount"}, 1),
          {{"stackcount", "-K", "-U", "vfs_read"}, 1},
          {{"stackcount", "r::vfs_read"}, 1},
          {{"stackcount", "--flame", "/no/such/directory/x", "vfs_read"}, 4},
          {{"stackcount", "no_such_function"}, 2}})
        EXPECT_EQ(run(argv).status, status) << argv.back();
}

TEST(Stackcount, Flood)
{
    constexpr int kCalls = 30'000;
    const auto read = [] {
        char byte;
        const int in = ::open("/dev/zero", O_RDONLY);
        for (int n = 0; n < kCalls; n++)
            if (::read(in, &byte, 1) != 1)
                throw std::runtime_error("read");
    };
    Child a(read), b(read);
    Tracer tracer({"stackcount", "-i", "0.2", "--json", "vfs_read", "-p",
                   std::to_string(a.pid()) + "," + std::to_string(b.pid())});
    a.go();
    b.go();
    EXPECT_EQ(a.wait(), 0);
    EXPECT_EQ(b.wait(), 0);
    const Result r = tracer.wait(); // ends with its processes
    std::uint64_t n = 0;
    for (const Json& row : r.records)
        n += row["count"].get<std::uint64_t>();
    EXPECT_EQ(n + r.account["lost"].get<std::uint64_t>(), 2u * kCalls) << r.err;
}

} // namespace
