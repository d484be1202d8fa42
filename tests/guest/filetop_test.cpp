// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "harness.hpp"
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <numeric>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <termios.h>
#include <thread>
#include <unistd.h>

namespace
{

using namespace corebox::test;
using std::to_string;

long must(long result)
{
    EXPECT_GE(result, 0) << errno;
    return result;
}

// A file of `size` bytes, open for reading and writing; made before anything is traced.
int made(const std::string& path, std::size_t size = 4096)
{
    write_file(path, std::string(size, 'x'));
    return int(must(::open(path.c_str(), O_RDWR | O_CLOEXEC)));
}

void read_times(int fd, int times, std::size_t size = 1)
{
    std::string buffer(size, '\0');
    for (int i = 0; i < times; i++)
        must(::pread(fd, buffer.data(), size, 0));
}

void write_times(int fd, int times, std::size_t size = 1)
{
    const std::string buffer(size, 'w');
    for (int i = 0; i < times; i++)
        must(::pwrite(fd, buffer.data(), size, 0));
}

// Runs filetop -p CHILD ARGUMENTS over `work` in one child, to the child's end.
Result trace(const std::vector<std::string>& arguments, const std::function<void()>& work,
             const Environment& env = {}, bool json = true)
{
    return watch("filetop", arguments, work, {.env = env, .json = json});
}

// The sums of a file over all intervals and threads.
struct Sums {
    std::uint64_t reads = 0, writes = 0, read_bytes = 0, write_bytes = 0;
    bool operator==(const Sums&) const = default;
    friend void PrintTo(const Sums& s, std::ostream* out)
    {
        *out << s.reads << " reads " << s.writes << " writes " << s.read_bytes << " bytes read "
             << s.write_bytes << " bytes written";
    }
};
Sums of(const Records& records, const std::string& file)
{
    Sums s;
    for (const Json& r : with(records, "file", file)) {
        s.reads += r.at("reads").get<std::uint64_t>();
        s.writes += r.at("writes").get<std::uint64_t>();
        s.read_bytes += r.at("read_bytes").get<std::uint64_t>();
        s.write_bytes += r.at("write_bytes").get<std::uint64_t>();
    }
    return s;
}

std::vector<std::string> files(const Records& records)
{
    std::vector<std::string> found;
    for (const Json& record : records)
        found.push_back(record.at("file"));
    return found;
}
using Files = std::vector<std::string>;

const std::vector<std::string> kOnce{"3600"}; // one report, at the end

// --- Every rung counts the same. The empty name is what the ladder itself takes.

class FiletopRung : public EachRung
{
};

INSTANTIATE_TEST_SUITE_P(Rungs, FiletopRung, testing::Values("", "fexit", "kprobe"), rung_name);

TEST_P(FiletopRung, IsTheOneTaken)
{
    const Result result = run({"filetop", "--check", "--explain"}, env());
    EXPECT_EQ(result.status, 0);
    const std::string rung = *GetParam() ? GetParam() : "fexit"; // all four kernels can
    for (const char* need : {"reads:\n", "writes:\n"}) {
        const auto at = result.err.find(need);
        ASSERT_NE(at, std::string::npos) << result.err;
        const auto taken = result.err.find(": taken", at);
        ASSERT_NE(taken, std::string::npos) << result.err;
        const auto name = result.err.rfind(' ', taken) + 1;
        EXPECT_EQ(result.err.substr(name, taken - name), rung) << result.err;
    }
}

TEST_P(FiletopRung, CountsCallsAndTransferredBytesExactly)
{
    TempDir dir;
    const int a = made(dir / "a", 4096), b = made(dir / "b", 100);
    const int only_reads = int(must(::open((dir / "a").c_str(), O_RDONLY | O_CLOEXEC)));
    struct stat st {
    };
    must(::fstat(a, &st));
    Child child([&] {
        char one, two[2];
        iovec vec[2] = {{&one, 1}, {two, 2}};
        read_times(a, 1009, 4096);
        read_times(b, 11, 4096); // 100 bytes each: not what was asked for
        must(::lseek(b, 0, SEEK_END));
        for (int i = 0; i < 5; i++) // at the end: a call, and no byte
            EXPECT_EQ(::read(b, &one, 1), 0);
        for (int i = 0; i < 7; i++)
            EXPECT_EQ(::preadv(a, vec, 2, 0), 3);
        write_times(a, 503, 512);
        for (int i = 0; i < 13; i++)
            EXPECT_EQ(::pwritev(a, vec, 2, 0), 3);
        EXPECT_EQ(::write(only_reads, &one, 1), -1); // refused: a call, and no byte
    });
    const pid_t pid = child.pid();
    Tracer tracer({"filetop", "--json", "-p", to_string(pid), "3600"}, env());
    child.go_wait();
    const Result result = tracer.wait();
    EXPECT_EQ(result.status, 0);
    expect_exact(result);
    Files names = files(result.records);
    std::ranges::sort(names);
    EXPECT_EQ(names, (Files{"a", "b"}));
    const Sums sa = of(result.records, "a");
    EXPECT_EQ(sa.reads, 1009u + 7);
    EXPECT_EQ(sa.read_bytes, 1009u * 4096 + 7 * 3);
    EXPECT_EQ(sa.writes, 503u + 13 + 1);
    EXPECT_EQ(sa.write_bytes, 503u * 512 + 13 * 3);
    EXPECT_EQ(of(result.records, "b"), (Sums{16, 0, 1100, 0}));
    for (const Json& r : result.records) {
        EXPECT_EQ(r.at("pid"), pid);
        EXPECT_EQ(r.at("tid"), pid);
        EXPECT_EQ(r.at("comm"), "guest_tests");
        EXPECT_EQ(r.at("type"), "R");
        EXPECT_EQ(r.at("dev_major"), major(st.st_dev));
        EXPECT_EQ(r.at("dev_minor"), minor(st.st_dev));
        EXPECT_EQ(r.at("read_kib"), r.at("read_bytes").get<std::uint64_t>() / 1024);
    }
    EXPECT_EQ(with(result.records, "file", "a")[0].at("inode"), st.st_ino);
    for (const int fd : {a, b, only_reads})
        ::close(fd);
}

TEST_P(FiletopRung, FiltersDirectoryAndDirection)
{
    TempDir dir;
    must(::mkdir((dir / "sub").c_str(), 0700));
    const int direct = made(dir / "direct"), below = made(dir / "sub/below");
    const auto work = [&] {
        for (const int fd : {direct, below}) {
            read_times(fd, 3);
            write_times(fd, 5);
        }
    };
    Result result = trace({"-d", dir.path(), "3600"}, work, env());
    EXPECT_EQ(files(result.records), Files{"direct"});
    EXPECT_EQ(of(result.records, "direct"), (Sums{3, 5, 3, 5}));
    // What stands against the directory is counted; so is what the harness's own pipe saw.
    EXPECT_GE(result.account.at("filtered").get<int>(), 8);

    result = trace({"--read-only", "3600"}, work, env());
    EXPECT_EQ(of(result.records, "direct"), (Sums{3, 0, 3, 0}));
    EXPECT_EQ(of(result.records, "below"), (Sums{3, 0, 3, 0}));
    result = trace({"--write-only", "3600"}, work, env());
    EXPECT_EQ(of(result.records, "direct"), (Sums{0, 5, 0, 5}));
    ::close(direct);
    ::close(below);
}

TEST_P(FiletopRung, IntervalsLoseNothing)
{
    constexpr int kReads = 60'013;
    TempDir dir;
    const int fd = made(dir / "file");
    const Result result = trace(
        {"0.05"}, [&] { read_times(fd, kReads); }, env());
    expect_exact(result);
    EXPECT_EQ(of(result.records, "file"), (Sums{kReads, 0, kReads, 0}));
    EXPECT_GE(result.records.size(), 3u); // several intervals had a part of it
}

// --- What other ways there are to read and write; only fexit and sessions see them.

void counts_copies(const Environment& env)
{
    constexpr std::size_t kSize = 100'003;
    TempDir dir("/mnt/ext4");
    const int in = made(dir / "in", kSize), out = made(dir / "out", 0);
    Result result = trace(
        kOnce,
        [&] {
            off_t at = 0;
            EXPECT_EQ(::sendfile(out, in, &at, kSize), ssize_t(kSize));
        },
        env);
    expect_exact(result);
    EXPECT_EQ(of(result.records, "in"), (Sums{1, 0, kSize, 0}));
    EXPECT_EQ(of(result.records, "out"), (Sums{0, 1, 0, kSize}));
    EXPECT_EQ(result.records.size(), 2u) << result.out;
    const Result limited = trace(
        {"--write-only", "3600"},
        [&] {
            off_t at = 0;
            EXPECT_EQ(::sendfile(out, in, &at, kSize), ssize_t(kSize));
        },
        env);
    EXPECT_EQ(files(limited.records), Files{"out"});

    // ext4 cannot share blocks, so the kernel copies.
    result = trace(
        kOnce,
        [&] {
            off_t from = 0, to = 0;
            EXPECT_EQ(::copy_file_range(in, &from, out, &to, kSize, 0), ssize_t(kSize));
        },
        env);
    expect_exact(result);
    EXPECT_EQ(of(result.records, "in"), (Sums{1, 0, kSize, 0}));
    EXPECT_EQ(of(result.records, "out"), (Sums{0, 1, 0, kSize}));

    int pipe[2];
    must(::pipe(pipe));
    result = trace(
        kOnce,
        [&] {
            off_t at = 0;
            EXPECT_EQ(::splice(in, &at, pipe[1], nullptr, 5000, 0), 5000);
        },
        env);
    if (has_function("splice_file_to_pipe")) // else --explain says what is not seen
        EXPECT_EQ(of(result.records, "in"), (Sums{1, 0, 5000, 0}));
    else
        EXPECT_EQ(result.records.size(), 0u);
    for (const int fd : {in, out, pipe[0], pipe[1]})
        ::close(fd);
}

TEST(Filetop, CountsCopiesInsideTheKernel)
{
    counts_copies({});
    const std::string what = run({"filetop", "--check", "--explain"}).err;
    EXPECT_NE(
        what.find(
            has_sessions()
                ? "  session: taken"
                : "  session: the kernel has no kprobe sessions (Linux 6.10, CONFIG_FPROBE)\n"),
        std::string::npos)
        << what;
}
TEST(Filetop, CountsCopiesByFexit) { counts_copies({{"COREBOX_PROBES", "fexit"}}); }

// The smallest io_uring: one read or write at a time, waited for.
class Uring
{
public:
    Uring() : fd_(int(must(::syscall(SYS_io_uring_setup, 4, &params_))))
    {
        submission_ = map(params_.sq_off.array + params_.sq_entries * 4, IORING_OFF_SQ_RING);
        completion_ = map(params_.cq_off.cqes + params_.cq_entries * sizeof(io_uring_cqe),
                          IORING_OFF_CQ_RING);
        entries_ = map(params_.sq_entries * sizeof(io_uring_sqe), IORING_OFF_SQES);
    }
    ~Uring() { ::close(fd_); }

