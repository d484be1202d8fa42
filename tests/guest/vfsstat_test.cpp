// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "overlay.hpp"
#include <cmath>
#include <csignal>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <thread>
#include <unistd.h>

namespace
{

using namespace corebox::test;
using std::to_string;

constexpr const char* kCounts[] = {"reads",   "writes",  "fsyncs", "opens",
                                   "creates", "unlinks", "mkdirs", "rmdirs"};

std::map<std::string, std::uint64_t> totals(const Records& records)
{
    std::map<std::string, std::uint64_t> sum;
    for (const Json& record : records)
        for (const char* key : kCounts)
            sum[key] += record.at(key).get<std::uint64_t>();
    return sum;
}

using Expected = std::map<std::string, std::uint64_t>;

// Runs vfsstat --json -p CHILD ARGUMENTS over `work` in one child, to the child's end.
Result trace(const std::function<void()>& work, const Environment& env = {},
             const std::vector<std::string>& arguments = {})
{
    return watch("vfsstat", arguments, work, {.env = env});
}

int must(long result)
{
    EXPECT_GE(result, 0) << errno;
    return int(result);
}

// A file of `size` bytes, open for reading and writing; made before anything is traced.
int made(const std::string& path, std::size_t size = 4096)
{
    write_file(path, std::string(size, 'x'));
    return must(::open(path.c_str(), O_RDWR | O_CLOEXEC));
}

// --- Every rung counts the same calls. The empty name is what the ladder itself takes.

class VfsstatRung : public EachRung
{
};

INSTANTIATE_TEST_SUITE_P(Rungs, VfsstatRung, testing::Values("", "fentry", "tracepoint", "kprobe"),
                         rung_name);

TEST_P(VfsstatRung, IsTheOneTaken)
{
    const Result result = run({"vfsstat", "--check", "--explain"}, env());
    EXPECT_EQ(result.status, 0);
    const std::string rung = *GetParam() ? GetParam() : "fentry"; // all four kernels can
    const std::string need = rung == "tracepoint" ? "fsync and fdatasync:" : "reads:";
    const auto at = result.err.find(need);
    ASSERT_NE(at, std::string::npos) << result.err;
    const auto taken = result.err.find(": taken", at);
    ASSERT_NE(taken, std::string::npos) << result.err;
    const auto name = result.err.rfind(' ', taken) + 1;
    EXPECT_EQ(result.err.substr(name, taken - name), rung) << result.err;
    const char* never = rung == "kprobe" ? "fentry: taken" : "kprobe: taken";
    EXPECT_EQ(result.err.find(never), std::string::npos) << result.err;
}

TEST_P(VfsstatRung, CountsAllEightExactly)
{
    TempDir dir("/mnt/ext4");
    const int fd = made(dir / "old");
    const Result result = trace(
        [&] {
            char byte = 'b', two[2];
            iovec vec[2] = {{&byte, 1}, {two, 2}};
            for (int i = 0; i < 701; i++)
                must(::pread(fd, &byte, 1, 0));
            for (int i = 0; i < 199; i++) {
                must(::lseek(fd, 0, SEEK_SET));
                must(::read(fd, &byte, 1));
            }
            for (int i = 0; i < 101; i++)
                must(::preadv(fd, vec, 2, 0));
            for (int i = 0; i < 8; i++)
                must(::readv(fd, vec, 1)); // 1009 reads
            for (int i = 0; i < 401; i++)
                must(::pwrite(fd, &byte, 1, 0));
            for (int i = 0; i < 53; i++)
                must(::write(fd, &byte, 1));
            for (int i = 0; i < 42; i++)
                must(::pwritev(fd, vec, 2, 0));
            for (int i = 0; i < 7; i++)
                must(::writev(fd, vec, 1)); // 503 writes
            for (int i = 0; i < 7; i++)
                must(::fsync(fd));
            for (int i = 0; i < 4; i++)
                must(::fdatasync(fd));
            for (int i = 0; i < 13; i++) // 13 creations
                must(::close(must(::open((dir / ("new" + to_string(i))).c_str(),
                                         O_WRONLY | O_CREAT | O_EXCL, 0600))));
            for (int i = 0; i < 13; i++) // none: they are there
                must(::close(must(
                    ::open((dir / ("new" + to_string(i))).c_str(), O_WRONLY | O_CREAT, 0600))));
            for (int i = 0; i < 3; i++)
                must(::close(must(::open(dir.path().c_str(), O_TMPFILE | O_WRONLY, 0600))));
            for (int i = 0; i < 2; i++) // creations without open; a device is none
                must(::mknod((dir / ("node" + to_string(i))).c_str(), S_IFREG | 0600, 0));
            must(::mknod((dir / "device").c_str(), S_IFCHR | 0600, makedev(1, 3)));
            for (int i = 0; i < 5; i++)
                must(::mkdir((dir / ("dir" + to_string(i))).c_str(), 0700));
            for (int i = 0; i < 3; i++)
                must(::rmdir((dir / ("dir" + to_string(i))).c_str()));
            for (int i = 0; i < 11; i++)
                must(::unlink((dir / ("new" + to_string(i))).c_str()));
            // What does not come so far is not counted.
            EXPECT_EQ(::open((dir / "missing").c_str(), O_RDONLY), -1);
            EXPECT_EQ(::unlink((dir / "missing").c_str()), -1);
            EXPECT_EQ(::rmdir((dir / "missing").c_str()), -1);
            EXPECT_EQ(::mkdir((dir / "dir3").c_str(), 0700), -1);
            EXPECT_EQ(::read(-1, &byte, 1), -1);
        },
        env());
    EXPECT_EQ(result.status, 0);
    expect_exact(result);
    const Expected expected{{"reads", 1009}, {"writes", 503}, {"fsyncs", 11}, {"opens", 29},
                            {"creates", 15}, {"unlinks", 11}, {"mkdirs", 5},  {"rmdirs", 3}};
    EXPECT_EQ(totals(result.records), expected);
    ::close(fd);
}

TEST_P(VfsstatRung, CountsOnAllCpusAtOnce)
{
    TempDir dir;
    const int fd = made(dir / "file");
    const Result result = trace(
        [&] {
            std::vector<std::thread> threads;
            for (int t = 0; t < 4; t++)
                threads.emplace_back([&] {
                    char byte;
                    for (int i = 0; i < 5003; i++)
                        must(::pread(fd, &byte, 1, 0));
                });
            for (auto& thread : threads)
                thread.join();
        },
        env());
    // Where the kernel preempts itself fentry programs are skipped while a task is preempted in one
    // of them; what cannot be known to be the process's is then lost, and accounted for.
    const auto lost = result.account.at("lost").get<std::uint64_t>();
    EXPECT_EQ(totals(result.records).at("reads") + lost, 4 * 5003u);
    EXPECT_EQ(result.status, lost ? 3 : 0);
    EXPECT_EQ(lost, result.account.at("lost_nested"));
    if (is("kprobe") || !preempts_itself())
        EXPECT_EQ(lost, 0u);
    ::close(fd);
}

// BCC's hook would be security_inode_create() or vfs_create(): the one is also called for files
// that exist and are not cached, the other never by open(2).
TEST(Vfsstat, OpenWithCreateOfAnOldFileIsNoCreation)
{
    TempDir dir("/mnt/ext4");
    for (int i = 0; i < 7; i++)
        write_file(dir / ("old" + to_string(i)), "x");
    ::sync();
    drop_caches();
    const Result result = trace([&] {
        for (int i = 0; i < 7; i++)
            must(::close(
                must(::open((dir / ("old" + to_string(i))).c_str(), O_WRONLY | O_CREAT, 0600))));
    });
    EXPECT_EQ(totals(result.records).at("opens"), 7u);
    EXPECT_EQ(totals(result.records).at("creates"), 0u);
}

// Where nobody is filtered even those calls are known.
TEST(Vfsstat, FloodOnAllCpusIsExactWithoutAFilter)
{
    constexpr std::uint64_t kReads = 8 * 10'007;
    TempDir dir;
    const int fd = made(dir / "file");
    Child child([&] {
        std::vector<std::thread> threads;
        for (int t = 0; t < 8; t++)
            threads.emplace_back([&] {
                char byte;
                for (int i = 0; i < 10'007; i++)
                    must(::pread(fd, &byte, 1, 0));
            });
        for (auto& thread : threads)
            thread.join();
    });
    Tracer tracer({"vfsstat", "--json", "3600"});
    child.go_wait();
    const Result result = tracer.stop();
    const std::uint64_t reads = totals(result.records).at("reads");
    EXPECT_GE(reads, kReads);
    EXPECT_LE(reads, kReads + 100); // the system does little
    ::close(fd);
}

// With defaults nobody is filtered in the kernel, so this is a path of its own. On one CPU (the
// test runs there too) yet another.
TEST(Vfsstat, FloodWithoutAFilterIsCountedAndTheToolItselfIsNot)
{
    constexpr std::uint64_t kReads = 20'011, kWrites = 10'007;
    TempDir dir;
    const int fd = made(dir / "file");
    Child child([&] {
        char byte = 'b';
        for (std::uint64_t i = 0; i < kReads; i++)
            must(::pread(fd, &byte, 1, 0));
        for (std::uint64_t i = 0; i < kWrites; i++)
            must(::pwrite(fd, &byte, 1, 0));
    });
    Tracer tracer({"vfsstat", "--json", "0.05", "40"});
    child.go_wait();
    const Result result = tracer.wait();
    EXPECT_EQ(result.status, 0);
    expect_exact(result);
    const auto sum = totals(result.records);
    // The system does little, and the test program only waits; the tool does a read (its timer) and
    // a write (its output) each interval.
    EXPECT_GE(sum.at("reads"), kReads);
    EXPECT_GE(sum.at("writes"), kWrites);
    EXPECT_EQ(result.account.at("printed"), result.account.at("seen"));
    EXPECT_EQ(result.account.at("filtered"), 0);
    const std::size_t quiet = count_if(result.records, [](const Json& r) {
        return r.at("reads") == 0 && r.at("writes") == 0 && r.at("opens") == 0;
    });
    EXPECT_GE(quiet, result.records.size() / 2) << result.out;
    for (const Json& r : result.records) // taken off too much would be a huge number
        EXPECT_LE(r.at("reads").get<std::uint64_t>(), kReads + 1000) << r;
    ::close(fd);
}

TEST(Vfsstat, IntervalsLoseNothingAndRatesAreOfTheirRealLength)
{
    constexpr std::uint64_t kReads = 100'003;
    TempDir dir;
    const int fd = made(dir / "file");
    const Result result = trace(
        [&] {
            char byte;
            for (std::uint64_t i = 0; i < kReads; i++)
                must(::pread(fd, &byte, 1, 0));
        },
        {}, {"0.05"});
    expect_exact(result);
    EXPECT_EQ(totals(result.records).at("reads"), kReads);
    EXPECT_GE(count_if(result.records, [](const Json& r) { return r.at("reads") > 0; }), 3u);
    for (const Json& r : result.records) {
        const double interval = r.at("interval_ns").get<double>();
        ASSERT_GT(interval, 0);
        EXPECT_NEAR(r.at("read_per_s").get<double>(), r.at("reads").get<double>() * 1e9 / interval,
                    1);
    }
    ::close(fd);
}

// Overlayfs does what it is asked for once more, in a layer, which counts with --layers only.
TEST_P(VfsstatRung, Overlayfs)
{
    const auto counts = [&](const std::vector<std::string>& options) {
        const Overlay overlay;
        const std::string top = overlay.merged();
        write_file(top + "/old", "x");
        const auto work = [&] {
            char byte = 'b';
            for (int i = 0; i < 13; i++) {
                const int fd = must(::open((top + "/old").c_str(), O_RDWR));
                for (int k = 0; k < 3; k++)
                    must(::pread(fd, &byte, 1, 0));
                must(::pwrite(fd, &byte, 1, 0));
                ::close(fd);
            }
            for (int i = 0; i < 5; i++)
                ::close(must(::open((top + "/" + to_string(i)).c_str(), O_CREAT | O_WRONLY, 0600)));
            for (int i = 0; i < 2; i++)
                must(::mknod((top + "/n" + to_string(i)).c_str(), S_IFREG | 0600, 0));
            for (int i = 0; i < 5; i++)
                must(::unlink((top + "/" + to_string(i)).c_str()));
            for (int i = 0; i < 2; i++) // the caller's own
                must(::unlink((overlay.upper() + "/n" + to_string(i)).c_str()));
            for (int i = 0; i < 3; i++)
                must(::mkdir((top + "/d" + to_string(i)).c_str(), 0700));
            for (int i = 0; i < 3; i++)
                must(::rmdir((top + "/d" + to_string(i)).c_str()));
        };
        return totals(trace(work, env(), options).records);
    };
    EXPECT_EQ(counts({}), (Expected{{"reads", 39},
                                    {"writes", 13},
                                    {"fsyncs", 0},
                                    {"opens", 18},
                                    {"creates", 7},
                                    {"unlinks", 7},
                                    {"mkdirs", 3},
                                    {"rmdirs", 3}}));
    if (!*GetParam())
        EXPECT_EQ(counts({"--layers"}), (Expected{{"reads", 39},
                                                  {"writes", 13},
                                                  {"fsyncs", 0},
                                                  {"opens", 18},
                                                  {"creates", 14},
                                                  {"unlinks", 12},
                                                  {"mkdirs", 6},
                                                  {"rmdirs", 6}}));
}

TEST(Vfsstat, TextIsBccsTable)
{
    const Result result = run({"vfsstat", "0.2", "3"});
    EXPECT_EQ(result.status, 0);
    const auto all = lines(result.out);
    ASSERT_EQ(all.size(), 4u) << result.out;
    EXPECT_EQ(words(all[0]),
              (std::vector<std::string>{"TIME", "READ/s", "WRITE/s", "FSYNC/s", "OPEN/s",
                                        "CREATE/s", "UNLINK/s", "MKDIR/s", "RMDIR/s"}));
    for (std::size_t i = 1; i < all.size(); i++) {
        const auto cells = words(all[i]);
        ASSERT_EQ(cells.size(), 9u) << all[i];
        EXPECT_EQ(cells[0].size(), 8u) << all[i];
        EXPECT_EQ(all[i].size(), all[0].size()) << all[i];
    }
}

TEST(Vfsstat, EndsBySignalWithTheIntervalSoFar)
{
    TempDir dir;
    const int fd = made(dir / "file");
    Child child([&] {
        char byte;
        for (int i = 0; i < 307; i++)
            must(::pread(fd, &byte, 1, 0));
        ::pause();
    });
    Tracer tracer({"vfsstat", "--json", "-p", to_string(child.pid()), "3600"});
    child.go();
    wait_until([&] {
        return read_file("/proc/" + to_string(child.pid()) + "/syscall").starts_with("34 ");
    });
    const Result result = tracer.stop(SIGINT);
    EXPECT_EQ(result.status, 0);
    ASSERT_EQ(result.records.size(), 1u);
    EXPECT_EQ(totals(result.records).at("reads"), 307u);
    ::close(fd);
}

TEST(Vfsstat, FollowsACommand)
{
    TempDir dir;
    const Result result =
        run({"vfsstat", "--json", "--", "sh", "-c",
             "cd " + dir.path() + "; mkdir a b c; rmdir a b; rmdir c; >x; >y; rm x y"});
    EXPECT_EQ(result.status, 0);
    const auto sum = totals(result.records);
    EXPECT_EQ(sum.at("mkdirs"), 3u);
    EXPECT_EQ(sum.at("rmdirs"), 3u);
    EXPECT_EQ(sum.at("creates"), 2u);
    EXPECT_EQ(sum.at("unlinks"), 2u);
}

TEST(Vfsstat, RefusesWhatMakesNoSense)
{
    EXPECT_EQ(run({"vfsstat", "0"}).status, 1);
    EXPECT_EQ(run({"vfsstat", "1", "0"}).status, 1);
    EXPECT_EQ(run({"vfsstat", "--no-such-option"}).status, 1);
    EXPECT_EQ(run({"vfsstat", "-p", "999999"}).status, 2);
}

} // namespace
