// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Each request that the tests cause, and the disk's own counters beside it.
#include "block.hpp"
#include <algorithm>
#include <csignal>
#include <linux/aio_abi.h>
#include <linux/blkpg.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <thread>

namespace
{

using namespace corebox::test;
using std::to_string;

constexpr std::uint64_t kSector = 512;

Result trace(std::vector<std::string> arguments, const std::function<void()>& work,
             const Environment& env = {})
{
    return trace_tool("biosnoop", std::move(arguments), work, env);
}

std::uint64_t bytes_of(const Records& records)
{
    std::uint64_t n = 0;
    for (const Json& r : records)
        n += r.at("bytes").get<std::uint64_t>();
    return n;
}

// `n` reads or writes of a block each, handed to the kernel at once, `gap` blocks apart.
void at_once(const File& file, unsigned n, bool write, unsigned gap)
{
    aio_context_t context = 0;
    ASSERT_EQ(::syscall(SYS_io_setup, n, &context), 0);
    const Buffer memory = aligned(n * kBlock);
    std::vector<iocb> blocks(n);
    std::vector<iocb*> pointers;
    for (unsigned i = 0; i < n; i++) {
        blocks[i].aio_lio_opcode = write ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD;
        blocks[i].aio_fildes = unsigned(file.fd());
        blocks[i].aio_buf = std::uint64_t(memory.get()) + i * kBlock;
        blocks[i].aio_nbytes = kBlock;
        blocks[i].aio_offset = std::int64_t(i * gap * kBlock);
        pointers.push_back(&blocks[i]);
    }
    std::vector<io_event> events(n);
    ASSERT_EQ(::syscall(SYS_io_submit, context, n, pointers.data()), int(n));
    ASSERT_EQ(::syscall(SYS_io_getevents, context, n, n, events.data(), nullptr), int(n));
    ::syscall(SYS_io_destroy, context);
}

class Biosnoop : public testing::Test
{
protected:
    static void SetUpTestSuite() { make_slow_disks(); }
};

// What the tool tells is what the disk counts. Of that, a request that was only to flush is counted
// as a write of nothing, beside the flush.
void expect_stat(const DiskStat& stat, const Records& records, unsigned empty_writes)
{
    const auto op = [&](const char* name) { return with(records, "op", name); };
    const Records reads = op("read"), writes = op("write"), zeroes = op("zeroout"),
                  discards = op("discard");
    EXPECT_EQ(stat.reads, reads.size());
    EXPECT_EQ(stat.read_sectors, bytes_of(reads) / kSector);
    EXPECT_EQ(stat.writes, writes.size() + zeroes.size() + empty_writes);
    EXPECT_EQ(stat.write_sectors, (bytes_of(writes) + bytes_of(zeroes)) / kSector);
    EXPECT_EQ(stat.discards, discards.size());
    EXPECT_EQ(stat.discard_sectors, bytes_of(discards) / kSector);
    EXPECT_EQ(stat.flushes, op("flush").size());
    EXPECT_EQ(records.size(),
              reads.size() + writes.size() + zeroes.size() + discards.size() + op("flush").size());
}

// Two disks, two processes, every kind of request: whose it is, where, how much, how long.
void every_request(const std::string& scheduler, const Environment& env)
{
    const std::string vda = disk_behind("/dev/disk0");
    set_queue("nullb0", "scheduler", scheduler);
    set_queue(vda, "scheduler", scheduler);
    set_queue("nullb0", "nomerges", "0");
    pid_t reader_pid = 0, writer_pid = 0;
    DiskStat null_stat, virtio_stat;
    const Result r = trace(
        {},
        [&] {
            Child reader([] {
                const File disk(kSlow);
                disk.read(10);              // sectors 0, 8 ... 72
                disk.write(3, 1 << 20);     // 2048 ...
                at_once(disk, 8, false, 1); // side by side: may become fewer
                at_once(disk, 8, true, 16);
            });
            Child writer([] {
                const File disk("/dev/disk0");
                disk.write(5, 4 << 20);
                const Buffer large = aligned(64 * kBlock);
                EXPECT_EQ(::pwrite(disk.fd(), large.get(), 64 * kBlock, 8 << 20),
                          ssize_t(64 * kBlock));
                EXPECT_EQ(::pread(disk.fd(), large.get(), 64 * kBlock, 8 << 20),
                          ssize_t(64 * kBlock));
                std::uint64_t range[2] = {1 << 20, 1 << 20};
                EXPECT_EQ(::ioctl(disk.fd(), BLKDISCARD, range), 0) << std::strerror(errno);
                EXPECT_EQ(::ioctl(disk.fd(), BLKZEROOUT, range), 0) << std::strerror(errno);
                EXPECT_EQ(::fsync(disk.fd()), 0);
                EXPECT_EQ(::fsync(disk.fd()), 0);
            });
            const DiskStat null_before = DiskStat::of("nullb0"), virtio_before = DiskStat::of(vda);
            reader_pid = reader.pid();
            writer_pid = writer.pid();
            reader.go();
            writer.go();
            EXPECT_EQ(reader.wait(), 0);
            EXPECT_EQ(writer.wait(), 0);
            null_stat = DiskStat::of("nullb0") - null_before;
            virtio_stat = DiskStat::of(vda) - virtio_before;
        },
        env);
    const Records null = with(r.records, "disk", "nullb0"), virtio = with(r.records, "disk", vda);
    EXPECT_EQ(null.size(), with(null, "pid", reader_pid).size());
    EXPECT_EQ(virtio.size(), with(virtio, "pid", writer_pid).size()) << r.out;
    expect_stat(null_stat, null, 0);
    expect_stat(virtio_stat, virtio, 2);
    EXPECT_EQ(bytes_of(with(null, "op", "read")), 18 * kBlock);
    EXPECT_EQ(bytes_of(with(null, "op", "write")), 11 * kBlock);
    ASSERT_GE(null.size(), 13u);
    for (unsigned i = 0; i < 13; i++) { // one after the other
        EXPECT_EQ(null[i].at("sector"), i < 10 ? i * 8 : 2048 + (i - 10) * 8);
        EXPECT_EQ(null[i].at("bytes"), kBlock);
        EXPECT_EQ(null[i].at("op"), i < 10 ? "read" : "write");
        EXPECT_EQ(null[i].at("type").get<std::string>().substr(0, 1), i < 10 ? "R" : "W");
        EXPECT_EQ(null[i].at("pattern"), i == 0 ? "?" : i == 10 ? "R" : "S");
    }
    for (const Json& e : null) {
        EXPECT_GE(e.at("lat_ns").get<std::uint64_t>() / 1000 + clock_error_us(), kLatencyUs);
        EXPECT_GE(e.at("lat_ms").get<double>() * 1000 + clock_error_us(), kLatencyUs);
        EXPECT_EQ(e.at("error"), "") << e;
        EXPECT_EQ(e.at("comm"), null[0].at("comm"));
    }
    const Records discard = with(virtio, "op", "discard");
    ASSERT_EQ(discard.size(), 1u);
    EXPECT_EQ(discard[0].at("sector"), 2048);
    EXPECT_EQ(discard[0].at("bytes"), 1 << 20);
    EXPECT_EQ(discard[0].at("type").get<std::string>().substr(0, 1), "D"); // BCC: R
    for (const Json& e : with(virtio, "op", "flush")) {
        EXPECT_EQ(e.at("bytes"), 0);
        EXPECT_TRUE(e.at("sector").is_null());
    }
    for (const Json& e : with(virtio, "op", "write")) {
        const auto flags = e.at("flags").get<std::vector<std::string>>();
        EXPECT_EQ(std::ranges::count(flags, "sync"), 1) << e;
    }
    set_queue("nullb0", "nomerges", "2");
    set_queue("nullb0", "scheduler", "none");
    set_queue(vda, "scheduler", "none");
}

TEST_F(Biosnoop, TellsEachRequestWithoutScheduler) { every_request("none", {}); }
TEST_F(Biosnoop, TellsEachRequestWithScheduler) { every_request("mq-deadline", {}); }

// The way of 6.1, which all kernels can take.
TEST_F(Biosnoop, TellsEachRequestByItsBio)
{
    const Environment env{{"COREBOX_PROBES", "bio"}};
    const Result r = run({"biosnoop", "--check", "--explain"}, env);
    EXPECT_EQ(r.status, 0) << r.err;
    EXPECT_NE(r.err.find("  bio: taken"), std::string::npos) << r.err;
    every_request("none", env);
    every_request("mq-deadline", env);
    const std::string taken = run({"biosnoop", "--check", "--explain"}).err;
    const std::string rung = has_tracepoint("block/block_io_start") ? "tp_btf"
                             : has_function("blk_account_io_start") ? "fentry"
                                                                    : "bio";
    EXPECT_NE(taken.find("  " + rung + ": taken"), std::string::npos) << taken;
}

// Filters are about who asks, with a scheduler too, where others issue; BCC's C version tests who
// runs at completion.
TEST_F(Biosnoop, FiltersByWhoAsks)
{
    const Cgroup cgroup("biosnoop");
    for (const char* scheduler : {"none", "mq-deadline"}) {
        set_queue("nullb0", "scheduler", scheduler);
        pid_t child = 0;
        const Result r = trace({"-c", cgroup.path()}, [&] {
            Child inside([&] {
                cgroup.enter();
                const File disk(kSlow);
                disk.read(7);
                const File flushed("/dev/disk0");
                EXPECT_EQ(::fsync(flushed.fd()), 0);
            });
            std::thread other([] {
                const File disk(kSlow);
                disk.read(11);
                const File flushed("/dev/disk0");
                EXPECT_EQ(::fsync(flushed.fd()), 0);
            });
            child = inside.pid();
            inside.go_wait();
            other.join();
        });
        EXPECT_EQ(with(r.records, "disk", "nullb0").size(), 7u) << r.out;
        EXPECT_EQ(r.records.size(), with(r.records, "pid", child).size());
        EXPECT_LE(r.records.size(), 8u); // two who flush at once may share it
        EXPECT_GE(r.account.at("filtered").get<unsigned>(), 11u);
    }
    set_queue("nullb0", "scheduler", "none");
    const Result r = unpreempted([&] {
        return run({"biosnoop", "--json", "--", "dd", "if=/dev/nullb0", "of=/dev/null", "bs=4k",
                    "count=9", "iflag=direct"});
    });
    EXPECT_EQ(with(r.records, "comm", "dd").size(), 9u);
    EXPECT_EQ(r.records.size(), 9u);
}

TEST_F(Biosnoop, TellsTheFile)
{
    TempDir dir("/mnt/ext4");
    std::string deep = dir.path();
    for (int i = 0; i < 12; i++) {
        deep += "/" + std::string(30, char('a' + i));
        ASSERT_EQ(::mkdir(deep.c_str(), 0755), 0);
    }
    const std::string direct = deep + "/direct", buffered = deep + "/buffered";
    constexpr std::size_t kSize = 128 << 10;
    pid_t asks = 0;
    const Result r = trace({"--files"}, [&] {
        write_file(buffered, std::string(kSize, 'x'));
        ::sync(); // a kernel thread writes it back
        Child child([&] {
            const File file(direct, O_RDWR | O_CREAT | O_DIRECT);
            file.write(4);
            file.read(4);
        });
        asks = child.pid();
        child.go_wait();
        drop_caches();
        EXPECT_EQ(read_file(buffered).size(), kSize);
    });
    const Records of_direct = with(r.records, "file", direct),
                  of_buffered = with(r.records, "file", buffered);
    EXPECT_EQ(with(of_direct, "op", "write").size(), 4u) << r.out;
    EXPECT_EQ(with(of_direct, "op", "read").size(), 4u) << r.out;
    EXPECT_EQ(with(of_direct, "pid", asks).size(), 8u);
    const Records back = with(of_buffered, "op", "write"), in = with(of_buffered, "op", "read");
    EXPECT_EQ(bytes_of(back), kSize) << r.out;
    for (const Json& e : back)
        EXPECT_TRUE(e.at("comm").get<std::string>().starts_with("kworker/")) << e;
    EXPECT_EQ(bytes_of(in), kSize) << r.out;
    for (const Json& e : in)
        EXPECT_EQ(e.at("pid"), ::getpid());
    for (const Json& e : with(r.records, "op", "flush"))
        EXPECT_TRUE(e.at("file").is_null());
}

TEST_F(Biosnoop, QueueTimeMinimumAndPartition)
{
    // One request at a time on the device, eight handed over at once: QUE also without a scheduler,
    // where BCC's C version has none.
    make_slow_disks("hw_queue_depth=1");
    for (const char* scheduler : {"none", "mq-deadline"}) {
        set_queue("nullb0", "scheduler", scheduler);
        if (std::string(scheduler) != "none")
            set_queue("nullb0", "nr_requests", "16");
        const Result r = trace({"-Q", "-d", "nullb0"}, [] {
            const File disk(kSlow);
            at_once(disk, 8, false, 100);
        });
        ASSERT_EQ(r.records.size(), 8u);
        std::uint64_t most = 0, all = 0;
        for (const Json& e : r.records) {
            most = std::max(most, e.at("queue_ns").get<std::uint64_t>());
            all = std::max(all, e.at("queue_ns").get<std::uint64_t>() +
                                    e.at("lat_ns").get<std::uint64_t>());
        }
        // Without a scheduler it waits for a tag before there is a request.
        if (std::string(scheduler) != "none") {
            EXPECT_GE(most / 1000 + clock_error_us(), std::uint64_t(0.8 * 7 * kLatencyUs));
        }
        EXPECT_GE(all / 1000 + clock_error_us(), kLatencyUs);
    }
    make_slow_disks();

    const File a(kSlow), b(kSlow2);
    EXPECT_EQ(trace({"-m", "60000"}, [&] { a.read(2); }).records.size(), 0u);
    const Result fast = trace({"-m", "0.5", "-d", "nullb1"}, [&] {
        a.read(3);
        b.read(4);
    });
    EXPECT_EQ(fast.records.size(), clock_error_us() ? fast.records.size() : 4u);
    EXPECT_GE(fast.account.at("filtered").get<unsigned>(), 3u);

    // BCC shows nothing for a partition, and does not say why.
    blkpg_partition part{};
    part.start = 1 << 20;
    part.length = 1 << 20;
    part.pno = 1;
    blkpg_ioctl_arg add{BLKPG_ADD_PARTITION, 0, sizeof part, &part};
    ASSERT_EQ(::ioctl(a.fd(), BLKPG, &add), 0) << std::strerror(errno);
    const Result of_part = trace({"-d", "nullb0p1"}, [&] {
        a.read(5);
        a.read(2, (1 << 20) - 4096); // the second is in the partition
        const File one("/dev/nullb0p1");
        one.read(6);
    });
    EXPECT_EQ(of_part.records.size(), 7u) << of_part.out;
    for (const Json& e : of_part.records) {
        EXPECT_EQ(e.at("disk"), "nullb0");
        EXPECT_GE(e.at("sector"), 2048);
        EXPECT_EQ(e.at("partition"), "nullb0p1");
    }
    blkpg_ioctl_arg del{BLKPG_DEL_PARTITION, 0, sizeof part, &part};
    EXPECT_EQ(::ioctl(a.fd(), BLKPG, &del), 0);
}

TEST_F(Biosnoop, TextOfBccAndOfTheLesson)
{
    const File disk(kSlow);
    const auto text = [&](std::vector<std::string> argv) {
        argv.insert(argv.end(), {"-d", "nullb0"});
        const Result r = unpreempted([&] {
            Tracer tracer(argv);
            disk.read(2);
            return tracer.stop();
        });
        EXPECT_EQ(r.status, 0) << r.err;
        return lines(r.out);
    };
    auto out = text({"biosnoop"});
    ASSERT_EQ(out.size(), 3u);
    EXPECT_EQ(words(out[0]), (std::vector<std::string>{"TIME(s)", "COMM", "PID", "DISK", "T",
                                                       "SECTOR", "BYTES", "LAT(ms)"}));
    auto cells = words(out[1]);
    ASSERT_EQ(cells.size(), 8u) << out[1];
    EXPECT_EQ(cells[0], "0.000000");
    EXPECT_EQ(cells[2], to_string(::getpid()));
    EXPECT_EQ(cells[3], "nullb0");
    EXPECT_EQ(cells[5], "0");
    EXPECT_EQ(cells[6], "4096");
    EXPECT_GE(std::stod(cells[7]) * 1000 + clock_error_us(), kLatencyUs);
    out = text({"biosnoop", "-t", "-Q", "-P", "--utc"});
    ASSERT_EQ(out.size(), 3u);
    EXPECT_EQ(words(out[0]),
              (std::vector<std::string>{"TIMESTAMP", "COMM", "PID", "DISK", "T", "SECTOR", "BYTES",
                                        "P", "QUE(ms)", "LAT(ms)"}));
    EXPECT_EQ(words(out[1])[0].size(), 12u) << out[1]; // HH:MM:SS.mmm
    EXPECT_EQ(words(out[1])[0][8], '.');
    EXPECT_EQ(words(out[2])[7], "S");
    out = text({"disksnoop"});
    ASSERT_EQ(out.size(), 3u);
    EXPECT_EQ(words(out[0]), (std::vector<std::string>{"TIME(s)", "T", "BYTES", "LAT(ms)"}));
    EXPECT_EQ(words(out[1])[1], "R");

    EXPECT_EQ(run({"biosnoop", "0.3"}).status, 0); // seconds to run
    for (const auto& [argv, status] : std::vector<std::pair<std::vector<std::string>, int>>{
             {{"biosnoop", "-d", "nosuchdisk"}, 2},
             {{"biosnoop", "-d", "ram0"}, 2}, // has no requests
             {{"biosnoop", "-m", "x"}, 1},
             {{"biosnoop", "-m", "-1"}, 1},
             {{"biosnoop", "1", "2"}, 1},
             {{"biosnoop", "-Z"}, 1}}) {
        const Result r = run(argv);
        EXPECT_EQ(r.status, status) << argv[1] << ": " << r.err;
        EXPECT_EQ(lines(r.err).size(), 1u) << r.err;
        EXPECT_EQ(r.out, "");
    }
}

// A disk made by way of configfs, which has more to offer than module parameters.
class OddDisk
{
public:
    OddDisk(const char* attribute, const char* value)
    {
        if (::access("/sys/kernel/config/nullb", F_OK) != 0) {
            EXPECT_EQ(::mount("configfs", "/sys/kernel/config", "configfs", 0, nullptr), 0)
                << std::strerror(errno);
        }
        EXPECT_EQ(::mkdir(config_.c_str(), 0755), 0) << std::strerror(errno);
        set("size", "64");
        set("memory_backed", "1");
        set("irqmode", "0"); // done at once
        set(attribute, value);
        set("power", "1");
        // Since 6.6 the disk is called as its directory, before that by its number.
        name_ = ::access("/sys/block/nullb-odd", F_OK) == 0
                    ? "nullb-odd"
                    : "nullb" + lines(read_file(config_ + "/index")).at(0);
    }
    ~OddDisk()
    {
        set("power", "0");
        EXPECT_EQ(::rmdir(config_.c_str()), 0) << std::strerror(errno);
    }
    OddDisk(const OddDisk&) = delete;
    OddDisk& operator=(const OddDisk&) = delete;