    int run(std::uint8_t opcode, int file, void* buffer, unsigned size)
    {
        const unsigned tail = at(submission_, params_.sq_off.tail);
        const unsigned slot = tail & at(submission_, params_.sq_off.ring_mask);
        io_uring_sqe& e = reinterpret_cast<io_uring_sqe*>(entries_)[slot];
        e = {};
        e.opcode = opcode;
        e.fd = file;
        e.addr = reinterpret_cast<std::uint64_t>(buffer);
        e.len = size;
        (&at(submission_, params_.sq_off.array))[slot] = slot;
        __atomic_store_n(&at(submission_, params_.sq_off.tail), tail + 1, __ATOMIC_RELEASE);
        EXPECT_EQ(::syscall(SYS_io_uring_enter, fd_, 1, 1, IORING_ENTER_GETEVENTS, nullptr, 0), 1);
        unsigned& head = at(completion_, params_.cq_off.head);
        const auto* ends = reinterpret_cast<const io_uring_cqe*>(completion_ + params_.cq_off.cqes);
        const int result = ends[head & at(completion_, params_.cq_off.ring_mask)].res;
        __atomic_store_n(&head, head + 1, __ATOMIC_RELEASE);
        return result;
    }

private:
    char* map(std::size_t size, std::uint64_t offset) const
    {
        return static_cast<char*>(::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                                         MAP_SHARED | MAP_POPULATE, fd_, off_t(offset)));
    }
    static unsigned& at(char* ring, unsigned offset)
    {
        return *reinterpret_cast<unsigned*>(ring + offset);
    }

