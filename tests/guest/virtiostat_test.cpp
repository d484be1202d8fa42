// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A virtio disk's request is a header of 16 bytes for the device to read, the data, and a byte for
// the device to write its status to (struct virtio_blk_req, VIRTIO 1.2, 5.2.6): all is known.
#include "block.hpp"
#include <algorithm>
#include <cstdio>
#include <libgen.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

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
            Tracer tracer({"virtiostat", "--json", "-d", "virtio_blk"}, forced(rung));
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
    constexpr std::size_t kPages = 240, kSize = kPages * kBlock;
    const std::string device = device_behind("/dev/disk0");
    const File disk("/dev/disk0");
    const Buffer buffer = aligned(2 * kSize);
    std::vector<iovec> pages;
    for (std::size_t i = 0; i < kPages; i++)
        pages.push_back({static_cast<char*>(buffer.get()) + 2 * i * kBlock, kBlock});
    for (const char* rung : {"", "kprobe"}) {
        DiskStat stat;
        const Result r = unpreempted([&] {
            Tracer tracer({"virtiostat", "--json", "-n", device}, forced(rung));
            const DiskStat before = DiskStat::of(disk_behind("/dev/disk0"));
            for (unsigned i = 0; i < 5; i++)
                EXPECT_EQ(::preadv(disk.fd(), pages.data(), int(kPages), 0), ssize_t(kSize));
            stat = DiskStat::of(disk_behind("/dev/disk0")) - before;
            return tracer.stop();
        });
        EXPECT_EQ(r.status, 0) << rung << r.err;
        EXPECT_EQ(total(r.records, device, "buffers"), stat.reads) << rung;
        EXPECT_LE(stat.reads, 10u); // a list has more than a hundred
        EXPECT_EQ(total(r.records, device, "in_bytes"), 5 * kSize + stat.reads) << rung;
        EXPECT_EQ(r.account.at("lost"), 0) << rung;
    }
}

// Buffers of one list, which come with a context or mapped by the driver itself, or which share a
// line of the cache.
TEST(Virtiostat, ANetworkCardAndAScsiHost)
{
    constexpr unsigned kPackets = 7, kPayload = 1000;
    const auto bring_up = "ifconfig eth0 10.99.0.1 netmask 255.255.255.0 up";
    for (const char* rung : {"", "kprobe"}) {
        const Result r = unpreempted([&] {
            EXPECT_EQ(shell("rmmod virtio_net; modprobe virtio_net; rmmod virtio_scsi").status, 0);
            EXPECT_TRUE(wait_until([] { return ::access("/sys/class/net/eth0", F_OK) == 0; }));
            write_file("/proc/sys/net/ipv6/conf/eth0/disable_ipv6", "1"); // says nothing itself
            Tracer tracer({"virtiostat", "--json", "0.3"}, forced(rung));
            EXPECT_EQ(shell("modprobe virtio_scsi").status, 0);
            EXPECT_EQ(shell(bring_up).status, 0);
            const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), one = 1;
            EXPECT_EQ(::setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &one, sizeof one), 0);
            sockaddr_in to{};
            to.sin_family = AF_INET;
            to.sin_port = htons(9);
            to.sin_addr.s_addr = htonl(0x0a6300ff);
            const std::string payload(kPayload, 'x');
            for (unsigned i = 0; i < kPackets; i++)
                EXPECT_EQ(::sendto(fd, payload.data(), kPayload, 0,
                                   reinterpret_cast<const sockaddr*>(&to), sizeof to),
                          ssize_t(kPayload))
                    << std::strerror(errno);
            ::close(fd);
            // They may wait for each other in the queue before the driver.
            EXPECT_TRUE(wait_until([&] {
                std::uint64_t sent = 0;
                for (const std::string& line : lines(tracer.out()))
                    if (line.find("\"output.0\"") != line.npos && line.ends_with('}'))
                        sent += Json::parse(line).at("out_sgs").get<std::uint64_t>();
                return sent >= kPackets;
            }));
            return tracer.stop();
        });
        EXPECT_EQ(r.status, 0) << rung << r.err;
        expect_exact(r);
        const auto sum = [&](const char* driver, const char* queue, const char* key) {
            std::uint64_t n = 0;
            for (const Json& row : with(with(r.records, "driver", driver), "queue", queue))
                n += row.at(key).get<std::uint64_t>();
            return n;
        };
        EXPECT_EQ(sum("virtio_net", "output.0", "out_sgs"), kPackets) << rung << r.out;
        // Headers: of virtio (VIRTIO 1.2, 5.1.6), Ethernet, IP, UDP.
        EXPECT_EQ(sum("virtio_net", "output.0", "out_bytes"),
                  kPackets * (12 + 14 + 20 + 8 + kPayload))
            << rung;
        const std::uint64_t room = sum("virtio_net", "input.0", "in_sgs");
        EXPECT_GE(room, 16u) << rung << r.out;
        EXPECT_EQ(room, sum("virtio_net", "input.0", "buffers"));
        EXPECT_GE(sum("virtio_net", "input.0", "in_bytes"), room * 1500) << rung;
        EXPECT_EQ(sum("virtio_scsi", "event", "in_sgs"), 8u) << rung; // VIRTIO_SCSI_EVENT_LEN
        EXPECT_EQ(sum("virtio_scsi", "event", "in_bytes"), 8u * 16) << rung; // virtio_scsi_event
        EXPECT_EQ(shell("ifconfig eth0 down").status, 0);
    }
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
