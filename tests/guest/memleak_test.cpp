// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What programs, and the kernel, allocate and do not free.
#include "harness.hpp"
extern "C" {
#include "leaks/leaks.h"
}
#include <algorithm>
#include <array>
#include <cstdlib>
#include <linux/bpf.h>
#include <new>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>
#include <vector>

constexpr int kFirstNew = 10; // in `kept`, behind the mappings

extern "C" {
LEAK_FRAME void cbtest_leak_maps()
{
    for (int i = 0; i < 10; i++)
        keep(::mmap(nullptr, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    void* p = ::mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ::munmap(p, 4096);
}
LEAK_FRAME void cbtest_leak_new()
{
    for (int i = 0; i < 7; i++)
        keep(new char[100]);
    for (int i = 0; i < 5; i++) {
        char* volatile p = new char[100];
        delete[] p;
    }
}
// What leaves as it came: failures, another thread's free, an address in use again.
LEAK_FRAME void cbtest_leak_special()
{
    volatile std::size_t huge = std::size_t(1) << 62;
    void* volatile p = std::malloc(huge);
    if (p)
        std::abort();
    p = std::malloc(77);
    if (std::realloc(p, huge)) // p is what it was
        std::abort();
    keep(static_cast<void*>(p));
    void* volatile moved = std::malloc(33);
    std::thread([&] { std::free(moved); }).join();
}
}

namespace
{

using namespace corebox::test;
using std::to_string;

std::uint64_t sum(const Records& records, const char* key)
{
    std::uint64_t total = 0;
    for (const Json& record : records)
        total += record.at(key).get<std::uint64_t>();
    return total;
}

// The rows whose stack has this function.
Records of(const Records& records, const std::string& function, const char* stack = "user")
{
    Records found;
    for (const Json& record : records)
        if (const Json& frames = record.at(stack);
            frames.is_array() && std::find(frames.begin(), frames.end(), function) != frames.end())
            found.push_back(record);
    return found;
}

void expect_leaks(const Records& records, const std::string& function, std::uint64_t count,
                  std::uint64_t bytes)
{
    const Records rows = of(records, function);
    EXPECT_EQ(sum(rows, "count"), count) << function;
    EXPECT_EQ(sum(rows, "bytes"), bytes) << function;
}

void expect_all_leaks(const Result& result)
{
    expect_exact(result);
    EXPECT_EQ(sum(result.records, "count"), 240u) << result.out;
    EXPECT_EQ(sum(result.records, "bytes"), 289'240u) << result.out;
    expect_leaks(result.records, "cbtest_leak_malloc", 100, 104'950);
    expect_leaks(result.records, "cbtest_leak_calloc", 50, 15'000);
    expect_leaks(result.records, "cbtest_leak_realloc", 20, 100'000);
    expect_leaks(result.records, "cbtest_leak_aligned", 30, 58'960);
    expect_leaks(result.records, "cbtest_leak_array", 10, 10'000);
    // All that was allocated; reallocarray() calls realloc(), and that malloc(): one.
    EXPECT_EQ(result.account.at("printed"), 100u + 500 + 20 + 100 + 50 + 30 + 10 + 30);
}

// The last report: of records in order those with the last time.
Records last_report(const Records& records)
{
    return records.empty() ? Records() : with(records, "time_ns", records.back().at("time_ns"));
}

using MemleakRung = EachRung;
INSTANTIATE_TEST_SUITE_P(Rungs, MemleakRung, testing::Values("", "uprobe"), rung_name);

// A static program that runs, and one with its C library in a file that is started.
TEST_P(MemleakRung, ExactlyWhatIsNotFreed)
{
    Child child([] {
        leak_all();
        ::_exit(0);
    });
    const std::vector<std::string> all = {"memleak", "--json", "-C", "-T", "1000"};
    std::vector<std::string> argv = all;
    argv.insert(argv.end(), {"-p", to_string(child.pid()), "3600"});
    Tracer tracer(argv, env());
    child.go_wait();
    expect_all_leaks(tracer.wait());

    // Where it expects them; nothing else in the guest has a C library.
    if (::access("/t/leaks/leaks", R_OK) != 0)
        return; // another architecture's
    const TempDir dir;
    for (const char* file : {"leaks", "libc.so.6", "ld.so"}) {
        write_file(dir / file, read_file(std::string("/t/leaks/") + file));
        EXPECT_EQ(::chmod((dir / file).c_str(), 0755), 0);
    }
    argv = all;
    argv.insert(argv.end(),
                {"-O", dir / "libc.so.6", "-c",
                 dir / "ld.so" + " --library-path " + dir.path() + " " + dir / "leaks"});
    Result result = run(argv, env());
    // The dynamic loader comes to know its own allocations.
    std::erase_if(result.records, [](const Json& r) { return r.at("function") == "mmap"; });
    expect_all_leaks(result);
}

TEST(Memleak, MapsOperatorsAndSpecialCases)
{
    Gate first;
    Child child([&] {
        kept_now = 0;
        cbtest_leak_maps();
        cbtest_leak_new();
        cbtest_leak_special();
        first.wait();
        for (int i = 0; i < kept_now; i++)
            if (i >= kFirstNew && i < kFirstNew + 7)
                delete[] static_cast<char*>(kept[i]);
        ::_exit(0);
    });
    Tracer tracer({"memleak", "--json", "-C", "-T", "1000", "-p", to_string(child.pid()), "1"});
    child.go();
    tracer.wait_for("cbtest_leak_special");
    first.open();
    EXPECT_EQ(child.wait(), 0);
    const Result result = tracer.wait();
    expect_exact(result);
    const auto before = with(result.records, "time_ns", result.records[0].at("time_ns"));
    const auto after = last_report(result.records);
    for (const Records& report : {before, after}) {
        expect_leaks(report, "cbtest_leak_maps", 10, 81'920);
        expect_leaks(report, "cbtest_leak_special", 1, 77);
    }
    expect_leaks(before, "cbtest_leak_new", 7, 700);
    expect_leaks(after, "cbtest_leak_new", 0, 0);
    for (const Json& row : of(before, "cbtest_leak_new"))
        EXPECT_EQ(row.at("function"), "new"); // once, though it calls malloc()
}

// Of the last report of a tool that runs.
std::uint64_t pipe_buffers(const Tracer& tracer)
{
    Records records;
    for (const std::string& line : lines(tracer.out()))
        if (Json record = Json::parse(line, nullptr, false); record.contains("time_ns"))
            records.push_back(std::move(record));
    // The pages that the objects lie in are rows of their own, and so is what the kernel keeps of
    // the memory cgroups of such a page's objects.
    std::uint64_t buffers = 0;
    for (const Json& row :
         of(with(last_report(records), "function", "kmalloc"), "alloc_pipe_info", "kernel")) {
        const Json& frames = row.at("kernel");
        if (std::find(frames.begin(), frames.end(), "allocate_slab") == frames.end())
            buffers += row.at("count").get<std::uint64_t>();
    }
    return buffers;
}

// What the kernel keeps for pipes while they are open.
TEST(Memleak, KernelMemoryOfPipes)
{
    Gate close, end;
    Child child([&] {
        std::array<int, 100> ends;
        for (std::size_t i = 0; i < ends.size(); i += 2)
            EXPECT_EQ(::pipe(&ends[i]), 0);
        close.wait();
        for (const int file : ends)
            ::close(file);
        EXPECT_GE(::eventfd(0, 0), 0); // something to report
        end.wait();
    });
    Tracer tracer(
        {"memleak", "--json", "-k", "-C", "-T", "100000", "-p", to_string(child.pid()), "0.5"});
    child.go();
    // Each has its buffers besides.
    EXPECT_TRUE(wait_until([&] { return pipe_buffers(tracer) == 100; })) << tracer.out();
    close.open();
    tracer.wait_for("do_eventfd");
    EXPECT_TRUE(wait_until([&] { return pipe_buffers(tracer) == 0; })) << tracer.out();
    end.open();
    EXPECT_EQ(child.wait(), 0);
    // An interrupt may allocate within a program, which then does not run once more: it says so.
    const Result r = tracer.wait();
    EXPECT_EQ(r.account.at("lost"), r.account.at("lost_nested")) << r.account;
}

TEST(Memleak, PerCpuMemoryOfMaps)
{
    constexpr unsigned kValue = 264;
    Child child([] {
        const rlimit unlimited{RLIM_INFINITY, RLIM_INFINITY}; // kernels before 5.11 count maps
        EXPECT_EQ(::setrlimit(RLIMIT_MEMLOCK, &unlimited), 0);
        union bpf_attr attr {
        };
        attr.map_type = BPF_MAP_TYPE_PERCPU_ARRAY;
        attr.key_size = 4;
        attr.value_size = kValue;
        attr.max_entries = 11;
        for (int i = 0; i < 3; i++)
            EXPECT_GE(::syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof attr), 0);
        ::usleep(2'500'000);
    });
    const std::string size = to_string(kValue * cpus());
    Tracer tracer({"memleak", "--json", "-P", "-C", "-z", size, "-Z", size, "-p",
                   to_string(child.pid()), "1", "1"});
    child.go();
    const Result result = tracer.wait();
    EXPECT_EQ(sum(result.records, "count"), 33u) << result.out;
    EXPECT_EQ(sum(result.records, "bytes"), 33u * kValue * cpus()) << result.out;
    for (const Json& row : result.records)
        EXPECT_EQ(row.at("function"), "percpu");
    EXPECT_EQ(of(result.records, "array_map_alloc", "kernel").size(), result.records.size());
}

// Bytes of all allocations, freed or not; ages, sizes, samples; two processes; text.
TEST(Memleak, TextSumsAndChoices)
{
    const auto child = [] {
        return Child([] {
            leak_all();
            ::_exit(0);
        });
    };
    const auto run_on = [](Child& traced, std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), {"memleak", "-p", to_string(traced.pid())});
        Tracer tracer(arguments);
        traced.go_wait();
        return tracer.wait();
    };
    Child first = child();
    Result result = run_on(first, {"-o", "0", "-T", "2", "-z", "300", "-Z", "5000"});
    const auto rows = lines(result.out);
    ASSERT_GT(rows.size(), 4u) << result.out;
    EXPECT_NE(rows[2].find("] Top 2 of "), std::string::npos) << result.out;
    EXPECT_NE(rows[2].find(" outstanding allocations: 200 allocations, 286350 bytes"),
              std::string::npos)
        << result.out;
    const auto leak = [&](std::string_view row) {
        return std::find(rows.begin(), rows.end(), row) - rows.begin();
    };
    const auto large = leak("\t104950 bytes in 100 allocations from stack"),
               less = leak("\t100000 bytes in 20 allocations from stack");
    ASSERT_LT(large, std::ptrdiff_t(rows.size())) << result.out;
    EXPECT_LT(less, large); // the largest last
    EXPECT_EQ(rows[std::size_t(large) + 1], "\t\tcbtest_leak_malloc");

    Child second = child();
    result = run_on(second, {"-f", "--sort", "count", "-C"});
    const auto folded = lines(result.out);
    ASSERT_FALSE(folded.empty());
    EXPECT_TRUE(folded.back().starts_with("guest_tests;")) << folded.back();
    EXPECT_TRUE(folded.back().ends_with(";cbtest_leak_malloc 100")) << folded.back();

    Child third = child();
    result = run_on(third, {"--json", "--allocated", "-T", "1000"});
    expect_exact(result);
    expect_leaks(result.records, "cbtest_leak_none", 500, 32'000);
    expect_leaks(result.records, "cbtest_leak_malloc", 100, 104'950);

    Child fourth = child(); // all is younger than ten minutes
    result = run_on(fourth, {"--json", "-o", "600000"});
    expect_exact(result);
    EXPECT_TRUE(result.records.empty()) << result.out;

    Child fifth = child();
    result = run_on(fifth, {"--json", "-C", "-s", "4"});
    expect_exact(result);
    const auto sampled = sum(result.records, "count"); // 60 to be expected
    EXPECT_GT(sampled, 20u);
    EXPECT_LT(sampled, 120u);

    EXPECT_EQ(run({"memleak", "-z", "10", "-Z", "9", "-p", "1"}).status, 1);
    EXPECT_EQ(run({"memleak", "-k", "-O", "c"}).status, 1);
    EXPECT_EQ(run({"memleak", "-c", "true", "--", "true"}).status, 1);
    EXPECT_EQ(run({"memleak", "-O", "/etc/passwd", "-p", "1"}).status, 2);
    EXPECT_EQ(run({"memleak", "-p", "999999"}).status, 2);
}

// More than there is room for; threads allocate at once, and free what others allocated.
TEST(Memleak, Flood)
{
    constexpr unsigned kThreads = 4, kEach = 500;
    Child child([] {
        static void* volatile blocks[kThreads][kEach];
        const auto in_threads = [](auto&& work) {
            std::vector<std::thread> threads;
            for (unsigned t = 0; t < kThreads; t++)
                threads.emplace_back(work, t);
            for (std::thread& thread : threads)
                thread.join();
        };
        in_threads([](unsigned t) {
            for (auto& block : blocks[t])
                block = std::malloc(5000);
        });
        in_threads([](unsigned t) {
            for (unsigned i = 0; i < kEach / 2; i++)
                std::free(blocks[(t + 1) % kThreads][i]);
        });
        ::_exit(0);
    });
    Tracer tracer({"memleak", "--json", "-C", "-z", "5000", "-Z", "5000", "--hash-storage-size",
                   "1500", "-p", to_string(child.pid()), "3600"});
    child.go_wait();
    const Result result = tracer.wait();
    EXPECT_GT(result.account.at("lost_map"), 0u);
    const std::uint64_t lost = result.account.at("lost"), left = sum(result.records, "count"),
                        shown = result.account.at("printed").get<std::uint64_t>() + lost;
    // What the kernel skips may be lost twice: an entry, and a return that nobody waits for.
    EXPECT_GE(shown, kThreads * kEach) << result.out;
    if (!preempts_itself())
        EXPECT_EQ(shown, kThreads * kEach) << result.out;
    EXPECT_GE(left + lost, kThreads * kEach / 2) << result.out;
    EXPECT_EQ(result.status, 3);
}

} // namespace