    io_uring_params params_{};
    int fd_;
    char *submission_ = nullptr, *completion_ = nullptr, *entries_ = nullptr;
};

TEST(Filetop, CountsIoUring)
{
    TempDir dir("/mnt/ext4");
    const int fd = made(dir / "file", 100);
    Uring ring; // made before, used by the child
    const auto work = [&] {
        char buffer[4096] = {};
        read_times(fd, 1, 100); // in the page cache, so that io_uring need not wait
        for (int i = 0; i < 23; i++)
            EXPECT_EQ(ring.run(IORING_OP_READ, fd, buffer, sizeof buffer), 100);
        for (int i = 0; i < 7; i++)
            EXPECT_EQ(ring.run(IORING_OP_WRITE, fd, buffer, 50), 50);
    };
    const Result result = trace(kOnce, work);
    expect_exact(result);
    const Sums sums = of(result.records, "file");
    EXPECT_EQ(sums.reads, 1 + 23u);
    EXPECT_EQ(sums.read_bytes, 24u * 100);
    // Before 6.1 ext4 leaves every buffered write to worker threads, whose end a kernel that keeps
    // results elsewhere does not show.
    if (has_member("io_kiocb", "cqe")) {
        EXPECT_EQ(sums.writes, 7u);
        EXPECT_EQ(sums.write_bytes, 7u * 50);
    }
    ::close(fd);
}

