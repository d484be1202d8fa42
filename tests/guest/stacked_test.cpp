// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Disks of device mapper and md have no requests: what is asked of them are requests of the disks
// below, once each. All block tools see the same I/O at the same time.
#include "nvme.hpp"
#include "stacked.hpp"
#include "throttled.hpp"
#include <algorithm>
#include <linux/blkpg.h>
#include <sys/prctl.h>

namespace
{

using namespace corebox::test;
using std::to_string;

constexpr std::uint64_t kSector = 512;
constexpr std::uint64_t kMiB = 1 << 20;

// The second MiB of a disk.
class Partition
{
public:
    explicit Partition(const std::string& disk = kSlow) : disk_(disk)
    {
        blkpg_ioctl_arg add{BLKPG_ADD_PARTITION, 0, sizeof part_, &part_};
        EXPECT_EQ(::ioctl(disk_.fd(), BLKPG, &add), 0) << std::strerror(errno);
    }
    ~Partition()
    {
        blkpg_ioctl_arg del{BLKPG_DEL_PARTITION, 0, sizeof part_, &part_};
        EXPECT_EQ(::ioctl(disk_.fd(), BLKPG, &del), 0) << std::strerror(errno);
    }
    Partition(const Partition&) = delete;
    Partition& operator=(const Partition&) = delete;

private:
    File disk_;
    blkpg_partition part_{.start = kMiB, .length = kMiB, .pno = 1, .devname = {}, .volname = {}};
};

std::uint64_t sum(const Records& records, const char* key)
{
    std::uint64_t n = 0;
    for (const Json& r : records)
        n += r.at(key).get<std::uint64_t>();
    return n;
}

dev_t device_of(const std::string& path)
{
    struct stat st {
    };
    EXPECT_EQ(::stat(path.c_str(), &st), 0) << path;
    return st.st_rdev;
}

using Tools = std::vector<std::vector<std::string>>;

// Of `tools()`, which all run while `work` does; from the beginning where the kernel skipped a
// program.
std::vector<Result> trace_all(const std::function<Tools()>& tools,
                              const std::function<void()>& work)
{
    std::vector<Result> results;
    for (int tries = 0; tries < 5; tries++) {
        std::vector<std::unique_ptr<Tracer>> tracers;
        for (const auto& tool : tools())
            tracers.push_back(std::make_unique<Tracer>(tool));
        work();
        results.clear();
        bool nested = false;
        for (const auto& tracer : tracers) {
            results.push_back(tracer->stop(SIGINT));
            nested |= results.back().err.find(" nested") != std::string::npos;
        }
        if (!nested)
            break;
    }
    for (const Result& r : results) {
        EXPECT_EQ(r.status, 0) << r.err;
        expect_exact(r);
    }
    return results;
}

TEST(Stacked, EveryToolSeesTheRequestsOfTheDisksBelow)
{
    make_slow_disks();
    const Partition partition;
    const std::string a = disk_behind("/dev/disk0"), b = disk_behind("/dev/disk1");
    const MappedDisk linear("corebox-linear", {{2048, "linear", "/dev/nullb0p1 0"},
                                               {2048, "linear", "/dev/nullb1 8192"}});
    const MappedDisk delay("corebox-delay", {{2048, "delay", "/dev/nullb1 65536 20"}});
    const Mirror mirror(7, {"/dev/disk0", "/dev/disk1"});

    // Where partitions may be is read when a disk is opened for the first time.
    for (const std::string& path : {linear.path(), delay.path(), mirror.path()})
        (void)File(path);

    std::map<std::string, DiskStat> stat;
    pid_t pid = 0;
    const auto work = [&] {
        Child child([&] {
            ::prctl(PR_SET_NAME, "stacker");
            const File mapped(linear.path());
            mapped.write(10);
            transfer(mapped, true, 2 * kBlock, 1, kMiB - kBlock); // on both
            mapped.read(5, kMiB);
            transfer(File(mirror.path()), true, 16384, 6);
            File(mirror.path()).read(4);
            File(delay.path()).write(3);
        });
        pid = child.pid();
        for (const std::string& disk :
             {std::string("nullb0"), std::string("nullb1"), a, b, linear.name(), mirror.name()})
            stat[disk] = DiskStat::of(disk);
        child.go_wait();
        for (auto& [disk, before] : stat)
            before = DiskStat::of(disk) - before;
    };
    const Tools tools{{"biosnoop", "--json"},
                      {"biotop", "--json", "600"},
                      {"biolatency", "--json", "-D"},
                      {"biopattern", "--json", "600"},
                      {"bitesize", "--json", "-D"},
                      {"biostacks", "--json"},
                      {"biolatpcts", "--json", "-i", "600", "nullb1"}};
    const auto results = trace_all([&] { return tools; }, work);
    const Records &snoop = results[0].records, &top = results[1].records,
                  &latency = results[2].records, &pattern = results[3].records,
                  &size = results[4].records, &stacks = results[5].records,
                  &pcts = results[6].records;

    // What is asked of the mapped disk is what those below it do, and is written to both mirrors.
    EXPECT_EQ(stat[linear.name()].write_sectors, 12 * kBlock / kSector);
    EXPECT_EQ(stat["nullb0"].write_sectors, 11 * kBlock / kSector);
    EXPECT_EQ(stat["nullb1"].write_sectors, (1 + 3) * kBlock / kSector);
    EXPECT_EQ(stat["nullb1"].read_sectors, stat[linear.name()].read_sectors);
    for (const std::string& disk : {a, b})
        EXPECT_EQ(stat[disk].write_sectors, 6 * 16384 / kSector);
    EXPECT_EQ(stat[a].reads + stat[b].reads, 4u);

    for (const auto& [disk, did] : stat) {
        const bool below = disk != linear.name() && disk != mirror.name();
        const std::uint64_t requests = below ? did.reads + did.writes : 0,
                            bytes = below ? (did.read_sectors + did.write_sectors) * kSector : 0;
        EXPECT_EQ(with(snoop, "disk", disk).size(), requests) << disk;
        EXPECT_EQ(sum(with(snoop, "disk", disk), "bytes"), bytes) << disk;
        EXPECT_EQ(sum(with(top, "disk", disk), "ios"), requests) << disk;
        EXPECT_EQ(sum(with(top, "disk", disk), "bytes"), bytes) << disk;
        EXPECT_EQ(sum(with(latency, "disk", disk), "count"), requests) << disk;
        EXPECT_EQ(sum(with(pattern, "disk", disk), "count"), requests) << disk;
        EXPECT_EQ(sum(with(pattern, "disk", disk), "bytes"), bytes) << disk;
        EXPECT_EQ(sum(with(size, "disk", disk), "count"), requests) << disk;
        EXPECT_EQ(sum(with(stacks, "disk", disk), "count"), requests) << disk;
    }
    EXPECT_EQ(sum(pcts, "count"), stat["nullb1"].reads + stat["nullb1"].writes);

    // Whose they are: who asked for it, if the driver passes it on there and then; else the thread
    // that the driver has for it, as 5.10's mirrors have for writes and others for bitmaps.
    std::uint64_t own = 0, of_mirror = 0;
    for (const Json& r : snoop) {
        const std::string disk = r.at("disk"), comm = r.at("comm");
        if (!stat.contains(disk))
            continue; // is written back to
        if (disk == "nullb1" && r.at("sector") >= 65536)
            EXPECT_TRUE(comm.starts_with("dm-delay") || comm.starts_with("kworker/")) << r;
        else if ((disk == a || disk == b) && r.at("op") == "write" && comm == "md7_raid1")
            of_mirror++;
        else {
            EXPECT_EQ(r.at("pid"), pid) << r;
            own++;
        }
    }
    EXPECT_TRUE(of_mirror == 0 || of_mirror == 12) << of_mirror;
    EXPECT_EQ(own, 12u + 5 + 4 + 12 - of_mirror);
    EXPECT_EQ(sum(with(size, "comm", "stacker"), "count"), own);
    EXPECT_EQ(sum(with(top, "pid", pid), "ios"), own);

    // By the name of such a disk one learns where to look.
    const std::string label = "/dev/mapper/corebox-linear";
    ::mknod(label.c_str(), S_IFBLK | 0600, device_of(linear.path()));
    const MappedDisk nested("corebox-nested", {{1024, "linear", mirror.path() + " 0"}});
    const auto refused = [](const char* tool, const std::string& disk) {
        const Result r =
            std::string_view(tool) == "biolatpcts" ? run({tool, disk}) : run({tool, "-d", disk});
        EXPECT_EQ(r.status, 2) << tool;
        EXPECT_EQ(lines(r.err).size(), 1u) << r.err;
        return r.err;
    };
    const std::string where = "it has no requests of its own; trace the disks below it: ";
    for (const char* tool :
         {"biosnoop", "biotop", "biolatency", "biopattern", "bitesize", "biostacks", "biolatpcts"})
        EXPECT_EQ(refused(tool, linear.name()),
                  tool + (": cannot trace disk '" + linear.name() + "': " + where) +
                      "nullb0p1, nullb1\n");
    for (const std::string& disk : {label, std::string("corebox-linear")})
        EXPECT_NE(refused("biosnoop", disk).find(where + "nullb0p1, nullb1"), std::string::npos);
    for (const std::string& disk : {mirror.name(), nested.name()})
        EXPECT_NE(refused("biosnoop", disk).find(where + std::min(a, b) + ", " + std::max(a, b)),
                  std::string::npos);
    ::unlink(label.c_str());
}

// The requests of a multipath NVMe namespace are those of a disk that sysfs hides: all tools find
// it by either name, and still know its name when it is gone.
TEST(Stacked, PathsOfNvme)
{
    make_slow_disks();
    std::unique_ptr<Nvme> nvme;
    std::string head, path;
    // Its number may be another each time.
    const auto tools = [&]() -> Tools {
        nvme = std::make_unique<Nvme>(kSlow);
        head = nvme->head();
        path = nvme->path();
        return {{"biosnoop", "--json", "-d", head},
                {"biosnoop", "--json", "-d", path},
                {"biotop", "--json", "-d", path, "600"},
                {"biolatency", "--json", "-D", "-d", head},
                {"biopattern", "--json", "-d", head, "600"},
                {"bitesize", "--json", "-D", "-d", path},
                {"biostacks", "--json", "-d", head},
                {"biolatpcts", "--json", "-i", "600", head},
                {"biolatency", "--json", "-D"}};
    };
    const auto work = [&] {
        {
            const Partition partition("/dev/" + head);
            const File disk("/dev/" + head);
            disk.read(5);
            disk.read(4, kMiB);
            File(kSlow2).read(2);
            // The partition is named when the record is read, a tenth of a second later at most.
            ::usleep(1'000'000);
        }
        nvme.reset();
    };
    const auto results = trace_all(tools, work);
    for (std::size_t i = 0; i < results.size(); i++) {
        const Records& all = results[i].records;
        const Records of_path = i == 7 ? all : with(all, "disk", path);
        if (i < 8)
            EXPECT_EQ(of_path.size(), all.size()) << results[i].out;
        const char* key = i == 2 ? "ios" : "count";
        EXPECT_EQ(i < 2 ? of_path.size() : sum(of_path, key), 9u) << results[i].out;
    }
    EXPECT_EQ(with(results[0].records, "partition", head + "p1").size(), 4u) << results[0].out;
    EXPECT_EQ(sum(with(results[8].records, "disk", "nullb1"), "count"), 2u) << results[8].out;
}

} // namespace
