// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A disk that has no room now and then: it gives requests back, and they come again.
#pragma once
#include "block.hpp"

namespace corebox::test
{

// nullb2, which does 1 MB a second, 52 KB in each tick of 50 ms: a larger request would never have
// room. null_blk is loaded. Removed at the end. Its name is that of the
// directory since 6.0 or so, before that it is numbered.
class ThrottledDisk
{
public:
    ThrottledDisk()
    {
        const Result r = shell("mount -t configfs none /sys/kernel/config 2>/dev/null; "
                               "cd /sys/kernel/config/nullb && mkdir -p nullb2 && cd nullb2 && "
                               "echo 64 >size && echo 4096 >blocksize && echo 2 >queue_mode && "
                               "echo 1 >submit_queues && echo 0 >irqmode && echo 1 >mbps && "
                               "echo 1 >power");
        EXPECT_EQ(r.status, 0) << r.out << r.err;
        EXPECT_TRUE(wait_until([] { return ::access("/dev/nullb2", F_OK) == 0; }));
    }
    ~ThrottledDisk() { shell("rmdir /sys/kernel/config/nullb/nullb2"); }
    ThrottledDisk(const ThrottledDisk&) = delete;
    ThrottledDisk& operator=(const ThrottledDisk&) = delete;

    static constexpr const char* kPath = "/dev/nullb2";
    static constexpr const char* kName = "nullb2";
};

// Those that all disks but one have done.
inline std::uint64_t requests_but_of(const std::string& disk)
{
    std::uint64_t n = 0;
    for (const std::string& name : lines(shell("ls /sys/block").out)) {
        const DiskStat stat = name == disk ? DiskStat{} : DiskStat::of(name);
        n += stat.reads + stat.writes + stat.discards + stat.flushes;
    }
    return n;
}

// `n` transfers of `size` bytes past the cache, one after the other from `start` on.
inline void transfer(const File& file, bool write, std::size_t size, unsigned n, off_t start = 0)
{
    const Buffer b = aligned(size);
    for (unsigned i = 0; i < n; i++) {
        const off_t at = start + off_t(i) * off_t(size);
        EXPECT_EQ(write ? ::pwrite(file.fd(), b.get(), size, at)
                        : ::pread(file.fd(), b.get(), size, at),
                  ssize_t(size))
            << std::strerror(errno);
    }
}

} // namespace corebox::test
