// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Disks whose requests are known: null_blk, which completes each a set time later, by a timer, and
// files that are read and written past the cache, where one call is one request.
#pragma once
#include "harness.hpp"
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <unistd.h>

namespace corebox::test
{

inline constexpr std::size_t kBlock = 4096;
inline constexpr unsigned kLatencyUs = 3000;
inline constexpr const char* kSlow = "/dev/nullb0";
inline constexpr const char* kSlow2 = "/dev/nullb1";

struct Free {
    void operator()(void* p) const { std::free(p); }
};
using Buffer = std::unique_ptr<void, Free>;

inline Buffer aligned(std::size_t size)
{
    Buffer b(std::aligned_alloc(kBlock, size));
    std::memset(b.get(), 0, size);
    return b;
}

class File
{
public:
    explicit File(const std::string& path, int flags = O_RDWR | O_DIRECT)
        : fd_(::open(path.c_str(), flags | O_CLOEXEC))
    {
        EXPECT_GE(fd_, 0) << path << ": " << std::strerror(errno);
    }
    ~File() { ::close(fd_); }
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    int fd() const { return fd_; }

    void read(unsigned n, off_t start = 0) const
    {
        const Buffer b = aligned(kBlock);
        for (unsigned i = 0; i < n; i++)
            EXPECT_EQ(::pread(fd_, b.get(), kBlock, start + off_t(i) * off_t(kBlock)),
                      ssize_t(kBlock));
    }
    void write(unsigned n, off_t start = 0) const
    {
        const Buffer b = aligned(kBlock);
        for (unsigned i = 0; i < n; i++)
            EXPECT_EQ(::pwrite(fd_, b.get(), kBlock, start + off_t(i) * off_t(kBlock)),
                      ssize_t(kBlock));
    }

private:
    int fd_;
};

inline void set_queue(const std::string& disk, const std::string& attribute,
                      const std::string& value)
{
    const std::string path = "/sys/block/" + disk + "/queue/" + attribute;
    ASSERT_EQ(shell("echo " + value + " >" + path).status, 0) << path;
}

// Loads null_blk anew with two disks, nullb0 and nullb1.
inline void make_null_disks(const std::string& parameters)
{
    const Result r = shell("rmmod null_blk 2>/dev/null; modprobe null_blk nr_devices=2 gb=1 "
                           "submit_queues=1 bs=512 " +
                           parameters);
    ASSERT_EQ(r.status, 0) << r.out << r.err;
    ASSERT_TRUE(wait_until([] { return ::access(kSlow2, F_OK) == 0; }));
    // Neighbouring blocks that two tasks read at once would become one request.
    set_queue("nullb0", "nomerges", "2");
    set_queue("nullb1", "nomerges", "2");
}

inline void make_slow_disks(const std::string& more = "hw_queue_depth=64")
{
    make_null_disks("queue_mode=2 irqmode=2 completion_nsec=" + std::to_string(kLatencyUs * 1000) +
                    " " + more);
}

// A busy host makes guests give up the TSC for the timer tick: then times are multiples of 4 ms.
inline unsigned clock_error_us()
{
    const std::string clock =
        read_file("/sys/devices/system/clocksource/clocksource0/current_clocksource");
    return clock.starts_with("tsc") ? 0 : 4001;
}

// Some kernels preempt BPF programs, and since 5.12 (bpf_prog::active) the kernel does not run a
// program on a CPU where a run of it has not ended, as when an interrupt came within it. The tool
// says so and counts such a request as lost ("nested"), and the test begins again.
inline Result unpreempted(const std::function<Result()>& measure)
{
    Result r = measure();
    for (int tries = 1; tries < 5 && r.err.find(" nested") != r.err.npos; tries++) {
        EXPECT_EQ(r.status, 3);
        EXPECT_TRUE(has_member("bpf_prog", "active")) << r.err;
        r = measure();
    }
    return r;
}

// A tool that is ended when `work` is done.
inline Result trace_until(const std::vector<std::string>& argv, const Environment& env,
                          const std::function<void(Tracer&)>& work)
{
    const Result r = unpreempted([&] {
        Tracer tracer(argv, env);
        work(tracer);
        return tracer.stop(SIGINT);
    });
    EXPECT_EQ(r.status, 0) << r.err;
    return r;
}

// TOOL --json ARGUMENTS while `work` runs, to its account, which is exact.
inline Result trace_tool(const std::string& tool, std::vector<std::string> arguments,
                         const std::function<void(Tracer&)>& work, const Environment& env)
{
    arguments.insert(arguments.begin(), {tool, "--json"});
    const Result r = trace_until(arguments, env, work);
    expect_exact(r);
    return r;
}

inline Result trace_tool(const std::string& tool, std::vector<std::string> arguments,
                         const std::function<void()>& work, const Environment& env)
{
    return trace_tool(
        tool, std::move(arguments), [&](Tracer&) { work(); }, env);
}

// Counters of /sys/block/DISK/stat (Documentation/block/stat.rst).
struct DiskStat {
    std::uint64_t reads = 0, read_sectors = 0, writes = 0, write_sectors = 0, discards = 0,
                  discard_sectors = 0, flushes = 0;

    static DiskStat of(const std::string& disk)
    {
        const auto n = words(read_file("/sys/block/" + disk + "/stat"));
        const auto at = [&](std::size_t i) { return std::stoull(n.at(i)); };
        return {at(0), at(2), at(4), at(6), at(11), at(13), at(15)};
    }
    DiskStat operator-(const DiskStat& o) const
    {
        return {reads - o.reads,       read_sectors - o.read_sectors,
                writes - o.writes,     write_sectors - o.write_sectors,
                discards - o.discards, discard_sectors - o.discard_sectors,
                flushes - o.flushes};
    }
};

// "vda" of "/dev/disk0".
inline std::string disk_behind(const std::string& link)
{
    char target[64] = {};
    EXPECT_GT(::readlink(link.c_str(), target, sizeof target - 1), 0) << link;
    return target;
}

} // namespace corebox::test
