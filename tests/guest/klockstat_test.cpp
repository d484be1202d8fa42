// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Locks of the kernel that system calls of known number take, hold, wait for, and fail to get.
#include "waits.hpp"
#include <atomic>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <set>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <termios.h>
#include <thread>
#include <unistd.h>

namespace
{

using namespace corebox::test;
using std::to_string;
using Strings = std::vector<std::string>;

constexpr unsigned kSeeks = 101, kWrites = 53, kIoctls = 7;
// Of 40 ms, as seen by the clock of the 5.10 guest, which ticks every 4 ms.
constexpr unsigned kHoldMs = 40;
constexpr std::uint64_t kLeastNs = (kHoldMs - 5) * 1'000'000ull;

// A file of tmpfs with a second descriptor: each seek takes the mutex of its position, each write
// the rwsem of its inode within that.
void seek_and_write()
{
    const int fd = ::open("/tmp/klockstat", O_RDWR | O_CREAT | O_TRUNC, 0600), second = ::dup(fd);
    for (unsigned i = 0; i < kSeeks; i++)
        EXPECT_EQ(::lseek(fd, 0, SEEK_SET), 0);
    for (unsigned i = 0; i < kWrites; i++)
        EXPECT_EQ(::write(fd, "x", 1), 1);
    ::close(second);
    ::close(fd);
}

// One thread holds the rwsem of an inode while its write waits for a page, another waits for it.
void hold_and_wait()
{
    const int fd = ::open("/tmp/klockstat", O_RDWR | O_CREAT | O_TRUNC, 0600);
    const int faults = int(::syscall(SYS_userfaultfd, O_CLOEXEC));
    ASSERT_GE(faults, 0);
    uffdio_api api{.api = UFFD_API, .features = 0, .ioctls = 0};
    ASSERT_EQ(::ioctl(faults, UFFDIO_API, &api), 0);
    char* const page = static_cast<char*>(
        ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    uffdio_register range{
        .range = {std::uint64_t(page), 4096}, .mode = UFFDIO_REGISTER_MODE_MISSING, .ioctls = 0};
    ASSERT_EQ(::ioctl(faults, UFFDIO_REGISTER, &range), 0);
    std::thread holder([&] { EXPECT_EQ(::pwrite(fd, page, 4096, 0), 4096); });
    uffd_msg fault{};
    EXPECT_EQ(::read(faults, &fault, sizeof fault), ssize_t(sizeof fault));
    std::atomic<bool> waits = false;
    std::thread waiter([&] {
        waits = true;
        EXPECT_EQ(::pwrite(fd, "y", 1, 0), 1);
    });
    while (!waits)
        ::usleep(1000);
    ::usleep(kHoldMs * 1000);
    uffdio_zeropage zero{.range = {std::uint64_t(page), 4096}, .mode = 0, .zeropage = 0};
    EXPECT_EQ(::ioctl(faults, UFFDIO_ZEROPAGE, &zero), 0);
    holder.join();
    waiter.join();
    ::close(faults);
    ::close(fd);
}

// One thread reads from a terminal and holds its mutex; a signal ends another's wait for it.
void fail_to_lock()
{
    const int master = ::open("/dev/ptmx", O_RDWR | O_NOCTTY);
    int unlock = 0;
    ::ioctl(master, TIOCSPTLCK, &unlock);
    const int terminal = ::ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY);
    ASSERT_GE(terminal, 0);
    struct sigaction action {
    };
    action.sa_handler = [](int) {};
    ::sigaction(SIGUSR1, &action, nullptr);
    char byte;
    std::thread reader([&] {
        char line[8];
        EXPECT_EQ(::read(terminal, line, sizeof line), 2);
    });
    ::usleep(kHoldMs * 1000);
    std::thread other([&] {
        EXPECT_EQ(::read(terminal, &byte, 1), -1);
        EXPECT_EQ(errno, EINTR);
    });
    ::usleep(kHoldMs * 1000);
    ::pthread_kill(other.native_handle(), SIGUSR1);
    other.join();
    EXPECT_EQ(::write(master, "a\n", 2), 2);
    reader.join();
    ::close(terminal);
    ::close(master);
}

void lock_rtnl()
{
    const int fd = ::socket(AF_INET, SOCK_DGRAM, 0);
    ifreq request{};
    std::snprintf(request.ifr_name, sizeof request.ifr_name, "lo");
    EXPECT_EQ(::ioctl(fd, SIOCGIFFLAGS, &request), 0);
    for (unsigned i = 0; i < kIoctls; i++)
        EXPECT_EQ(::ioctl(fd, SIOCSIFFLAGS, &request), 0);
    ::close(fd);
}

// Rows of which some function of the stack's names begins so.
Records of(const Records& records, std::initializer_list<std::string_view> callers,
           std::string_view kind)
{
    Records found;
    for (const Json& row : records)
        for (const std::string_view caller : callers)
            if (row.at("kind") == kind && row.at("caller") == caller)
                found.push_back(row);
    return found;
}
Records seeks(const Records& r) { return of(r, {"__fdget_pos", "fdget_pos"}, "mutex"); }
Records writes(const Records& r)
{
    return of(r, {"generic_file_write_iter", "shmem_file_write_iter"}, "rwsem-write");
}
Records reads(const Records& r) { return of(r, {"n_tty_read"}, "mutex"); }

std::uint64_t count(const Records& records) { return sum(records, "count"); }

class KlockstatRung : public EachRung
{
};

TEST_P(KlockstatRung, CountsEachLock)
{
    const Result r = watch("klockstat", {}, seek_and_write, {.env = env()});
    EXPECT_EQ(r.status, r.account.at("lost") == 0 ? 0 : 3) << r.err;
    const std::uint64_t lost = r.account.at("lost");
    if (!is("kprobe") && !preempts_itself())
        expect_exact(r);
    // A write takes the mutex of the position, too.
    const std::uint64_t seen = count(seeks(r.records)), written = count(writes(r.records));
    EXPECT_LE(seen, kSeeks + kWrites) << r.out;
    EXPECT_GE(seen + lost, kSeeks + kWrites) << r.out;
    EXPECT_LE(written, kWrites) << r.out;
    EXPECT_GE(written + lost, kWrites) << r.out;
    EXPECT_EQ(count(r.records), r.account.at("printed"));
    std::set<std::pair<std::string, std::string>> rows;
    for (const Json& row : r.records) {
        if (!row.at("caller").is_null())
            EXPECT_TRUE(rows.emplace(row.at("caller"), row.at("kind")).second) << row;
        EXPECT_LE(row.at("hold_max_ns"), row.at("hold_ns")) << row;
        EXPECT_LE(row.at("wait_max_ns"), row.at("wait_ns")) << row;
    }
}
INSTANTIATE_TEST_SUITE_P(Probes, KlockstatRung, testing::Values("", "kprobe"), rung_name);

TEST(Klockstat, WaitsHoldsAndFailures)
{
    const bool has_contention = has_tracepoint("lock/contention_begin");
    Child child([] {
        hold_and_wait();
        fail_to_lock();
        lock_rtnl();
    });
    const std::string pid = to_string(child.pid());
    Tracer all({"klockstat", "--json", "-p", pid, "-s", "3"}),
        rtnl({"klockstat", "--json", "-p", pid, "--by-lock", "-L", "rtnl_mutex"});
    std::unique_ptr<Tracer> contention;
    if (has_contention)
        contention =
            std::make_unique<Tracer>(Strings{"klockstat", "--json", "-p", pid, "--contention"});
    child.go_wait();
    const Result r = all.wait(), l = rtnl.wait();
    const Records held = writes(r.records);
    EXPECT_EQ(count(held), 2u) << r.out;
    EXPECT_GE(held.at(0).at("wait_max_ns"), kLeastNs);
    EXPECT_GE(held.at(0).at("hold_max_ns"), kLeastNs);
    EXPECT_EQ(held.at(0).at("stack").size(), 3u) << r.out;
    EXPECT_EQ(to_string(held.at(0).at("wait_max_pid").get<int>()), pid);
    // The reader only: the other never had it.
    const Records read = reads(r.records);
    EXPECT_EQ(count(read), 1u) << r.out;
    EXPECT_GE(read.at(0).at("hold_max_ns"), 2 * kLeastNs);
    EXPECT_LT(read.at(0).at("wait_max_ns"), kLeastNs);
    ASSERT_EQ(l.records.size(), 1u) << l.out;
    EXPECT_EQ(l.records[0].at("lock"), "rtnl_mutex");
    EXPECT_EQ(l.records[0].at("count"), kIoctls);
    EXPECT_GT(l.account.at("filtered"), 2u);
    if (!contention)
        return;
    const Result c = contention->wait();
    EXPECT_EQ(c.status, 0) << c.err;
    EXPECT_EQ(count(writes(c.records)), 1u) << c.out;
    EXPECT_GE(writes(c.records).at(0).at("wait_max_ns"), kLeastNs);
    EXPECT_TRUE(writes(c.records).at(0).at("hold_ns").is_null());
    EXPECT_EQ(count(reads(c.records)), 1u) << c.out; // it waited, if in vain
    EXPECT_GE(reads(c.records).at(0).at("wait_max_ns"), kLeastNs);
}

TEST(Klockstat, TextAndBadInput)
{
    Child child([] {
        name("locker");
        seek_and_write();
    });
    const std::string pid = to_string(child.pid());
    Tracer text({"klockstat", "-p", pid, "-S", "acq_count,hld_count", "-n", "1"}),
        threads({"klockstat", "-P", "-p", pid, "--where", "kind == \"rwsem-write\""}),
        caller({"klockstat", "--json", "-p", pid, "-c", "__fd"});
    child.go_wait();
    const Result t = text.wait(), p = threads.wait(), c = caller.wait();
    const auto out = lines(t.out);
    ASSERT_EQ(out.size(), 7u) << t.out;
    EXPECT_EQ(out[0], "Tracing mutex/sem lock events of PID [" + pid + "]... Hit Ctrl-C to end.");
    EXPECT_EQ(words(out[2]),
              (Strings{"Caller", "Kind", "Avg", "Wait", "Count", "Max", "Wait", "Total", "Wait"}));
    EXPECT_EQ(words(out[5])[2], "Avg");
    EXPECT_EQ(words(out[5])[3], "Hold");
    EXPECT_NE(p.out.find(" " + pid + " locker rwsem-write "), p.out.npos) << p.out;
    for (const Json& row : c.records)
        EXPECT_TRUE(row.at("caller").get<std::string>().starts_with("__fd")) << row;
    EXPECT_GE(c.account.at("filtered"), kWrites);
    const Result none = run({"klockstat", "-L", "no_such_lock"});
    EXPECT_EQ(none.status, 2) << none.err;
    EXPECT_NE(none.err.find("cannot find the lock no_such_lock"), none.err.npos) << none.err;
    for (const Strings& options :
         std::vector<Strings>{{"-S", "max"}, {"-P", "--by-lock"}, {"-P", "-s", "2"}, {"-n", "0"}}) {
        Strings argv{"klockstat"};
        argv.insert(argv.end(), options.begin(), options.end());
        const Result r = run(argv);
        EXPECT_EQ(r.status, 1) << options[0] << r.err;
        EXPECT_EQ(lines(r.err).size(), 1u) << r.err;
    }
}

} // namespace
