// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "fuse_server.hpp"
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace
{

using namespace corebox::test;
using std::to_string;

int open_file(const std::string& path, int flags)
{
    const int fd = ::open(path.c_str(), flags, 0644);
    EXPECT_GE(fd, 0) << path << ": " << strerrordesc_np(errno);
    return fd;
}

using Counts = std::map<std::string, std::uint64_t>;

// 5 opens, 23 writes, 7 of them O_SYNC, 17 reads, 2 fsyncs and 7 by O_SYNC, 11 getattrs.
void do_counted(const std::string& path)
{
    char buffer[100] = {};
    const int fd = open_file(path, O_RDWR | O_CREAT);
    for (int i = 0; i < 3; i++)
        open_file(path, O_RDONLY);
    const int sync = open_file(path, O_WRONLY | O_SYNC);
    for (int i = 0; i < 16; i++)
        EXPECT_EQ(::pwrite(fd, buffer, 100, i * 100), 100);
    for (int i = 0; i < 7; i++)
        EXPECT_EQ(::pwrite(sync, buffer, 100, i * 100), 100);
    for (int i = 0; i < 17; i++)
        EXPECT_EQ(::pread(fd, buffer, 100, i * 50), 100);
    EXPECT_EQ(::fsync(fd), 0);
    EXPECT_EQ(::fdatasync(fd), 0);
    struct stat st {
    };
    for (int i = 0; i < 11; i++)
        EXPECT_EQ(::fstat(fd, &st), 0);
}

const Counts kCounted = {{"open", 5}, {"write", 23}, {"read", 17}, {"fsync", 9}, {"getattr", 11}};

Counts counts(const Records& records)
{
    Counts out;
    for (const Json& r : records) {
        std::uint64_t in_buckets = 0;
        for (const Json& bucket : r.at("buckets"))
            in_buckets += bucket.at("count").get<std::uint64_t>();
        EXPECT_EQ(r.at("count"), in_buckets);
        out[r.at("operation")] += in_buckets;
    }
    return out;
}

TEST(Fsdist, CountsExactlyWhatAProcessDoes)
{
    struct Case {
        const char *tool, *fs, *rung;
    };
    for (const Case& c : {Case{"ext4dist", "ext4", ""}, Case{"ext4dist", "ext4", "kprobe"},
                          Case{"xfsdist", "xfs", ""}, Case{"xfsdist", "xfs", "kprobe"},
                          Case{"btrfsdist", "btrfs", ""}}) {
        SCOPED_TRACE(std::string(c.tool) + " " + c.rung);
        TempDir dir(std::string("/mnt/") + c.fs);
        Child child([&] { do_counted(dir / "f"); });
        Tracer tracer({c.tool, "--json", "-p", to_string(child.pid())}, forced(c.rung));
        child.go_wait();
        const Result result = tracer.wait();
        EXPECT_EQ(result.status, 0) << result.err;
        expect_exact(result);
        EXPECT_EQ(counts(result.records), kCounted);
        // The O_SYNC writes hold their fsyncs.
        const Json write = with(result.records, "operation", "write").at(0);
        EXPECT_EQ(write.at("unit"), "usecs");
        EXPECT_GT(write.at("max"), 0);
    }
}

TEST(Fsdist, IntervalsLoseNothing)
{
    TempDir dir("/mnt/ext4");
    Gate half;
    Child child([&] {
        do_counted(dir / "f");
        half.wait();
        do_counted(dir / "f");
    });
    Tracer tracer({"fsdist", "-t", "ext4", "-p", to_string(child.pid()), "0.3"});
    child.go();
    tracer.wait_for("operation = read");
    half.open();
    EXPECT_EQ(child.wait(), 0);
    const Result r = tracer.wait();
    EXPECT_EQ(r.status, 0) << r.err;
    EXPECT_NE(r.err.find("130 seen = 130 printed + 0 filtered + 0 lost"), std::string::npos)
        << r.err;
    // The time of day comes with intervals, unless -T.
    const std::string first = lines(r.out).at(1);
    EXPECT_EQ(first.size(), 8u) << r.out;
    EXPECT_EQ(first[2], ':');
    const Result bare = run({"ext4dist", "-T", "0.1", "1"});
    EXPECT_EQ(bare.status, 0) << bare.err;
    for (const std::string& line : lines(bare.out))
        EXPECT_FALSE(line.size() == 8 && line[2] == ':') << bare.out;
}

TEST(Fsdist, TimesOfASlowFileSystem)
{
    TempDir dir;
    const FuseServer server(dir.path(), std::chrono::milliseconds(60));
    Child child([&] {
        char buffer[100];
        const int fd = open_file(dir / "slow", O_RDONLY);
        for (int i = 0; i < 5; i++)
            EXPECT_EQ(::pread(fd, buffer, 100, i), 100);
    });
    Tracer tracer({"fusedist", "-m", "--json", "-p", to_string(child.pid())});
    child.go_wait();
    const Result result = tracer.wait();
    expect_exact(result);
    EXPECT_EQ(counts(result.records), (Counts{{"open", 1}, {"read", 5}}));
    const Json read = with(result.records, "operation", "read").at(0);
    EXPECT_EQ(read.at("unit"), "msecs");
    EXPECT_GE(read.at("min"), 60.0);
    EXPECT_GE(read.at("sum"), 300.0);
    for (const Json& bucket : read.at("buckets"))
        if (bucket.at("to") < 60)
            EXPECT_EQ(bucket.at("count"), 0);
}

TEST(Fsdist, OptionsAndOtherNames)
{
    Result r = run({"fsdist"});
    EXPECT_EQ(r.status, 1);
    for (const std::vector<std::string>& bad : std::vector<std::vector<std::string>>{
             {"fsdist", "-t", "vfat"}, {"ext4dist", "0"}, {"ext4dist", "1", "0"}}) {
        r = run(bad);
        EXPECT_EQ(r.status, 1) << r.err;
        EXPECT_EQ(lines(r.err).size(), 1u) << r.err;
    }
    r = run({"f2fsdist", "1", "1"});
    EXPECT_EQ(r.status, 2);
    EXPECT_EQ(r.err, "f2fsdist: cannot trace f2fs: its module is not loaded; modprobe f2fs\n");
    r = run({"nfsdist", "--check", "--explain"});
    EXPECT_EQ(r.status, 0) << r.err;
    EXPECT_NE(r.err.find("(nfs4_file_open)"), std::string::npos) << r.err;
}

} // namespace
