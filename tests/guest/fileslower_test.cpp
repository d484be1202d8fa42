// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "fuse_server.hpp"
#include <csignal>
#include <fcntl.h>
#include <linux/sched.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
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

// Ten calls on a file, then five on pipes.
void do_calls(const std::string& path)
{
    char buffer[1000] = {};
    iovec parts[] = {{buffer, 100}, {buffer + 500, 11}};
    const int fd = open_file(path, O_RDWR | O_CREAT);
    EXPECT_EQ(::write(fd, buffer, 1000), 1000);
    EXPECT_EQ(::pwrite(fd, buffer, 7, 2), 7);
    EXPECT_EQ(::pwritev(fd, parts, 2, 0), 111);
    EXPECT_EQ(::pread(fd, buffer, 900, 500), 500);
    EXPECT_EQ(::read(fd, buffer, 5), 0);
    EXPECT_EQ(::preadv(fd, parts, 2, 0), 111);
    EXPECT_EQ(::syscall(SYS_pread64, fd, 8, 1, 0), -1);
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    EXPECT_EQ(::write(ends[1], buffer, 13), 13);
    EXPECT_EQ(::read(ends[0], buffer, 100), 13);
}

const std::vector<std::string> kCalls = {"W 1000 write", "W 7 write", "W 111 writev",
                                         "R 500 read",   "R 0 read",  "R 111 readv",
                                         "R -14 read"};

std::vector<std::string> facts(const Records& records)
{
    std::vector<std::string> out;
    for (const Json& r : records)
        out.push_back(r.at("dir").get<std::string>() + " " + to_string(r.at("bytes").get<int>()) +
                      " " + r.at("call").get<std::string>());
    return out;
}

TEST(Fileslower, ShowsExactlyWhatAProcessReadsAndWrites)
{
    for (const auto& [rung, parent] : {std::pair<std::string, std::string>{"", "/mnt/ext4"},
                                       std::pair<std::string, std::string>{"kprobe", "/tmp"}}) {
        SCOPED_TRACE(rung + " " + parent);
        const Environment env = forced(rung);
        TempDir dir(parent);
        std::string deep = dir.path();
        for (int i = 0; i < 40; i++) {
            deep += "/component-" + to_string(i) + "-" + std::string(18, 'x');
            ASSERT_EQ(::mkdir(deep.c_str(), 0755), 0);
        }
        const std::string path = deep + "/a\nb";
        Child child([&] { do_calls(path); });
        const pid_t pid = child.pid();
        Tracer files({"fileslower", "-F", "--json", "-p", to_string(pid), "0"}, env);
        child.go_wait();
        const Result r = files.wait();
        EXPECT_EQ(r.status, 0) << r.err;
        expect_exact(r);
        EXPECT_EQ(facts(r.records), kCalls);
        for (const Json& record : r.records) {
            EXPECT_EQ(record.at("path"), path);
            EXPECT_EQ(record.at("file"), "a\nb");
            EXPECT_EQ(record.at("tid"), pid);
            EXPECT_EQ(record.at("comm"), "guest_tests");
            EXPECT_GT(record.at("lat_ns"), 0);
        }
    }
}

TEST(Fileslower, AllFilesAndCopies)
{
    // On a kernel with sessions fexit is the lower rung of the copies.
    for (const std::string rung : {"", "fexit"}) {
        if (!rung.empty() && !has_sessions())
            continue;
        SCOPED_TRACE(rung);
        const Environment env = forced(rung);
        TempDir dir;
        write_file(dir / "source", std::string(5000, 's'));
        Child child([&] {
            do_calls(dir / "f");
            const int in = open_file(dir / "source", O_RDONLY);
            const int out = open_file(dir / "copy", O_WRONLY | O_CREAT);
            EXPECT_EQ(::sendfile(out, in, nullptr, 3000), 3000);
        });
        Tracer all({"fileslower", "-a", "--json", "-p", to_string(child.pid()), "0"}, env);
        child.go_wait();
        const Result r = all.wait();
        expect_exact(r);
        auto expected = kCalls;
        expected.insert(expected.end(), {"W 13 write", "R 13 read"});
        const auto seen = facts(r.records);
        ASSERT_GE(seen.size(), expected.size());
        EXPECT_EQ(std::vector(seen.begin(), seen.begin() + std::ptrdiff_t(expected.size())),
                  expected);
        EXPECT_EQ(r.records[7].at("file").get<std::string>().substr(0, 6), "pipe:[");
        EXPECT_EQ(r.records[7].at("file"), r.records[8].at("file"));
        const Records copies = with(r.records, "call", "sendfile");
        ASSERT_EQ(copies.size(), 1u);
        EXPECT_EQ(copies[0].at("bytes"), 3000);
        EXPECT_EQ(copies[0].at("file"), "source");
    }
}

