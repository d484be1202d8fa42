// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Sums of requests of known number, size and latency, by whom the tests know to have asked.
#include "block.hpp"
#include <csignal>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <thread>

namespace
{

using namespace corebox::test;
using std::to_string;

Result trace(std::vector<std::string> arguments, const std::function<void()>& work,
             const Environment& env = {})
{
    return trace_tool("biotop", std::move(arguments), work, env);
}

std::uint64_t sum(const Records& records, const char* key)
{
    std::uint64_t n = 0;
    for (const Json& r : records)
        n += r.at(key).get<std::uint64_t>();
    return n;
}

class Biotop : public testing::Test
{
protected:
    static void SetUpTestSuite() { make_slow_disks(); }
};

// Two processes, two disks, with and without a scheduler; what the disks count beside it.
void everybody(const Environment& env)
{
    const std::string vda = disk_behind("/dev/disk0");
    for (const char* scheduler : {"none", "mq-deadline"}) {
        set_queue("nullb0", "scheduler", scheduler);
        set_queue(vda, "scheduler", scheduler);
        pid_t first_pid = 0, second_pid = 0;
        DiskStat null_stat, virtio_stat;
        const Result r = trace(
            {"-s", "bytes", "600"},
            [&] {
                Child first([] {
                    const File a(kSlow), b("/dev/disk0");
                    a.read(10);
                    b.write(6);
                });
                Child second([] {
                    const File a(kSlow), b("/dev/disk0");
                    a.read(4);
                    a.write(5);
                    const Buffer large = aligned(16 * kBlock);
                    EXPECT_EQ(::pwrite(b.fd(), large.get(), 16 * kBlock, 1 << 20),
                              ssize_t(16 * kBlock));
                    EXPECT_EQ(::fsync(b.fd()), 0);
                    std::uint64_t range[2] = {1 << 20, 1 << 20};
                    EXPECT_EQ(::ioctl(b.fd(), BLKDISCARD, range), 0);
                });
                first_pid = first.pid();
                second_pid = second.pid();
                const DiskStat null_before = DiskStat::of("nullb0"),
                               virtio_before = DiskStat::of(vda);
                first.go_wait();
                second.go_wait();
                null_stat = DiskStat::of("nullb0") - null_before;
                virtio_stat = DiskStat::of(vda) - virtio_before;
            },
            env);
        const auto one = [&](pid_t pid, const std::string& disk, const char* op) {
            const Records found = with(with(with(r.records, "pid", pid), "disk", disk), "op", op);
            EXPECT_EQ(found.size(), 1u) << disk << " " << op << "\n" << r.out;
            return found.empty() ? Json{{"ios", 0}, {"bytes", 0}, {"total_ns", 0}, {"type", ""}}
                                 : found[0];
        };
        EXPECT_EQ(one(first_pid, "nullb0", "read").at("ios"), 10);
        EXPECT_EQ(one(second_pid, "nullb0", "read").at("ios"), 4);
        EXPECT_EQ(one(second_pid, "nullb0", "write").at("bytes"), 5 * kBlock);
        EXPECT_EQ(one(first_pid, vda, "write").at("ios"), 6);
        EXPECT_EQ(one(second_pid, vda, "write").at("kib"), 64);
        EXPECT_EQ(one(second_pid, vda, "flush").at("ios"), 1);
        EXPECT_EQ(one(second_pid, vda, "flush").at("type"), "F"); // BCC: R
        EXPECT_EQ(one(second_pid, vda, "discard").at("bytes"), 1 << 20);
        EXPECT_EQ(one(second_pid, vda, "discard").at("type"), "D");
        const Records null = with(r.records, "disk", "nullb0"),
                      virtio = with(r.records, "disk", vda);
        EXPECT_EQ(null_stat.reads + null_stat.writes, sum(null, "ios"));
        EXPECT_EQ(virtio_stat.reads + virtio_stat.writes + virtio_stat.discards +
                      virtio_stat.flushes - 1, // the flush is counted twice, once as a write
                  sum(virtio, "ios"));
        EXPECT_EQ((null_stat.read_sectors + null_stat.write_sectors) * 512, sum(null, "bytes"));
        for (const Json& e : null) {
            EXPECT_GE(e.at("total_ns").get<double>() / e.at("ios").get<double>() +
                          clock_error_us() * 1000,
                      kLatencyUs * 1000);
            EXPECT_GE(e.at("avg_ms").get<double>() + clock_error_us() / 1000.0, 2.99);
        }
        for (std::size_t i = 1; i < r.records.size(); i++)
            EXPECT_GE(r.records[i - 1].at("bytes"), r.records[i].at("bytes"));
        const auto number = lines(read_file("/sys/block/nullb0/dev")).at(0);
        EXPECT_EQ(to_string(null.at(0).at("major").get<unsigned>()) + ":" +
                      to_string(null.at(0).at("minor").get<unsigned>()),
                  number);
    }
    set_queue("nullb0", "scheduler", "none");
    set_queue(vda, "scheduler", "none");
}

TEST_F(Biotop, SumsByWhoAsks) { everybody({}); }
TEST_F(Biotop, SumsByWhoAsksByTheBio) { everybody({{"COREBOX_PROBES", "bio"}}); }

// BCC's C version compares who runs at completion, and drops nearly all.
TEST_F(Biotop, FiltersByWhoAsks)
{
    for (const char* scheduler : {"none", "mq-deadline"}) {
        set_queue("nullb0", "scheduler", scheduler);
        const File disk(kSlow);
        const Result r = unpreempted([&] {
            Child child([] {
                const File own(kSlow);
                own.read(8);
            });
            Tracer tracer({"biotop", "--json", "-p", to_string(child.pid()), "60"});
            disk.read(6);
            child.go_wait();
            return tracer.wait(); // ends with its target
        });
        EXPECT_EQ(r.status, 0) << r.err;
        EXPECT_EQ(sum(r.records, "ios"), 8u) << r.out;
        EXPECT_GE(r.account.at("filtered").get<unsigned>(), 6u);
        expect_exact(r);
    }
    set_queue("nullb0", "scheduler", "none");
}

TEST_F(Biotop, TextOfBccRowsAndIntervals)
{
    const File a(kSlow), b(kSlow2);
    const auto work = [&] {
        a.read(3);
        a.write(1);
        b.read(9);
    };
    Result r = unpreempted([&] {
        Tracer tracer({"biotop", "-C", "60"});
        work();
        return tracer.stop(SIGINT);
    });
    EXPECT_EQ(r.status, 0) << r.err;
    const auto text = lines(r.out);
    ASSERT_EQ(text.size(), 5u) << r.out;
    EXPECT_NE(text[0].find(" loadavg: "), std::string::npos) << text[0];
    EXPECT_EQ(words(text[1]), (std::vector<std::string>{"PID", "COMM", "D", "MAJ", "MIN", "DISK",
                                                        "I/O", "Kbytes", "AVGms"}));
    const auto cells = words(text[2]); // most bytes first
    ASSERT_EQ(cells.size(), 9u) << text[2];
    EXPECT_EQ(cells[0], to_string(::getpid()));
    EXPECT_EQ(cells[2], "R");
    EXPECT_EQ(cells[5], "nullb1");
    EXPECT_EQ(cells[6], "9");
    EXPECT_EQ(cells[7], "36");
    EXPECT_EQ(words(text[4])[2], "W");

    // Sorted otherwise, cut to one row; all are in the account.
    r = trace({"-s", "time", "-r", "1", "-d", "nullb0", "60"}, work);
    ASSERT_EQ(r.records.size(), 1u) << r.out;
    EXPECT_EQ(r.records[0].at("op"), "read");
    EXPECT_EQ(r.account.at("printed"), 4);
    EXPECT_GE(r.account.at("filtered"), 9);

    // Nothing is lost between intervals, and each begins at nothing.
    r = unpreempted([&] {
        Tracer tracer({"biotop", "--json", "-d", "nullb0", "0.4", "3"});
        std::thread reader([&] { a.read(60); });
        Result done = tracer.wait();
        reader.join();
        return done;
    });
    EXPECT_EQ(r.status, 0) << r.err;
    EXPECT_GE(r.records.size(), 1u);
    EXPECT_LE(sum(r.records, "ios"), 60u);
    EXPECT_EQ(r.account.at("printed"), sum(r.records, "ios"));

    for (const auto& argv : std::vector<std::vector<std::string>>{{"biotop", "-s", "comm"},
                                                                  {"biotop", "0"},
                                                                  {"biotop", "1", "0"},
                                                                  {"biotop", "-r", "0"}})
        EXPECT_EQ(run(argv).status, 1) << argv[1];
    EXPECT_EQ(run({"biotop", "-d", "nosuchdisk"}).status, 2);
}

} // namespace