// --- Types, names.

TEST(Filetop, ShowsOnlyRegularFilesUnlessAskedForAll)
{
    TempDir dir;
    const int regular = made(dir / "file");
    int sockets[2], pipe[2];
    must(::socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
    must(::pipe(pipe));
    const int zero = int(must(::open("/dev/zero", O_RDONLY)));
    const auto work = [&] {
        char byte = 'b';
        read_times(regular, 2);
        read_times(zero, 3, 100);
        for (int i = 0; i < 5; i++) {
            must(::write(sockets[0], &byte, 1));
            must(::read(sockets[1], &byte, 1));
        }
        for (int i = 0; i < 7; i++) {
            must(::write(pipe[1], &byte, 1));
            must(::read(pipe[0], &byte, 1));
        }
    };
    Result result = trace(kOnce, work);
    EXPECT_EQ(files(result.records), Files{"file"});
    EXPECT_GE(result.account.at("filtered").get<int>(), 3 + 10 + 14);
    expect_exact(result);

    for (const char* all : {"-a", "--all_files"}) {
        result = trace({all, "3600"}, work);
        expect_exact(result);
        const auto type = [&](const char* t) { return with(result.records, "type", t); };
        ASSERT_EQ(type("R").size(), 1u) << result.out;
        EXPECT_EQ(of(type("O"), "zero"), (Sums{3, 0, 300, 0}));
        struct stat st {
        };
        must(::fstat(pipe[0], &st));
        Records pipes = with(type("O"), "inode", st.st_ino);
        ASSERT_EQ(pipes.size(), 1u) << result.out;
        EXPECT_EQ(pipes[0].at("reads"), 7);
        EXPECT_EQ(pipes[0].at("writes"), 7);
        EXPECT_NE(pipes[0].at("file"), "");
        std::uint64_t reads = 0, writes = 0;
        for (const Json& r : type("S")) {
            reads += r.at("reads").get<std::uint64_t>();
            writes += r.at("writes").get<std::uint64_t>();
        }
        EXPECT_EQ(reads, 5u);
        EXPECT_EQ(writes, 5u);
    }
}

TEST(Filetop, HostileAndLongNamesAreOneLineAndOneObject)
{
    TempDir dir;
    const std::string hostile = "n\nl \x1b[31mred\xff\xc3(", longest(255, 'L');
    const int a = made(dir / hostile), b = made(dir / longest);
    const auto work = [&] {
        read_times(a, 3);
        read_times(b, 2);
    };
    Result result = trace(kOnce, work);
    ASSERT_EQ(result.records.size(), 2u);
    EXPECT_EQ(of(result.records, longest).reads, 2u);
    const Records odd = with(result.records, "reads", 3);
    ASSERT_EQ(odd.size(), 1u);
    std::string hex;
    for (const unsigned char c : hostile) {
        char digits[3];
        std::snprintf(digits, sizeof digits, "%02x", c);
        hex += digits;
    }
    EXPECT_EQ(odd[0].at("file_hex"), hex);

    result = trace(kOnce, work, {}, false);
    const auto all = lines(result.out);
    ASSERT_EQ(all.size(), 4u) << result.out; // load, header, two rows
    EXPECT_EQ(result.out.find('\x1b'), std::string::npos);
    EXPECT_NE(all[2].find("\\n"), std::string::npos);
    EXPECT_NE(all[2].find("\\x1b"), std::string::npos);
    ::close(a);
    ::close(b);
}

TEST(Filetop, TellsThreadsApart)
{
    TempDir dir;
    const int fd = made(dir / "file");
    Child child([&] {
        std::vector<std::thread> threads;
        for (int t = 0; t < 4; t++)
            threads.emplace_back([&, t] { read_times(fd, 1000 * (t + 1)); });
        for (auto& thread : threads)
            thread.join();
    });
    const pid_t pid = child.pid();
    Tracer tracer({"filetop", "--json", "-p", to_string(pid), "3600"});
    child.go_wait();
    const Result result = tracer.wait();
    ASSERT_EQ(result.records.size(), 4u) << result.out;
    // Where the kernel preempts itself fexit programs are skipped while a task is preempted in one
    // of them: lost, and accounted for.
    const auto lost = result.account.at("lost").get<std::uint64_t>();
    EXPECT_EQ(of(result.records, "file").reads + lost, 10'000u);
    if (lost == 0) {
        for (int t = 0; t < 4; t++) // sorted, the busiest first
            EXPECT_EQ(result.records[std::size_t(t)].at("reads"), 4000 - 1000 * t);
    }
    if (!preempts_itself())
        EXPECT_EQ(lost, 0u);
    for (const Json& r : result.records) {
        EXPECT_EQ(r.at("pid"), pid);
        EXPECT_NE(r.at("tid"), pid);
    }
    ::close(fd);
}

// Two files with one inode number on two devices are two files, and -d tells their directories
// apart: BCC compares the inode number alone.
TEST(Filetop, DirectoryIsOneOfADevice)
{
    TempDir dir;
    in_namespaces(CLONE_NEWNS, [&] {
        int fds[2];
        for (int i = 0; i < 2; i++) {
            const std::string place = dir / ("mount" + to_string(i));
            must(::mkdir(place.c_str(), 0700));
            must(::mount("tmpfs", place.c_str(), "tmpfs", 0, nullptr));
            fds[i] = made(place + "/file" + to_string(i));
        }
        struct stat a {
        }, b{};
        must(::fstat(fds[0], &a));
        must(::fstat(fds[1], &b));
        ASSERT_EQ(a.st_ino, b.st_ino);
        const auto work = [&] {
            read_times(fds[0], 3);
            read_times(fds[1], 5);
        };
        Result result = trace({"-d", dir / "mount1", "3600"}, work);
        EXPECT_EQ(files(result.records), Files{"file1"});
        result = trace(kOnce, work);
        EXPECT_EQ(files(result.records), (Files{"file1", "file0"}));
        for (const int fd : fds)
            ::close(fd);
    });
}

// --- Order and number of rows.

// Files whose order by each key is another one.
struct Load {
    const char* name;
    int reads, read_size, writes, write_size;
};
constexpr Load kLoads[] = {
    {"many-reads", 50, 1, 1, 1},
    {"many-writes", 1, 1, 60, 1},
    {"big-reads", 3, 4000, 2, 1},
    {"big-writes", 2, 1, 3, 3000},
};

TEST(Filetop, SortsByEachKey)
{
    TempDir dir;
    std::vector<int> fds;
    for (const Load& load : kLoads)
        fds.push_back(made(dir / load.name));
    const auto work = [&] {
        for (std::size_t i = 0; i < fds.size(); i++) {
            read_times(fds[i], kLoads[i].reads, std::size_t(kLoads[i].read_size));
            write_times(fds[i], kLoads[i].writes, std::size_t(kLoads[i].write_size));
        }
    };
    const std::map<std::string, Files> orders{
        {"all", {"big-reads", "big-writes", "many-writes", "many-reads"}}, // 12005 9005 122 102
        {"reads", {"many-reads", "big-reads", "big-writes", "many-writes"}},
        {"writes", {"many-writes", "big-writes", "big-reads", "many-reads"}},
        {"rbytes", {"big-reads", "many-reads", "big-writes", "many-writes"}},
        {"wbytes", {"big-writes", "many-writes", "big-reads", "many-reads"}},
    };
    for (const auto& [key, order] : orders)
        if (key != "all")
            EXPECT_EQ(files(trace({"-s", key, "3600"}, work).records), order) << key;
    EXPECT_EQ(files(trace(kOnce, work).records), orders.at("all"));
    EXPECT_EQ(files(trace({"--sort=rbytes", "-r", "2", "3600"}, work).records),
              (Files{"big-reads", "many-reads"}));
    for (const int fd : fds)
        ::close(fd);
}

TEST(Filetop, PeopleGet20RowsAndProgramsAll)
{
    TempDir dir;
    std::vector<int> fds;
    for (int i = 0; i < 33; i++)
        fds.push_back(made(dir / ("file" + to_string(i))));
    const auto work = [&] {
        for (const int fd : fds)
            read_times(fd, 1);
    };
    Result result = trace(kOnce, work);
    EXPECT_EQ(result.records.size(), 33u);
    result = trace({"--rows", "5", "3600"}, work);
    EXPECT_EQ(result.records.size(), 5u);
    // The rows that are not shown are accounted for all the same.
    EXPECT_EQ(result.account.at("printed"), 33);
    result = trace(kOnce, work, {}, false);
    EXPECT_EQ(lines(result.out).size(), 2u + 20) << result.out;
    result = trace({"-r", "30", "3600"}, work, {}, false);
    EXPECT_EQ(lines(result.out).size(), 2u + 30) << result.out;
    result = trace({"--csv", "3600"}, work, {}, false);
    EXPECT_EQ(lines(result.out).size(), 1u + 33) << result.out;
    for (const int fd : fds)
        ::close(fd);
}

// More files in one interval than the map has room for: what is not shown is told, exactly.
TEST(Filetop, FullMapIsAccountedFor)
{
    constexpr int kFiles = 17'000;
    TempDir dir;
    const Result result = trace(kOnce, [&] {
        for (int i = 0; i < kFiles; i++) {
            const int fd = int(
                must(::open((dir / to_string(i)).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600)));
            must(::write(fd, "x", 1));
            ::close(fd);
            ::unlink((dir / to_string(i)).c_str());
        }
    });
    EXPECT_EQ(result.status, 3);
    const auto& a = result.account;
    EXPECT_GT(a.at("lost_map"), 0);
    EXPECT_EQ(a.at("lost"), a.at("lost_map"));
    EXPECT_EQ(a.at("printed").get<int>() + a.at("lost").get<int>(), kFiles);
    EXPECT_EQ(a.at("printed").get<std::size_t>(), result.records.size());
}

// --- Text: batch, screen.

TEST(Filetop, TextIsBccsTable)
{
    TempDir dir;
    const int fd = made(dir / "file", 8192);
    Child child([&] {
        read_times(fd, 3, 8192);
        write_times(fd, 2, 1000);
    });
    const std::string pid = to_string(child.pid());
    Tracer tracer({"filetop", "-C", "-p", pid, "3600"});
    child.go_wait();
    const Result result = tracer.wait();
    const auto all = lines(result.out);
    ASSERT_EQ(all.size(), 3u) << result.out;
    const auto load = words(all[0]);
    ASSERT_EQ(load.size(), 7u) << all[0]; // HH:MM:SS loadavg: 0.00 0.00 0.00 1/50 100
    EXPECT_EQ(load[0].size(), 8u);
    EXPECT_EQ(load[1], "loadavg:");
    EXPECT_EQ(words(all[1]),
              (Files{"TID", "COMM", "READS", "WRITES", "R_Kb", "W_Kb", "T", "FILE"}));
    EXPECT_EQ(words(all[2]), (Files{pid, "guest_tests", "3", "2", "24", "1", "R", "file"}));
    ::close(fd);
}

// What filetop writes to a terminal of `lines` lines.
std::string on_a_terminal(unsigned short lines, const std::vector<std::string>& arguments)
{
    const int terminal = int(must(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)));
    must(::grantpt(terminal));
    must(::unlockpt(terminal));
    const int end = int(must(::open(::ptsname(terminal), O_RDWR | O_NOCTTY | O_CLOEXEC)));
    winsize size{};
    size.ws_row = lines;
    size.ws_col = 80;
    must(::ioctl(end, TIOCSWINSZ, &size));
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::dup2(end, 1);
        ::unsetenv("TERM");
        std::vector<const char*> argv{"corebox", "filetop", "-a", "0.3", "2"};
        for (const auto& a : arguments)
            argv.push_back(a.c_str());
        argv.push_back(nullptr);
        ::execvp("corebox", const_cast<char**>(argv.data()));
        ::_exit(127);
    }
    ::close(end);
    std::string out;
    char buffer[4096];
    ssize_t n;
    while ((n = ::read(terminal, buffer, sizeof buffer)) > 0) // EIO once the other end is closed
        out.append(buffer, std::size_t(n));
    int status = -1;
    ::waitpid(pid, &status, 0);
    EXPECT_EQ(status, 0);
    ::close(terminal);
    return out;
}