    const std::string& name() const { return name_; }

private:
    void set(const char* key, const char* value) const
    {
        EXPECT_EQ(shell("echo " + std::string(value) + " >" + config_ + "/" + key).status, 0)
            << key;
    }

    const std::string config_ = "/sys/kernel/config/nullb/nullb-odd";
    std::string name_;
};

TEST_F(Biosnoop, TellsErrorsAndRequeues)
{
    {
        const OddDisk bad("badblocks", "+8-15");
        const Result r = trace({"-d", bad.name()}, [&] {
            const File disk("/dev/" + bad.name());
            disk.read(1);
            const Buffer b = aligned(kBlock);
            EXPECT_EQ(::pread(disk.fd(), b.get(), kBlock, kBlock), -1);
            EXPECT_EQ(errno, EIO);
        });
        ASSERT_EQ(r.records.size(), 2u) << r.out;
        EXPECT_EQ(r.records[0].at("error"), "");
        EXPECT_EQ(r.records[1].at("error"), "EIO");
        EXPECT_EQ(r.records[1].at("sector"), 8);
    }
    // A driver that can take no more hands requests back: some 20 KB each 20 ms here.
    const OddDisk slow("mbps", "1");
    const Result r = trace({"-d", slow.name()}, [&] {
        const File disk("/dev/" + slow.name());
        disk.read(20);
    });
    ASSERT_EQ(r.records.size(), 20u) << r.out;
    std::uint64_t requeues = 0;
    for (const Json& e : r.records) {
        EXPECT_EQ(e.at("bytes"), kBlock);
        EXPECT_EQ(e.at("pid"), ::getpid());
        requeues += e.at("requeues").get<std::uint64_t>();
    }
    // A null_blk that takes batches may hand back what it cannot take before that was issued.
    // TellsTheWholeOfWhatIsDoneInParts has requeues on every kernel.
    if (!has_symbol("null_queue_rqs")) {
        EXPECT_GE(requeues, 1u) << r.out;
    }
}

// Makes a file of 16 blocks on a disk, and a loop disk of it: its name.
std::string loop_disk_of(const std::string& image)
{
    const File file(image, O_RDWR | O_CREAT | O_DIRECT);
    file.write(16);
    EXPECT_EQ(::fsync(file.fd()), 0);
    const std::string loop = lines(shell("losetup -f").out).at(0);
    EXPECT_EQ(shell("losetup " + loop + " " + image).status, 0);
    return loop;
}

// A loop disk has requests of its own; those below it are its thread's.
TEST_F(Biosnoop, TellsOfALoopDisk)
{
    const TempDir dir("/mnt/ext4");
    const std::string image = dir / "image", loop = loop_disk_of(image);
    const std::string name = loop.substr(loop.rfind('/') + 1);
    drop_caches();
    pid_t pid = 0;
    DiskStat stat;
    const Result r = trace({"--files"}, [&] {
        Child child([&] {
            const File disk(loop);
            disk.read(8);
            disk.write(4);
        });
        pid = child.pid();
        const DiskStat before = DiskStat::of(name);
        child.go_wait();
        stat = DiskStat::of(name) - before;
    });
    ASSERT_EQ(shell("losetup -d " + loop).status, 0);
    const Records on_loop = with(r.records, "disk", name), below = with(r.records, "file", image);
    EXPECT_EQ(on_loop.size(), 12u) << r.out;
    EXPECT_EQ(with(on_loop, "pid", pid).size(), 12u) << r.out;
    expect_stat(stat, on_loop, 0);
    EXPECT_GE(below.size(), 1u) << r.out;
    EXPECT_EQ(with(below, "pid", pid).size(), 0u) << r.out;
}

// Where its file has become shorter a loop disk does a part of a request, and then begins the rest.
TEST_F(Biosnoop, TellsTheWholeOfWhatIsDoneInParts)
{
    const TempDir dir("/mnt/ext4");
    const std::string image = dir / "image", loop = loop_disk_of(image);
    {
        const File disk(loop);
        ASSERT_EQ(::ioctl(disk.fd(), LOOP_SET_DIRECT_IO, 1UL), 0) << std::strerror(errno);
        ASSERT_EQ(::truncate(image.c_str(), 9 * kBlock), 0);
        const Result r = trace({"-d", loop.substr(loop.rfind('/') + 1)}, [&] {
            const Buffer b = aligned(2 * kBlock);
            EXPECT_EQ(::pread(disk.fd(), b.get(), 2 * kBlock, 8 * kBlock), -1);
        });
        ASSERT_EQ(r.records.size(), 1u) << r.out;
        EXPECT_EQ(r.records[0].at("error"), "EIO");
        EXPECT_EQ(r.records[0].at("sector"), 8 * kBlock / 512);
        EXPECT_EQ(r.records[0].at("bytes"), 2 * kBlock);
        EXPECT_GE(r.records[0].at("requeues"), 1);
    }
    ASSERT_EQ(shell("losetup -d " + loop).status, 0);
}

TEST_F(Biosnoop, FloodIsAccountedFor)
{
    constexpr unsigned kReads = 4'000;
    make_null_disks("queue_mode=2 irqmode=0 hw_queue_depth=64");
    Tracer tracer({"biosnoop", "--json", "-d", "nullb0"});
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < 4; i++)
        threads.emplace_back([] {
            const File disk(kSlow);
            disk.read(kReads / 4);
        });
    for (std::thread& t : threads)
        t.join();
    const Result r = tracer.stop(SIGINT);
    const auto lost = r.account.at("lost").get<std::uint64_t>();
    EXPECT_EQ(r.status, lost ? 3 : 0) << r.err;
    // Where the kernel preempts itself a request of which the first program was skipped may be seen
    // and have no owner.
    EXPECT_LE(r.records.size(), kReads);
    EXPECT_GE(r.records.size() + lost, kReads);
    if (!preempts_itself()) {
        EXPECT_EQ(r.records.size(), kReads);
    }
    make_slow_disks();
}

} // namespace
