// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "harness.hpp"
#include <fcntl.h>
#include <thread>
#include <unistd.h>

namespace
{

using namespace corebox::test;
using std::to_string;

// 23 reads of a file, and one of a pipe that has something after 120 ms.
void do_reads(const std::string& path)
{
    char byte;
    const int fd = ::open(path.c_str(), O_RDONLY);
    for (int i = 0; i < 23; i++)
        EXPECT_EQ(::pread(fd, &byte, 1, i), 1);
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    if (::fork() == 0) {
        ::usleep(120'000);
        [[maybe_unused]] const ssize_t n = ::write(ends[1], "x", 1);
        ::_exit(0);
    }
    EXPECT_EQ(::read(ends[0], &byte, 1), 1);
}

TEST(Vfsreadlat, CountsAndTimesTheReadsOfAProcess)
{
    TempDir dir;
    write_file(dir / "f", std::string(100, 'x'));
    for (const std::string rung : {"", "kprobe"}) {
        SCOPED_TRACE(rung);
        Child child([&] { do_reads(dir / "f"); });
        Tracer tracer({"vfsreadlat", "--json", "-p", to_string(child.pid()), "100"}, forced(rung));
        child.go_wait();
        const Result r = tracer.wait();
        EXPECT_EQ(r.status, 0) << r.err;
        expect_exact(r);
        ASSERT_EQ(r.records.size(), 1u);
        // The read of the go-ahead began before the tool did: 1 more on no rung.
        EXPECT_EQ(r.records[0].at("count"), 24);
        EXPECT_GE(r.records[0].at("max"), 120'000.0);
        EXPECT_FALSE(r.records[0].contains("pid"));
    }
}

TEST(Vfsreadlat, ByProcess)
{
    TempDir dir;
    write_file(dir / "f", std::string(100, 'x'));
    Child a([&] { do_reads(dir / "f"); }), b([&] { do_reads(dir / "f"); });
    Tracer tracer({"vfsreadlat", "--by-process", "-m", "--json", "-p",
                   to_string(a.pid()) + "," + to_string(b.pid())});
    const pid_t pids[] = {a.pid(), b.pid()};
    a.go_wait();
    b.go_wait();
    const Result r = tracer.wait();
    expect_exact(r);
    for (const pid_t pid : pids) {
        // An interval of 5 seconds may end in between.
        std::uint64_t count = 0;
        for (const Json& record : with(r.records, "pid", pid)) {
            count += record.at("count").get<std::uint64_t>();
            EXPECT_EQ(record.at("comm"), "guest_tests");
            EXPECT_EQ(record.at("unit"), "msecs");
        }
        EXPECT_EQ(count, 24u);
    }
}

// The kernel has places for so many calls whose return a kretprobe waits for: on 5.10 with one CPU
// it is one, and a reader that waits takes it. Of threads that read once and end nothing else
// tells.
TEST(Vfsreadlat, FloodOfMissedReturnsOfThreadsThatEnd)
{
    constexpr std::uint64_t kThreads = 50;
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const Gate blocked;
    Child waits([&] {
        char byte;
        blocked.open();
        EXPECT_EQ(::read(ends[0], &byte, 1), 1);
    });
    Child reads([] {
        const int zero = ::open("/dev/zero", O_RDONLY);
        for (std::uint64_t i = 0; i < kThreads; i++)
            std::thread([zero] {
                char byte;
                EXPECT_EQ(::pread(zero, &byte, 1, 0), 1);
            }).join();
    });
    Tracer tracer({"vfsreadlat", "--json", "-p", to_string(reads.pid()), "100"},
                  {{"COREBOX_PROBES", "kprobe"}});
    waits.go();
    blocked.wait();
    wait_until([&] { // sleeps
        const std::string stat = read_file("/proc/" + to_string(waits.pid()) + "/stat");
        return stat[stat.rfind(')') + 2] == 'S';
    });
    reads.go_wait();
    const Result r = tracer.wait();
    EXPECT_EQ(::write(ends[1], "x", 1), 1);
    EXPECT_EQ(waits.wait(), 0);
    std::uint64_t count = 0;
    for (const Json& record : r.records)
        count += record.at("count").get<std::uint64_t>();
    const auto missed = r.account.at("lost_return").get<std::uint64_t>();
    EXPECT_EQ(r.account.at("lost"), missed) << r.account;
    EXPECT_EQ(count + missed, kThreads) << r.account;
    EXPECT_EQ(r.status, missed ? 3 : 0) << r.err;
    if (one_return_at_a_time()) {
        EXPECT_GT(missed, 0u);
    }
}

TEST(Vfsreadlat, TextAndOptions)
{
    const Result r = run({"vfsreadlat", "-T", "-P", "--", "sh", "-c", "head -c 3 /etc/passwd"});
    EXPECT_EQ(r.status, 0) << r.err;
    EXPECT_NE(r.out.find("comm = head\n"), std::string::npos) << r.out;
    EXPECT_NE(r.out.find("usecs"), std::string::npos) << r.out;
    EXPECT_EQ(run({"vfsreadlat", "0"}).status, 1);
    EXPECT_EQ(run({"vfsreadlat", "1", "1", "1"}).status, 1);
    EXPECT_EQ(run({"vfsreadlat", "--by-process", "--check"}).status, 0);
}

} // namespace
