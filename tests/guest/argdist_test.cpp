// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Counts and histograms of facts that a process caused, by values of entries and returns.
#include "harness.hpp"
#include "traced.hpp"
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace
{

using namespace corebox::test;
using std::to_string;

extern "C" [[gnu::noinline, gnu::used]] long cbtest_argdist(long n)
{
    asm volatile("" ::"r"(n));
    return n <= 0 ? -1 : n * 10 + cbtest_argdist(n - 1) * 0; // calls within calls
}

// The count of a key.
Json count_of(const Result& r, const std::string& label, const Json& keys)
{
    for (const Json& record : r.records)
        if (record.at("label") == label && record.contains("keys") && record.at("keys") == keys)
            return record;
    return Json::object();
}

TEST(Argdist, KernelEntriesAndReturns)
{
    TempDir dir;
    write_file(dir / "f", std::string(100, 'x'));
    for (const std::string rung : {"", "kprobe"}) {
        SCOPED_TRACE(rung);
        const Result r = watch("argdist",
                               {"-i", "60", "-C", "r::vfs_read()#returns", "-C",
                                "p::vfs_read():size_t:count:count > 5#sizes", "-C",
                                "r::vfs_read()::$entry(file)->f_path.dentry->d_name.name,sum($"
                                "retval),max($retval)#"
                                "files",
                                "-H", "r::vfs_read()::$retval#histogram", "-H",
                                "r::vfs_read()::lhist($retval, 0, 100, 10),by($comm)#linear"},
                               [&] {
                                   char buffer[200];
                                   const int fd = ::open((dir / "f").c_str(), O_RDONLY);
                                   for (const int size : {7, 7, 30, 3, 60})
                                       EXPECT_GT(::read(fd, buffer, std::size_t(size)), 0);
                                   const int out = ::open((dir / "f").c_str(), O_WRONLY);
                                   EXPECT_EQ(::read(out, buffer, 9), -1);
                               },
                               {.env = forced(rung), .others_too = true});
        EXPECT_EQ(r.status, 0) << r.err;
        // 7 7 30 3 53, and -EBADF.
        EXPECT_EQ(count_of(r, "returns", {{"retval", 7}}).value("count", 0), 2) << r.out << r.err;
        EXPECT_EQ(count_of(r, "returns", {{"retval", -9}}).value("count", 0), 1);
        EXPECT_EQ(count_of(r, "sizes", {{"count", 7}}).value("count", 0), 2);
        EXPECT_EQ(count_of(r, "sizes", {{"count", 3}}), Json::object());
        const Json files = count_of(r, "files", {{"name", "f"}});
        EXPECT_EQ(files.value("count", 0), 6) << r.out;
        EXPECT_EQ(files.value("sum", 0), 7 + 7 + 30 + 3 + 53 - 9);
        EXPECT_EQ(files.value("max", 0), 53);
        const Records histograms = with(r.records, "label", "histogram");
        ASSERT_EQ(histograms.size(), 2u) << r.out; // of both signs
        const Json& positive = histograms[0];
        EXPECT_EQ(positive.at("count"), 5);
        EXPECT_EQ(positive.at("sum"), 100);
        EXPECT_EQ(positive.at("buckets").at(2).at("count"), 2); // 4 -> 7
        EXPECT_EQ(histograms[1].at("count"), 1);
        EXPECT_EQ(histograms[1].at("max"), 9);
        const Records linear = with(r.records, "label", "linear");
        ASSERT_EQ(linear.size(), 2u) << r.out;
        EXPECT_EQ(linear[0].at("key"), "comm = guest_tests");
        EXPECT_EQ(linear[0].at("buckets").at(3).at("from"), 30);
        EXPECT_EQ(linear[0].at("buckets").at(3).at("count"), 1);
        EXPECT_EQ(r.account.at("lost"), 0);
    }
}

// What an entry saw is that of its own call, however many there are within each other.
TEST(Argdist, CallsWithinCalls)
{
    const std::string call = this_program() + ":cbtest_argdist";
    const Result r =
        watch("argdist",
              {"-i", "60", "-C", "r:" + call + "(long n):long,long:$entry(n),$retval#calls", "-H",
               "r:" + call + "(long n):u64:$latency#latency", "-C", "p:" + call + "()#total"},
              [] {
                  cbtest_argdist(3);
                  cbtest_argdist(2);
              });
    EXPECT_EQ(r.status, 0) << r.err;
    const auto calls = [&](long n, long result) {
        return count_of(r, "calls", {{"n", n}, {"retval", result}}).value("count", 0);
    };
    EXPECT_EQ(calls(3, 30), 1) << r.out << r.err;
    EXPECT_EQ(calls(2, 20), 2);
    EXPECT_EQ(calls(1, 10), 2);
    EXPECT_EQ(calls(0, -1), 2);
    EXPECT_EQ(count_of(r, "total", Json::object()).value("count", 0), 7);
    const Records latency = with(r.records, "label", "latency");
    ASSERT_EQ(latency.size(), 1u) << r.out;
    EXPECT_EQ(latency[0].at("count"), 7);
    EXPECT_GT(latency[0].at("min"), 0);
}

// Reports as BCC has them; tracepoints; what is refused.
TEST(Argdist, TextAndRefusals)
{
    Child child([] {
        for (int i = 0; i < 3; i++)
            ::close(::open("/etc/passwd", O_RDONLY));
        ::close(::open("/none", O_RDONLY));
    });
    Tracer tool({"argdist", "-p", to_string(child.pid()), "-i", "60", "-T", "1", "-C",
                 "t:syscalls:sys_exit_openat():long:args->ret#results", "-H",
                 "t:syscalls:sys_enter_openat():int:args->flags"});
    child.go_wait();
    const Result r = tool.wait();
    EXPECT_EQ(r.status, 0) << r.err;
    EXPECT_TRUE(r.out.find("results\n\tCOUNT      EVENT\n\t3          ret = ") != std::string::npos)
        << r.out;
    EXPECT_TRUE(r.out.find("     args->flags         : count     distribution\n") !=
                std::string::npos)
        << r.out;
    const auto refused = [](const std::vector<std::string>& arguments) {
        const Result no = run(arguments);
        EXPECT_EQ(no.status, 1) << no.out << no.err;
        return no.err;
    };
    EXPECT_TRUE(refused({"argdist", "-C", "p::vfs_read():u32:nothing"}).find("^^^^^^^") !=
                std::string::npos);
    refused({"argdist", "-C", "p::vfs_read():u32:$latency"});
    refused({"argdist", "-C", "p::vfs_read()::count:$comm =~ \"a.*\""});
    refused({"argdist", "-H", "p::vfs_read()"});
    refused({"argdist"});
}

} // namespace
