// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Disks of known latency (null_blk completes each request a set time later, by a timer), and
// requests counted as the tests issue them: with O_DIRECT one read or write is one request.
#include "throttled.hpp"
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <memory>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace
{

using namespace corebox::test;
using std::to_string;

std::uint64_t total(const Records& records)
{
    std::uint64_t n = 0;
    for (const Json& r : records)
        n += r.at("count").get<std::uint64_t>();
    return n;
}

std::uint64_t total(const Records& records, const std::string& key, const std::string& value)
{
    return total(with(records, key, value));
}

// What every histogram has to fulfil.
void expect_sound(const Records& records)
{
    for (const Json& r : records) {
        std::uint64_t count = 0, next = 0;
        for (const Json& b : r.at("buckets")) {
            EXPECT_EQ(b.at("from"), next);
            next = b.at("to").get<std::uint64_t>() + 1;
            count += b.at("count").get<std::uint64_t>();
        }
        EXPECT_EQ(r.at("count"), count);
        EXPECT_GT(r.at("buckets").back().at("count"), 0);
        const double min = r.at("min"), max = r.at("max"), avg = r.at("avg");
        EXPECT_LE(min, avg);
        EXPECT_LE(avg, max);
        EXPECT_LT(max, double(next));
        EXPECT_GE(max, r.at("buckets").back().at("from").get<double>());
        EXPECT_NEAR(r.at("sum").get<double>(), avg * double(count), double(count));
        double before = min;
        for (const std::string p : {"p50", "p90", "p99"}) {
            const double from = r.at(p + "_from"), to = r.at(p + "_to"), value = r.at(p);
            EXPECT_LE(before, value) << r;
            EXPECT_LE(min, from) << r;
            EXPECT_LE(from, value) << r;
            EXPECT_LE(value, to) << r;
            EXPECT_LE(to, max) << r;
            EXPECT_LE(to - from, std::max(from, 0.125) / 4) << r;
            before = value;
        }
    }
}

// biolatency --json ARGUMENTS while `work` runs.
Result trace(std::vector<std::string> arguments, const std::function<void()>& work,
             const Environment& env = {})
{
    const Result r = trace_tool("biolatency", std::move(arguments), work, env);
    EXPECT_EQ(r.account.value("printed", 0u), total(r.records));
    expect_sound(r.records);
    return r;
}

class Biolatency : public testing::Test
{
protected:
    static void SetUpTestSuite() { make_slow_disks(); }
};

// --- Every rung measures the same.

class BiolatencyRung : public EachRung
{
protected:
    static void SetUpTestSuite() { make_slow_disks(); }
};

INSTANTIATE_TEST_SUITE_P(Rungs, BiolatencyRung, testing::Values("", "tp_btf", "raw_tp"), rung_name);

TEST_P(BiolatencyRung, IsTheOneTaken)
{
    const Result r = run({"biolatency", "--check", "--explain", "-Q"}, env());
    EXPECT_EQ(r.status, 0);
    const std::string taken = *GetParam() ? GetParam() : "tp_btf"; // all four kernels have it
    std::size_t n = 0;
    for (const std::string& line : lines(r.err))
        n += line == "  " + taken + ": taken";
    // Issue, completion, insertion; what a merge is told of needs no types, so that is raw_tp's.
    EXPECT_EQ(n, taken == "raw_tp" ? 4u : 3u) << r.err;
    EXPECT_EQ(r.err.find("none"), std::string::npos) << r.err;
}

TEST_P(BiolatencyRung, CountsEachRequestOnceInItsBucket)
{
    const File disk(kSlow);
    const Result r = trace(
        {"-d", "nullb0"}, [&] { disk.read(50); }, env());
    ASSERT_EQ(r.records.size(), 1u);
    const Json& h = r.records[0];
    EXPECT_EQ(h.at("count"), 50);
    EXPECT_EQ(h.at("unit"), "usecs");
    EXPECT_EQ(h.count("disk"), 0u);
    EXPECT_EQ(h.count("flags"), 0u);
    // The timer never ends early; how late it comes is up to the machine.
    EXPECT_GE(h.at("min").get<double>() + clock_error_us(), kLatencyUs);
    for (const Json& b : h.at("buckets"))
        if (b.at("to").get<unsigned>() + clock_error_us() < kLatencyUs) {
            EXPECT_EQ(b.at("count"), 0) << b;
        }
}

TEST_P(BiolatencyRung, TellsDisksAndFlagsApart)
{
    const File a(kSlow), b(kSlow2);
    const Result r = trace(
        {"-D", "-F"},
        [&] {
            a.read(7);
            a.write(5);
            b.read(13);
        },
        env());
    const Records first = with(r.records, "disk", "nullb0");
    const Records second = with(r.records, "disk", "nullb1");
    EXPECT_EQ(total(first), 12u);
    EXPECT_EQ(total(second), 13u);
    // A direct write is always synchronous; a direct read is since 6.1 or so.
    for (const Json& h : r.records) {
        if (!h.at("disk").get<std::string>().starts_with("nullb"))
            continue;
        const std::string flags = h.at("flags");
        const bool is_read = flags.ends_with("Read");
        EXPECT_TRUE(is_read || flags.ends_with("-Write")) << flags;
        if (!is_read) {
            EXPECT_NE(flags.find("Sync"), std::string::npos) << flags;
            EXPECT_EQ(h.at("count"), 5);
        }
    }
    // Sorted by disk.
    EXPECT_TRUE(std::ranges::is_sorted(
        r.records, {}, [](const Json& h) { return h.at("disk").get<std::string>(); }));
}

TEST_P(BiolatencyRung, QueuedCountsTheSameRequests)
{
    for (const char* scheduler : {"none", "mq-deadline"}) {
        for (const char* iostats : {"1", "0"}) { // without them the kernel notes no start
            set_queue("nullb0", "scheduler", scheduler);
            set_queue("nullb0", "iostats", iostats);
            const File disk(kSlow);
            const Result r = trace(
                {"-Q", "-d", "nullb0"}, [&] { disk.read(20); }, env());
            EXPECT_EQ(total(r.records), 20u) << scheduler << " " << iostats;
            for (const Json& h : r.records)
                EXPECT_GE(h.at("min").get<double>() + clock_error_us(), kLatencyUs);
        }
    }
    set_queue("nullb0", "iostats", "1");
    set_queue("nullb0", "scheduler", "none");
}

TEST_P(BiolatencyRung, CountsWhatACgroupIssues)
{
    const Cgroup cgroup("biolatency");
    // With a scheduler requests are inserted by their issuer, but may be issued by another task.
    for (const char* scheduler : {"none", "mq-deadline"}) {
        set_queue("nullb0", "scheduler", scheduler);
        const auto work = [&] {
            Child inside([&] {
                cgroup.enter();
                const File disk(kSlow);
                disk.read(11);
            });
            std::thread other([] {
                const File disk(kSlow);
                disk.read(17);
            });
            inside.go_wait();
            other.join();
        };
        const Result r = trace({"-c", cgroup.path(), "-D"}, work, env());
        EXPECT_EQ(total(r.records), 11u) << scheduler;
        EXPECT_GE(r.account.at("filtered").get<unsigned>(), 17u) << scheduler;
    }
    set_queue("nullb0", "scheduler", "none");
    // What the driver had no room for is issued by a kernel thread.
    const ThrottledDisk throttled;
    const Result r = trace(
        {"-c", cgroup.path(), "-d", ThrottledDisk::kName},
        [&] {
            Child inside([&] {
                cgroup.enter();
                transfer(File(ThrottledDisk::kPath), true, 16384, 10);
            });
            inside.go_wait();
        },
        env());
    EXPECT_EQ(total(r.records), 10u) << r.out;
}

// --- Options.

TEST_F(Biolatency, QueueTimeIsTheTimeBeforeTheIssue)
{
    // One request at a time on the device, eight submitted at once.
    make_slow_disks("hw_queue_depth=1");
    set_queue("nullb0", "scheduler", "mq-deadline");
    set_queue("nullb0", "nr_requests", "16"); // or the submission waits, not the requests
    constexpr unsigned kAtOnce = 8;
    const auto submit = [] {
        const File disk(kSlow);
        aio_context_t context = 0;
        ASSERT_EQ(::syscall(SYS_io_setup, kAtOnce, &context), 0);
        const Buffer memory = aligned(kAtOnce * kBlock);
        std::vector<iocb> blocks(kAtOnce);
        std::vector<iocb*> pointers;
        for (unsigned i = 0; i < kAtOnce; i++) {
            blocks[i].aio_lio_opcode = IOCB_CMD_PREAD;
            blocks[i].aio_fildes = unsigned(disk.fd());
            blocks[i].aio_buf = std::uint64_t(memory.get()) + i * kBlock;
            blocks[i].aio_nbytes = kBlock;
            blocks[i].aio_offset = std::int64_t(i * 100 * kBlock); // apart: nothing merges
            pointers.push_back(&blocks[i]);
        }
        io_event events[kAtOnce];
        ASSERT_EQ(::syscall(SYS_io_submit, context, kAtOnce, pointers.data()), int(kAtOnce));
        ASSERT_EQ(::syscall(SYS_io_getevents, context, kAtOnce, kAtOnce, events, nullptr),
                  int(kAtOnce));
        ::syscall(SYS_io_destroy, context);
    };
    const Result issued = trace({"-d", "nullb0"}, submit);
    const Result queued = trace({"-Q", "-d", "nullb0"}, submit);
    ASSERT_EQ(total(issued.records), kAtOnce);
    ASSERT_EQ(total(queued.records), kAtOnce);
    // The last waits for all the others.
    EXPECT_GE(queued.records[0].at("max").get<double>() + clock_error_us(),
              0.8 * kAtOnce * kLatencyUs);
    EXPECT_GT(queued.records[0].at("sum").get<double>(), issued.records[0].at("sum").get<double>());
    make_slow_disks();
}

TEST_F(Biolatency, DiskWithoutDiskOptionIsForAll)
{
    const File a(kSlow), b(kSlow2);
    const Result r = trace({"-D"}, [&] {
        a.read(3);
        b.read(4);
    });
    EXPECT_EQ(total(r.records, "disk", "nullb0"), 3u);
    EXPECT_EQ(total(r.records, "disk", "nullb1"), 4u);
}

// BCC's C version takes --disk for -D.
TEST_F(Biolatency, DiskByItsNames)
{
    const File a(kSlow), b(kSlow2);
    for (const std::string name : {"nullb0", "/dev/nullb0", "NUMBER"}) {
        std::string disk = name;
        if (name == "NUMBER")
            disk = lines(read_file("/sys/block/nullb0/dev")).at(0);
        const Result r = trace({"--disk", disk}, [&] {
            a.read(6);
            b.read(9);
        });
        EXPECT_EQ(total(r.records), 6u) << name;
        EXPECT_GE(r.account.at("filtered").get<unsigned>(), 9u);
    }
}

TEST_F(Biolatency, WhatTheDriverGivesBackIsFilteredOnce)
{
    const ThrottledDisk throttled;
    const File disk(ThrottledDisk::kPath);
    std::uint64_t others = 0;
    const Result r = trace({"--disk", "nullb0"}, [&] {
        const std::uint64_t before = requests_but_of("nullb0");
        transfer(disk, false, 16384, 20);
        others = requests_but_of("nullb0") - before;
    });
    EXPECT_GE(r.account.at("filtered").get<std::uint64_t>(), 20u);
    EXPECT_LE(r.account.at("filtered").get<std::uint64_t>(), others + 5); // before and behind
}

// BCC shows nothing for a partition, and does not say why.
TEST_F(Biolatency, PartitionIsAPartOfItsDisk)
{
    // A DOS partition table: two partitions of 8 MiB.
    unsigned char table[512] = {};
    const auto entry = [&](unsigned i, std::uint32_t start, std::uint32_t sectors) {
        unsigned char* p = table + 446 + i * 16;
        p[4] = 0x83;
        std::memcpy(p + 8, &start, 4);
        std::memcpy(p + 12, &sectors, 4);
    };
    entry(0, 2048, 16384);
    entry(1, 2048 + 16384, 16384);
    table[510] = 0x55;
    table[511] = 0xaa;
    char target[64] = {};
    ASSERT_GT(::readlink("/dev/disk0", target, sizeof target - 1), 0);
    const std::string name = target; // vda, or vdb
    {
        const File disk("/dev/disk0", O_RDWR);
        ASSERT_EQ(::pwrite(disk.fd(), table, sizeof table, 0), ssize_t(sizeof table));
        ASSERT_EQ(::fsync(disk.fd()), 0);
        ASSERT_EQ(::ioctl(disk.fd(), BLKRRPART), 0);
    }
    ASSERT_TRUE(wait_until([&] { return ::access(("/dev/" + name + "2").c_str(), F_OK) == 0; }));
    const auto work = [&] {
        const File one("/dev/" + name + "1"), two("/dev/" + name + "2"), all("/dev/" + name);
        one.read(10);
        two.read(21);
        two.read(1, 16384 * 512 - off_t(kBlock)); // its last block
        all.read(5);                              // before the partitions
    };
    for (const char* queued : {"", "-Q"}) {
        std::vector<std::string> arguments;
        if (*queued)
            arguments = {queued};
        auto with_disk = [&](const std::string& disk) {
            auto a = arguments;
            a.insert(a.end(), {"-d", disk});
            return total(trace(a, work).records);
        };
        EXPECT_EQ(with_disk(name + "1"), 10u) << queued;
        EXPECT_EQ(with_disk("/dev/" + name + "2"), 22u) << queued;
        EXPECT_EQ(with_disk(name), 37u) << queued;
    }
    const File disk("/dev/disk0", O_RDWR);
    const Buffer zero = aligned(kBlock);
    ASSERT_EQ(::pwrite(disk.fd(), zero.get(), kBlock, 0), ssize_t(kBlock));
    ASSERT_EQ(::fsync(disk.fd()), 0);
    ASSERT_EQ(::ioctl(disk.fd(), BLKRRPART), 0);
}

TEST_F(Biolatency, UnknownDiskIsSaid)
{
    const Result r = run({"biolatency", "-d", "nosuchdisk"});
    EXPECT_EQ(r.status, 2);
    EXPECT_NE(r.err.find("cannot trace disk 'nosuchdisk': there is no such disk; lsblk"),
              std::string::npos)
        << r.err;
    EXPECT_EQ(r.out, "");
}

TEST_F(Biolatency, DiskWithoutRequestsIsSaid)
{
    ASSERT_EQ(shell("modprobe brd").status, 0); // handles bios as they come
    ASSERT_TRUE(wait_until([] { return ::access("/dev/ram0", F_OK) == 0; }));
    const Result r = run({"biolatency", "-d", "ram0", "--duration", "5"});
    EXPECT_EQ(r.status, 2);
    EXPECT_NE(r.err.find("cannot trace disk 'ram0': it has no requests of its own"),
              std::string::npos)
        << r.err;
}

TEST_F(Biolatency, WritesThatFlushCountOnce)
{
    // virtio's disks have a cache and no FUA: the kernel makes of each such write the write itself
    // and a flush, and O_DSYNC on a block device asks for a flush of its own behind it.
    const File disk("/dev/disk0", O_RDWR | O_DIRECT | O_DSYNC);
    char target[64] = {};
    ASSERT_GT(::readlink("/dev/disk0", target, sizeof target - 1), 0);
    const std::string cache = read_file(std::string("/sys/block/") + target + "/queue/write_cache");
    ASSERT_TRUE(cache.starts_with("write back")) << cache;

    // On the device: each write, and whatever flushes there were.
    const Result device = trace({"-F", "-d", target}, [&] { disk.write(10); });
    std::uint64_t writes = 0, flushes = 0;
    for (const Json& h : device.records)
        (h.at("flags").get<std::string>().ends_with("Flush") ? flushes : writes) +=
            h.at("count").get<std::uint64_t>();
    EXPECT_EQ(writes, 10u);
    EXPECT_GE(flushes, 10u);
    EXPECT_LE(flushes, 20u);

    // As they were asked for: each write, and each flush; the machinery between them is not.
    const Result asked = trace({"-F", "-Q", "-d", target}, [&] { disk.write(10); });
    writes = 0;
    for (const Json& h : asked.records) {
        const std::string flags = h.at("flags");
        EXPECT_TRUE(flags.ends_with("-Write")) << flags;
        EXPECT_EQ(h.at("count"), 10) << flags;
        writes++;
    }
    EXPECT_GE(writes, 1u);
    EXPECT_LE(writes, 2u); // the writes and the flushes without data
}

TEST_F(Biolatency, KindsOfRequests)
{
    char target[64] = {};
    ASSERT_GT(::readlink("/dev/disk0", target, sizeof target - 1), 0);
    const File disk("/dev/disk0");
    const Result r = trace({"-F", "-d", target}, [&] {
        std::uint64_t range[2] = {1 << 20, 1 << 20};
        EXPECT_EQ(::ioctl(disk.fd(), BLKDISCARD, range), 0) << std::strerror(errno);
        EXPECT_EQ(::ioctl(disk.fd(), BLKZEROOUT, range), 0) << std::strerror(errno);
        EXPECT_EQ(::fsync(disk.fd()), 0);
    });
    const auto ends_with = [&](std::string_view op) {
        std::uint64_t n = 0;
        for (const Json& h : r.records)
            if (h.at("flags").get<std::string>().ends_with(op))
                n += h.at("count").get<std::uint64_t>();
        return n;
    };
    EXPECT_EQ(ends_with("Discard"), 1u) << r.out;
    EXPECT_EQ(ends_with("WriteZeros"), 1u) << r.out;
    EXPECT_GE(ends_with("Flush"), 1u) << r.out;
    EXPECT_EQ(ends_with("Unknown"), 0u) << r.out;
}

TEST_F(Biolatency, PidIsTheIssuer)
{
    const File disk(kSlow);
    const Result r = unpreempted([&] {
        Child child([] {
            const File own(kSlow);
            own.read(8);
        });
        Tracer tracer({"biolatency", "--json", "-p", to_string(child.pid())});
        disk.read(6);
        child.go_wait();
        return tracer.wait(); // ends with its target
    });
    EXPECT_EQ(r.status, 0);
    EXPECT_EQ(total(r.records), 8u);
    EXPECT_GE(r.account.at("filtered").get<unsigned>(), 6u);
    expect_exact(r);
}

TEST_F(Biolatency, CommandIsTheIssuer)
{
    const Result r = unpreempted([] {
        return run({"biolatency", "--json", "--", "dd", "if=/dev/nullb0", "of=/dev/null", "bs=4k",
                    "count=9", "iflag=direct"});
    });
    EXPECT_EQ(r.status, 0) << r.err;
    EXPECT_EQ(total(r.records), 9u);
}

// --- Output.

TEST_F(Biolatency, TextOfBcc)
{
    const File disk(kSlow);
    Tracer tracer({"biolatency", "-T", "-e", "-D", "-d", "nullb0"});
    disk.read(12);
    const Result r = tracer.stop();
    EXPECT_EQ(r.status, 0);
    const auto text = lines(r.out);
    ASSERT_GE(text.size(), 6u) << r.out;
    EXPECT_EQ(text[0], "");
    EXPECT_EQ(text[1].size(), 8u);
    EXPECT_EQ(text[1][2], ':');
    EXPECT_EQ(text[3], "disk = nullb0");
    EXPECT_EQ(text[4], "     usecs               : count     distribution");
    EXPECT_EQ(text[5],
              "         0 -> 1          : 0        |                                        |");
    unsigned count = 0;
    for (const std::string& line : text)
        if (line.find(" -> ") != line.npos)
            count += unsigned(std::stoul(line.substr(line.find(" : ") + 3)));
    EXPECT_EQ(count, 12u);
    EXPECT_TRUE(text[text.size() - 2].starts_with("count 12, avg ")) << r.out;
    EXPECT_NE(text[text.size() - 2].find(" usecs, min "), std::string::npos) << r.out;
    EXPECT_TRUE(text.back().starts_with("avg = ")) << r.out;
    EXPECT_TRUE(text.back().ends_with(" usecs, count: 12")) << r.out;
}

TEST_F(Biolatency, Milliseconds)
{
    const File disk(kSlow);
    const Result r = trace({"-m", "-d", "nullb0"}, [&] { disk.read(5); });
    ASSERT_EQ(r.records.size(), 1u);
    EXPECT_EQ(r.records[0].at("unit"), "msecs");
    EXPECT_GE(r.records[0].at("min").get<double>() + clock_error_us() / 1000.0, 3.0);
    EXPECT_LT(r.records[0].at("min").get<double>(), 1000);
}

TEST_F(Biolatency, CsvIsALineABucket)
{
    const File disk(kSlow);
    Tracer tracer({"biolatency", "--csv", "-D", "-F", "-d", "nullb0"});
    disk.read(5);
    const Result r = tracer.stop();
    const auto text = lines(r.out);
    ASSERT_GE(text.size(), 2u);
    EXPECT_EQ(text[0], "time_ns,disk,flags,unit,from,to,count");
    unsigned count = 0;
    for (std::size_t i = 1; i < text.size(); i++) {
        EXPECT_NE(text[i].find(",nullb0,"), std::string::npos) << text[i];
        EXPECT_NE(text[i].find("Read,usecs,"), std::string::npos) << text[i];
        count += unsigned(std::stoul(text[i].substr(text[i].rfind(',') + 1)));
    }
    EXPECT_EQ(count, 5u);
}

TEST_F(Biolatency, IntervalsAndCount)
{
    const File disk(kSlow);
    Tracer tracer({"biolatency", "--json", "-d", "nullb0", "0.5", "3"});
    std::thread reader([&] { disk.read(30); });
    const Result r = tracer.wait();
    reader.join();
    EXPECT_EQ(r.status, 0);
    EXPECT_LE(r.records.size(), 3u);
    EXPECT_GE(r.records.size(), 1u);
    EXPECT_EQ(run({"biolatency", "0"}).status, 1);
    EXPECT_EQ(run({"biolatency", "1", "0"}).status, 1);
    EXPECT_EQ(run({"biolatency", "-Z"}).status, 1);
}

// Upstream reads and clears the map while it is filled.
TEST_F(Biolatency, IntervalsLoseNothingInAFlood)
{
    constexpr unsigned kReads = 10'000;
    make_null_disks("queue_mode=2 irqmode=0 hw_queue_depth=64");
    for (const bool keyed : {false, true}) {
        std::vector<std::string> arguments{"-d", "nullb0", "0.05"};
        if (keyed)
            arguments.insert(arguments.begin(), "-DF");
        const Result r = trace(arguments, [&] {
            // One task a CPU: where the kernel preempts BPF programs (7.2), it skips, and counts as
            // nested, those of a task that runs meanwhile.
            std::vector<std::thread> threads;
            for (unsigned cpu = 0; cpu < cpus(); cpu++)
                threads.emplace_back([cpu] {
                    cpu_set_t set;
                    CPU_ZERO(&set);
                    CPU_SET(cpu, &set);
                    ASSERT_EQ(::sched_setaffinity(0, sizeof set, &set), 0);
                    const File disk(kSlow);
                    disk.read(kReads / cpus());
                });
            for (std::thread& t : threads)
                t.join();
        });
        EXPECT_EQ(total(r.records), kReads / cpus() * cpus()) << r.err;
        EXPECT_GT(r.records.size(), 1u);
    }
    make_slow_disks();
}

TEST_F(Biolatency, RequestsInFlightAtTheStartAreNotMisread)
{
    // Issued before the tool comes: its start is not known, so it is not counted; with -Q the
    // kernel's own note of it is right.
    make_null_disks("queue_mode=2 irqmode=2 hw_queue_depth=64 completion_nsec=1500000000");
    for (const bool queued : {false, true}) {
        Child child([] {
            const File disk(kSlow);
            disk.read(1);
        });
        child.go();
        std::vector<std::string> argv{"biolatency", "--json", "-d", "nullb0"};
        if (queued)
            argv.push_back("-Q");
        ASSERT_TRUE(wait_until([] {
            return lines(shell("awk '{print $1+$2}' /sys/block/nullb0/inflight").out).at(0) == "1";
        }));
        Tracer tracer(argv);
        const bool late =
            ::kill(child.pid(), 0) != 0 ||
            lines(shell("awk '{print $1+$2}' /sys/block/nullb0/inflight").out).at(0) != "1";
        EXPECT_EQ(child.wait(), 0);
        const Result r = tracer.stop();
        EXPECT_EQ(r.status, 0);
        if (late) // the tool took longer to start than the request to end
            continue;
        EXPECT_EQ(total(r.records), queued ? 1u : 0u);
        for (const Json& h : r.records)
            EXPECT_GE(h.at("min").get<double>() + clock_error_us(), 1'500'000);
    }
    make_slow_disks();
}

TEST_F(Biolatency, LeavesNoTraceInTheKernelLog)
{
    // 5.10 warns of maps that allocate as they go, in programs that are not of the tracing type.
    shell("dmesg -c >/dev/null");
    const Result r = run({"biolatency", "--check", "-DFQ", "-c", "/sys/fs/cgroup"},
                         {{"COREBOX_PROBES", "raw_tp"}});
    EXPECT_EQ(r.status, 0) << r.err;
    EXPECT_EQ(shell("dmesg").out.find("WARNING"), std::string::npos);
}

} // namespace
