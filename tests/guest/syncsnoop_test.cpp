// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "harness.hpp"
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

namespace
{

using namespace corebox::test;
using std::to_string;

double monotonic()
{
    timespec t;
    ::clock_gettime(CLOCK_MONOTONIC, &t);
    return double(t.tv_sec) + double(t.tv_nsec) * 1e-9;
}

class SyncsnoopRung : public EachRung
{
};

// Only sync() has a kprobe; the other calls take what the kernel has.
INSTANTIATE_TEST_SUITE_P(Rungs, SyncsnoopRung, testing::Values("", "tracepoint", "kprobe"),
                         rung_name);

TEST_P(SyncsnoopRung, ShowsEveryCall)
{
    TempDir dir("/mnt/ext4");
    std::string deep = dir.path();
    for (int i = 0; i < 40; i++) {
        deep += "/" + std::string(28, char('a' + i % 26));
        ASSERT_EQ(::mkdir(deep.c_str(), 0755), 0);
    }
    deep += "/a\nb";
    EXPECT_GT(deep.size(), 1024u);
    const double before = monotonic();
    std::uint64_t address = 0;
    const int fd = ::open(deep.c_str(), O_RDWR | O_CREAT, 0600);
    ASSERT_GE(fd, 0);
    ASSERT_EQ(::ftruncate(fd, 8192), 0);
    void* map = ::mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    address = reinterpret_cast<std::uint64_t>(map);
    Child child([&] {
        EXPECT_EQ(::pwrite(fd, "x", 1, 0), 1);
        EXPECT_EQ(::fsync(fd), 0);
        EXPECT_EQ(::fsync(999), -1);
        EXPECT_EQ(::fdatasync(fd), 0);
        EXPECT_EQ(::msync(map, 8192, MS_SYNC), 0);
        EXPECT_EQ(::sync_file_range(fd, 4096, 100, SYNC_FILE_RANGE_WRITE), 0);
        EXPECT_EQ(::sync_file_range(fd, 0, 0, 0x80), -1);
        EXPECT_EQ(::syncfs(fd), 0);
        ::sync();
    });
    const pid_t pid = child.pid();
    // A session of the other calls has sync() in it, too.
    Tracer tracer({"syncsnoop", "--json", "-p", to_string(child.pid())},
                  is("kprobe") && has_sessions() ? forced("kprobe,fexit") : env());
    child.go_wait();
    const Result result = tracer.wait();
    expect_exact(result);
    struct Expected {
        const char* call;
        int err;
        bool file;
    };
    const Expected expected[] = {{"fsync", 0, true},           {"fsync", EBADF, false},
                                 {"fdatasync", 0, true},       {"msync", 0, false},
                                 {"sync_file_range", 0, true}, {"sync_file_range", EINVAL, true},
                                 {"syncfs", 0, true},          {"sync", 0, false}};
    ASSERT_EQ(result.records.size(), std::size(expected)) << result.out;
    double last = before;
    for (std::size_t i = 0; i < std::size(expected); i++) {
        const Json& r = result.records[i];
        EXPECT_EQ(r.at("call"), expected[i].call);
        EXPECT_EQ(r.at("err"), expected[i].err) << r;
        EXPECT_EQ(r.at("path"), expected[i].file ? deep : "") << r;
        EXPECT_EQ(r.at("pid"), pid);
        EXPECT_GT(r.at("lat_us"), 0);
        const double start = r.at("mono_s");
        EXPECT_GT(start, last); // BCC: the clock since boot, at the entry
        EXPECT_LT(start, monotonic());
        last = start;
    }
    EXPECT_EQ(result.records[0].at("fd"), fd);
    EXPECT_EQ(result.records[1].at("fd"), 999);
    EXPECT_EQ(result.records[1].at("error"), "EBADF");
    EXPECT_EQ(result.records[3].at("offset"), address);
    EXPECT_EQ(result.records[3].at("bytes"), 8192);
    EXPECT_EQ(result.records[4].at("offset"), 4096);
    EXPECT_EQ(result.records[4].at("bytes"), 100);
    EXPECT_TRUE(result.records[7].at("fd").is_null());
    ::munmap(map, 8192);
    ::close(fd);
}

// The tutorial's lesson: a sync within a second of the one before is told, all are counted.
TEST(Syncsnoop, Quick)
{
    Child child([] {
        ::sync();
        ::sync();
        ::fsync(999); // of another kind
        ::sync();
        ::usleep(1'100'000);
        ::sync();
        ::sync();
    });
    Tracer tracer({"syncsnoop", "--json", "--quick", "-p", to_string(child.pid())});
    child.go_wait();
    const Result result = tracer.wait();
    expect_exact(result);
    EXPECT_EQ(result.account.at("seen"),
              result.account.at("printed").get<int>() + result.account.at("filtered").get<int>());
    // A guest may be so slow that a pair is none; what is shown must be right.
    ASSERT_GE(result.records.size(), 1u) << result.out;
    for (const Json& r : result.records) {
        EXPECT_EQ(r.at("call"), "sync");
        EXPECT_LT(r.at("after_ms"), 1000);
        EXPECT_NE(r.at("count"), 1);
        EXPECT_NE(r.at("count"), 4); // the one after the pause
    }
    EXPECT_LE(result.records.size(), 3u);
}

TEST(Syncsnoop, TextColumns)
{
    TempDir dir;
    const int fd = ::open((dir / "a\nb").c_str(), O_RDWR | O_CREAT, 0600);
    Child child([&] { EXPECT_EQ(::fsync(fd), 0); });
    Tracer tracer({"syncsnoop", "-p", to_string(child.pid())});
    child.go_wait();
    const Result result = tracer.wait();
    const auto rows = lines(result.out);
    ASSERT_EQ(rows.size(), 2u) << result.out;
    using Row = std::vector<std::string>;
    EXPECT_EQ(words(rows[0]),
              (Row{"TIME(s)", "COMM", "CALL", "PID", "LAT(us)", "ERR", "FD", "PATH"}));
    const Row row = words(rows[1]);
    ASSERT_EQ(row.size(), 8u);
    EXPECT_EQ(row[1], "guest_tests");
    EXPECT_EQ(row[2], "fsync");
    EXPECT_EQ(row[7], dir / "a\\nb");
    EXPECT_EQ(row[0].size() - row[0].find('.'), 10u) << row[0]; // 9 decimals
    ::close(fd);
}

} // namespace