// Threads 65536 apart share the place in which a kprobe leaves the file for the kretprobe.
TEST(Fileslower, OthersDoNotChangeTheFileOfACall)
{
    const std::string most = read_file("/proc/sys/kernel/pid_max");
    write_file("/proc/sys/kernel/pid_max", "200000");
    TempDir dir;
    write_file(dir / "other", "x");
    Gate ready, more;
    Child child([&] {
        int ends[2];
        char byte;
        EXPECT_EQ(::pipe(ends), 0);
        const pid_t writer = ::fork();
        if (writer == 0) {
            more.wait();
            ::_exit(::write(ends[1], "x", 1) == 1 ? 0 : 1);
        }
        ready.open();
        EXPECT_EQ(::read(ends[0], &byte, 1), 1);
        EXPECT_EQ(::waitpid(writer, nullptr, 0), writer);
    });
    const pid_t pid = child.pid();
    Tracer tracer({"fileslower", "-a", "--json", "-p", to_string(pid), "100"},
                  {{"COREBOX_PROBES", "kprobe"}});
    child.go();
    ready.wait();
    ::usleep(200'000); // it is in read() then, and for longer than what is slow
    const pid_t number = pid + 65536;
    clone_args args{};
    args.exit_signal = SIGCHLD;
    args.set_tid = reinterpret_cast<std::uintptr_t>(&number);
    args.set_tid_size = 1;
    const long other = ::syscall(SYS_clone3, &args, sizeof args);
    ASSERT_GE(other, 0) << strerrordesc_np(errno);
    if (other == 0) {
        char byte;
        const int fd = ::open((dir / "other").c_str(), O_RDONLY);
        ::_exit(::read(fd, &byte, 1) == 1 ? 0 : 1);
    }
    int status = -1;
    EXPECT_EQ(::waitpid(pid_t(other), &status, 0), number);
    EXPECT_EQ(status, 0);
    more.open();
    EXPECT_EQ(child.wait(), 0);
    const Result result = tracer.wait();
    write_file("/proc/sys/kernel/pid_max", most);
    expect_exact(result);
    const Records reads = with(result.records, "tid", pid);
    ASSERT_EQ(reads.size(), 1u) << result.out;
    EXPECT_TRUE(reads[0].at("file").get<std::string>().starts_with("pipe:[")) << result.out;
}

TEST(Fileslower, ThresholdOnASlowFileSystem)
{
    TempDir dir;
    const FuseServer server(dir.path(), std::chrono::milliseconds(60));
    Child child([&] {
        char buffer[64];
        const int fd = open_file(dir / "slow", O_RDWR);
        for (int i = 0; i < 5; i++)
            EXPECT_EQ(::pread(fd, buffer, 64, i), 64);
        for (int i = 0; i < 7; i++)
            EXPECT_EQ(::pwrite(fd, buffer, 64, i), 64);
    });
    const std::string pid = to_string(child.pid());
    Tracer slow({"fileslower", "--json", "-p", pid, "59.5"});
    Tracer never({"fileslower", "-p", pid, "-m", "600000"});
    child.go_wait();
    const Result r = slow.wait(), n = never.wait();
    expect_exact(r);
    EXPECT_EQ(r.account["seen"],
              r.account["printed"].get<int>() + r.account["filtered"].get<int>());
    EXPECT_EQ(with(r.records, "dir", "R").size(), 5u);
    for (const Json& record : r.records) {
        EXPECT_GE(record.at("lat_ns"), 59'500'000);
        EXPECT_EQ(record.at("file"), "slow");
    }
    ASSERT_EQ(lines(n.out).size(), 1u) << n.out;
    EXPECT_EQ(words(lines(n.out)[0]), words("TIME(s) COMM TID D BYTES LAT(ms) FILENAME"));
    EXPECT_NE(n.err.find(" = 0 printed + "), std::string::npos) << n.err;
    for (const std::vector<std::string>& bad :
         std::vector<std::vector<std::string>>{{"fileslower", "x"}, {"fileslower", "1", "2"}}) {
        const Result usage = run(bad);
        EXPECT_EQ(usage.status, 1);
        EXPECT_EQ(lines(usage.err).size(), 1u) << usage.err;
    }
}

} // namespace
