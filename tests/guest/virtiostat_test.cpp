// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A virtio disk's request is a header of 16 bytes for the device to read, the data, and a byte for
// the device to write its status to (struct virtio_blk_req, VIRTIO 1.2, 5.2.6): all is known.
#include "block.hpp"
#include <algorithm>
#include <cstdio>
#include <libgen.h>

namespace
{

using namespace corebox::test;

// "virtio1" of "/dev/disk0".
std::string device_behind(const std::string& link)
{
    char target[256] = {};
    const std::string path = "/sys/block/" + disk_behind(link) + "/device";
    EXPECT_GT(::readlink(path.c_str(), target, sizeof target - 1), 0) << path;
    return ::basename(target);
}

std::uint64_t total(const Records& records, const std::string& device, const char* key)
{
    std::uint64_t n = 0;
    for (const Json& r : with(records, "device", device))
        n += r.at(key).get<std::uint64_t>();
    return n;
}

TEST(Virtiostat, CountsListsAndBytesOfADisk)
{
    const std::string device = device_behind("/dev/disk0"), other = device_behind("/dev/disk1");
    const File disk("/dev/disk0"), second("/dev/disk1");
    for (const char* rung : {"", "kprobe"}) {
        const Result r = unpreempted([&] {
            Tracer tracer({"virtiostat", "--json", "-d", "virtio_blk"},
                          *rung ? Environment{{"COREBOX_PROBES", rung}} : Environment{});
            disk.read(13);
            disk.write(7);
            EXPECT_EQ(::fsync(disk.fd()), 0);
            second.read(3);
            return tracer.stop();
        });
        EXPECT_EQ(r.status, 0) << r.err;
        expect_exact(r);
        EXPECT_EQ(total(r.records, device, "buffers"), 21u) << rung;
        EXPECT_EQ(total(r.records, device, "in_sgs"), 13u * 2 + 7 + 1) << rung;
        EXPECT_EQ(total(r.records, device, "out_sgs"), 13u + 7 * 2 + 1) << rung;
        EXPECT_EQ(total(r.records, device, "in_bytes"), 13u * 4097 + 7 + 1) << rung;
        EXPECT_EQ(total(r.records, device, "out_bytes"), 13u * 16 + 7 * (16 + 4096) + 16) << rung;
        EXPECT_EQ(total(r.records, other, "buffers"), 3u) << rung;
        for (const Json& row : r.records) {
            EXPECT_EQ(row.at("driver"), "virtio_blk");
            EXPECT_TRUE(row.at("queue").get<std::string>().starts_with("req.")) << row;
        }
        EXPECT_TRUE(std::ranges::is_sorted(
            r.records, {}, [](const Json& row) { return row.at("device").get<std::string>(); }));
    }
}

// Many pages, no two of them neighbours, are a long list, which has links in it.
TEST(Virtiostat, SumsLongLists)
{
    constexpr std::size_t kSize = 64 * kBlock;
    const std::string device = device_behind("/dev/disk0");
    const File disk("/dev/disk0");
    const Buffer buffer = aligned(kSize);
    for (std::size_t i = 0; i < kSize; i += kBlock) // each page is touched by itself
        static_cast<volatile char*>(buffer.get())[i] = 1;
    const DiskStat before = DiskStat::of(disk_behind("/dev/disk0"));
    Tracer tracer({"virtiostat", "--json", "-n", device});
    for (unsigned i = 0; i < 5; i++)
        EXPECT_EQ(::pread(disk.fd(), buffer.get(), kSize, 0), ssize_t(kSize));
    const Result r = tracer.stop();
    const std::uint64_t requests = (DiskStat::of(disk_behind("/dev/disk0")) - before).reads;
    EXPECT_EQ(total(r.records, device, "buffers"), requests);
    EXPECT_EQ(total(r.records, device, "in_bytes"), 5 * kSize + requests);
    EXPECT_EQ(r.account.at("lost"), 0);
}

TEST(Virtiostat, TheConsoleToo)
{
    Tracer tracer({"virtiostat", "-d", "virtio_console", "0.3"});
    // This program's output goes to the host by such a port.
    std::printf("%s\n", std::string(500, '.').c_str());
    std::fflush(stdout);
    tracer.wait_for("virtio_console");
    const Result r = tracer.stop();
    std::uint64_t bytes = 0;
    for (const std::string& line : lines(r.out))
        if (const auto row = words(line); row.size() == 7 && row[2] == "output") {
            EXPECT_EQ(row[0], "virtio_console");
            EXPECT_EQ(row[3], "0");
            bytes += std::stoull(row[6]);
        }
    EXPECT_GE(bytes, 500u) << r.out;
    EXPECT_EQ(r.status, 0);
}

// BCC compares the count with seconds: `3 2` is one report.
TEST(Virtiostat, ReportsAsManyAsAskedFor)
{
    const File disk("/dev/disk0");
    const Result r = run({"virtiostat", "-n", "nosuch0", "0.2", "3"});
    EXPECT_EQ(r.status, 0) << r.err;
    const auto text = lines(r.out);
    ASSERT_EQ(text.size(), 6u) << r.out;
    for (std::size_t i = 0; i < text.size(); i += 2) {
        EXPECT_EQ(text[i], "--------");
        EXPECT_TRUE(text[i + 1].starts_with("Driver ")) << text[i + 1];
    }
    const Result timed = run({"virtiostat", "-T", "0.2", "1"});
    EXPECT_EQ(lines(timed.out).at(0).size(), 8u) << timed.out;
    EXPECT_EQ(lines(timed.out).at(0)[2], ':');
    for (const char* bad : {"0", "x", "-Z"})
        EXPECT_EQ(run({"virtiostat", bad}).status, 1) << bad;
}

} // namespace