std::size_t occurrences(std::string_view text, std::string_view what)
{
    std::size_t n = 0;
    for (auto at = text.find(what); at != text.npos; at = text.find(what, at + 1))
        n++;
    return n;
}

TEST(Filetop, ClearsTheScreenOfATerminalOnly)
{
    const std::string clear = "\x1b[H\x1b[J";
    EXPECT_EQ(occurrences(on_a_terminal(24, {}), clear), 2u); // no TERM, no `clear` command
    EXPECT_EQ(occurrences(on_a_terminal(24, {"-C"}), "\x1b"), 0u);
    EXPECT_EQ(occurrences(on_a_terminal(24, {"--noclear"}), "\x1b"), 0u);
    EXPECT_EQ(occurrences(run({"filetop", "0.2", "2"}).out, "\x1b"), 0u);
}

// filetop with a terminal of its own, as a shell gives it.
class OnTerminal
{
public:
    OnTerminal()
    {
        terminal_ = int(must(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)));
        must(::grantpt(terminal_));
        must(::unlockpt(terminal_));
        end_ = int(must(::open(::ptsname(terminal_), O_RDWR | O_NOCTTY | O_CLOEXEC)));
        must(::tcgetattr(end_, &before_));
        pid_ = ::fork();
        if (pid_ == 0) {
            ::setsid();
            ::ioctl(end_, TIOCSCTTY, 0);
            ::dup2(end_, 0);
            ::dup2(end_, 1);
            ::execlp("corebox", "corebox", "filetop", "-a", "0.4", nullptr);
            ::_exit(127);
        }
    }
    ~OnTerminal()
    {
        ::kill(pid_, SIGKILL); // it has ended, unless the test gave up
        ::close(end_);
        ::close(terminal_);
    }
    void press(const char* keys) { must(::write(terminal_, keys, std::strlen(keys))); }
    void send(int signal) { must(::kill(pid_, signal)); }
    // Reads until `text` was written after what was waited for before.
    void wait_for(std::string_view text)
    {
        std::string out;
        char buffer[4096];
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        while (out.find(text) == out.npos) {
            pollfd ready{terminal_, POLLIN, 0};
            if (std::chrono::steady_clock::now() > end || ::poll(&ready, 1, 20'000) != 1)
                throw std::runtime_error("no " + std::string(text) + " in: " + out);
            out.append(buffer, std::size_t(must(::read(terminal_, buffer, sizeof buffer))));
        }
    }
    int status()
    {
        int status = -1;
        ::waitpid(pid_, &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
    bool gives_keys() const { return (now().c_lflag & (ICANON | ECHO)) == 0; }
    bool as_before() const
    {
        const termios t = now();
        return t.c_lflag == before_.c_lflag && t.c_iflag == before_.c_iflag &&
               t.c_oflag == before_.c_oflag && t.c_cflag == before_.c_cflag &&
               std::equal(std::begin(t.c_cc), std::end(t.c_cc), before_.c_cc);
    }

private:
    termios now() const
    {
        termios t{};
        must(::tcgetattr(end_, &t));
        return t;
    }

    int terminal_ = -1, end_ = -1;
    pid_t pid_ = 0;
    termios before_{};
};

TEST(Filetop, KeysOfATerminal)
{
    {
        OnTerminal t;
        t.wait_for("loadavg:");
        EXPECT_TRUE(t.gives_keys());
        t.press(">");
        t.wait_for(" by TID\r\n");
        t.press("r");
        t.wait_for(" by TID, reversed\r\n");
        t.press("x<r<");
        t.wait_for(" by FILE\r\n");
        t.press("q");
        EXPECT_EQ(t.status(), 0);
        EXPECT_TRUE(t.as_before());
    }
    for (const int signal : {SIGTERM, SIGINT}) {
        OnTerminal t;
        t.wait_for("loadavg:");
        if (signal == SIGINT)
            t.press("\x03"); // Ctrl-C stays what it is
        else
            t.send(signal);
        EXPECT_EQ(t.status(), 0);
        EXPECT_TRUE(t.as_before());
    }
}

TEST(Filetop, PrintsAsManyReportsAsAskedFor)
{
    const Result result = run({"filetop", "0.2", "3"});
    EXPECT_EQ(result.status, 0);
    EXPECT_EQ(occurrences(result.out, "loadavg:"), 3u);
    EXPECT_EQ(occurrences(result.out, "TID "), 3u);
}

TEST(Filetop, EndsBySignalWithTheIntervalSoFar)
{
    TempDir dir;
    const int fd = made(dir / "file");
    Child child([&] {
        read_times(fd, 307);
        ::pause();
    });
    Tracer tracer({"filetop", "--json", "-p", to_string(child.pid()), "3600"});
    child.go();
    wait_until([&] { // pause(2) is 34 on x86_64
        return read_file("/proc/" + to_string(child.pid()) + "/syscall").starts_with("34 ");
    });
    const Result result = tracer.stop(SIGHUP);
    EXPECT_EQ(result.status, 0);
    EXPECT_EQ(of(result.records, "file").reads, 307u);
    ::close(fd);
}

TEST(Filetop, RefusesWhatMakesNoSense)
{
    EXPECT_EQ(run({"filetop", "0"}).status, 1);
    EXPECT_EQ(run({"filetop", "-s", "names"}).status, 1);
    EXPECT_EQ(run({"filetop", "-r", "0"}).status, 1);
    EXPECT_EQ(run({"filetop", "--read-only", "--write-only"}).status, 1);
    EXPECT_EQ(run({"filetop", "-p", "999999"}).status, 2);
    EXPECT_EQ(run({"filetop", "-d", "/no/such/directory"}).status, 2);
}

} // namespace
