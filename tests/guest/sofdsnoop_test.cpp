// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// File descriptors passed over UNIX sockets: each that is sent, each that is received, by name.
#include "harness.hpp"
#include <algorithm>
#include <csignal>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

namespace
{

using namespace corebox::test;

constexpr std::size_t kMostFds = 253; // SCM_MAX_FD

std::string link_of(int fd)
{
    char name[4096];
    const ssize_t n =
        ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), name, sizeof name);
    return n < 0 ? "" : std::string(name, std::size_t(n));
}

struct Pair {
    explicit Pair(int type = SOCK_STREAM) { ::socketpair(AF_UNIX, type, 0, fd); }
    ~Pair()
    {
        ::close(fd[0]);
        ::close(fd[1]);
    }
    int fd[2];
};

using Groups = std::vector<std::vector<int>>;

// A message of one byte with control messages; `groups` are the descriptors of each.
struct Message {
    explicit Message(const Groups& groups)
    {
        for (const auto& fds : groups)
            control.resize(control.size() + CMSG_SPACE(fds.size() * sizeof(int)));
        header.msg_iov = &iov;
        header.msg_iovlen = 1;
        header.msg_control = control.data();
        header.msg_controllen = control.size();
        cmsghdr* c = CMSG_FIRSTHDR(&header);
        for (const auto& fds : groups) {
            c->cmsg_level = SOL_SOCKET;
            c->cmsg_type = SCM_RIGHTS;
            c->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
            std::memcpy(CMSG_DATA(c), fds.data(), fds.size() * sizeof(int));
            c = CMSG_NXTHDR(&header, c);
        }
    }
    // Room for `n` descriptors.
    explicit Message(std::size_t n) : Message(Groups(1, std::vector<int>(n, -1))) {}

    std::vector<int> fds()
    {
        std::vector<int> all;
        for (cmsghdr* c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c)) {
            const std::size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            const std::size_t at = all.size();
            all.resize(at + n);
            std::memcpy(all.data() + at, CMSG_DATA(c), n * sizeof(int));
        }
        return all;
    }

    char byte = 'x';
    iovec iov{&byte, 1};
    std::vector<char> control;
    msghdr header{};
};

// One request of an io_uring, waited for.
int by_uring(int opcode, int fd, msghdr* message)
{
    io_uring_params params{};
    const int ring = int(::syscall(SYS_io_uring_setup, 4, &params));
    if (ring < 0)
        return -errno;
    const auto map = [&](std::size_t size, off_t at) {
        return static_cast<char*>(
            ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, at));
    };
    char* sq = map(params.sq_off.array + params.sq_entries * 4, IORING_OFF_SQ_RING);
    char* cq =
        map(params.cq_off.cqes + params.cq_entries * sizeof(io_uring_cqe), IORING_OFF_CQ_RING);
    auto* e = reinterpret_cast<io_uring_sqe*>(
        map(params.sq_entries * sizeof(io_uring_sqe), IORING_OFF_SQES));
    e->opcode = __u8(opcode);
    e->fd = fd;
    e->addr = reinterpret_cast<std::uint64_t>(message);
    e->len = 1;
    reinterpret_cast<unsigned*>(sq + params.sq_off.array)[0] = 0;
    __atomic_store_n(reinterpret_cast<unsigned*>(sq + params.sq_off.tail), 1, __ATOMIC_RELEASE);
    ::syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, nullptr, 0);
    const int result = reinterpret_cast<io_uring_cqe*>(cq + params.cq_off.cqes)->res;
    ::close(ring);
    return result;
}

std::vector<int> int_column(const Records& records, const char* key)
{
    std::vector<int> values;
    for (const Json& r : records)
        values.push_back(r[key].is_null() ? -1 : r[key].get<int>());
    return values;
}

std::vector<std::string> names(const Records& records)
{
    std::vector<std::string> values;
    for (const Json& r : records)
        values.push_back(r["name"].is_null() ? "?" : r["name"].get<std::string>());
    return values;
}

// Files of all sorts, and what /proc calls them.
struct Files {
    Files()
    {
        std::string deep = dir.path();
        for (int i = 0; i < 40; i++) {
            deep += "/a-directory-with-a-rather-long-name";
            ::mkdir(deep.c_str(), 0755);
        }
        // Longer than what one system call takes in one piece is not needed: 40 components do.
        fds.push_back(::open((deep + "/file").c_str(), O_CREAT | O_RDWR, 0644));
        fds.push_back(::open((dir / "a\nb\x1b[31m").c_str(), O_CREAT | O_RDWR, 0644));
        fds.push_back(::open((dir / "gone").c_str(), O_CREAT | O_RDWR, 0644));
        ::unlink((dir / "gone").c_str());
        int ends[2];
        if (::pipe(ends) == 0)
            fds.insert(fds.end(), ends, ends + 2);
        fds.push_back(::socket(AF_INET, SOCK_DGRAM, 0));
        fds.push_back(::eventfd(0, 0));
        fds.push_back(int(::syscall(SYS_memfd_create, "a memory", 0)));
        fds.push_back(::open("/dev/null", O_RDWR));
        fds.push_back(::open("/proc/self/ns/mnt", O_RDONLY));
        fds.push_back(int(::syscall(SYS_pidfd_open, ::getpid(), 0)));
        for (const int fd : fds)
            links.push_back(link_of(fd));
    }
    TempDir dir;
    std::vector<int> fds;
    std::vector<std::string> links;
};

TEST(Sofdsnoop, EveryKindOfFileBothWays)
{
    Files files;
    Pair pair;
    const std::string sender = link_of(pair.fd[0]), receiver = link_of(pair.fd[1]);
    std::vector<int> got;
    Child child([&] {
        Message out(Groups{files.fds});
        EXPECT_EQ(::sendmsg(pair.fd[0], &out.header, 0), 1);
        Message in(kMostFds);
        EXPECT_EQ(::recvmsg(pair.fd[1], &in.header, 0), 1);
        EXPECT_EQ(in.fds().size(), files.fds.size());
        write_file(files.dir / "got", std::string(reinterpret_cast<const char*>(in.fds().data()),
                                                  in.fds().size() * sizeof(int)));
    });
    // Another's, that -p leaves out.
    Child other([&] {
        Pair own;
        Message out(Groups{{0, 1, 2}});
        EXPECT_EQ(::sendmsg(own.fd[0], &out.header, 0), 1);
    });
    const pid_t pid = child.pid();
    Tracer tracer({"sofdsnoop", "-p", std::to_string(pid), "--json"});
    other.go_wait();
    child.go_wait();
    const Result r = tracer.stop();
    expect_exact(r);
    EXPECT_GE(r.account["filtered"], 3);

    const Records sent = with(r.records, "action", "SEND"),
                  received = with(r.records, "action", "RECV");
    EXPECT_EQ(int_column(sent, "fd"), files.fds);
    EXPECT_EQ(names(sent), files.links);
    EXPECT_EQ(names(received), files.links);
    const std::string bytes = read_file(files.dir / "got");
    std::vector<int> fds(bytes.size() / sizeof(int));
    std::memcpy(fds.data(), bytes.data(), bytes.size());
    EXPECT_EQ(int_column(received, "fd"), fds);
    ASSERT_EQ(r.records.size(), 2 * files.fds.size());
    for (const Json& row : r.records) {
        EXPECT_EQ(row["pid"], pid);
        EXPECT_EQ(row["tid"], pid);
        EXPECT_EQ(row["err"], 0);
        const bool send = row["action"] == "SEND";
        EXPECT_EQ(row["socket_fd"], pair.fd[send ? 0 : 1]);
        EXPECT_EQ(row["socket"],
                  std::to_string(pair.fd[send ? 0 : 1]) + ":" + (send ? sender : receiver));
    }
    for (std::size_t i = 0; i < sent.size(); i++)
        EXPECT_EQ(sent[i]["inode"], [&] {
            struct stat st {
            };
            ::fstat(files.fds[i], &st);
            return st.st_ino;
        }());
}

// All ways of sending and receiving; 253 descriptors; several control messages; -t.
TEST(Sofdsnoop, EveryCall)
{
    Pair stream, datagram(SOCK_DGRAM), packet(SOCK_SEQPACKET);
    const int one = ::open("/etc/passwd", O_RDONLY), two = ::open("/dev/zero", O_RDONLY);
    Child child([&] {
        for (Pair* p : {&stream, &datagram, &packet}) {
            mmsghdr out[2]{}, in[2]{};
            Message m0(Groups{{one}}), m1(Groups{{one, two}, {two}}), r0(8), r1(8);
            out[0].msg_hdr = m0.header;
            out[1].msg_hdr = m1.header;
            in[0].msg_hdr = r0.header;
            in[1].msg_hdr = r1.header;
            EXPECT_EQ(::sendmmsg(p->fd[0], out, 2, 0), 2);
            EXPECT_EQ(::recvmmsg(p->fd[1], in, 2, 0, nullptr), 2);
        }
        Message most(Groups{std::vector<int>(kMostFds, two)}), room(kMostFds);
        EXPECT_EQ(::sendmsg(stream.fd[0], &most.header, 0), 1);
        EXPECT_EQ(::recvmsg(stream.fd[1], &room.header, 0), 1);
        EXPECT_EQ(room.fds().size(), kMostFds);
        Message ring(Groups{{one, two}}), ring_room(8);
        EXPECT_EQ(by_uring(IORING_OP_SENDMSG, stream.fd[0], &ring.header), 1);
        EXPECT_EQ(by_uring(IORING_OP_RECVMSG, stream.fd[1], &ring_room.header), 1);
    });
    Tracer tracer({"sofdsnoop", "-t", std::to_string(child.pid()), "--json"});
    child.go_wait();
    const Result r = tracer.stop();
    expect_exact(r);
    const std::size_t in_all = 3 * 4 + kMostFds + 2;
    for (const char* action : {"SEND", "RECV"}) {
        const Records rows = with(r.records, "action", action);
        EXPECT_EQ(rows.size(), in_all) << action;
        const int end = action[0] == 'S' ? 0 : 1;
        EXPECT_EQ(with(rows, "socket_fd", datagram.fd[end]).size(), 4u);
        EXPECT_EQ(with(rows, "socket_fd", packet.fd[end]).size(), 4u);
        EXPECT_EQ(with(rows, "socket_fd", stream.fd[end]).size(), 4u + kMostFds + 2);
        EXPECT_EQ(with(rows, "name", "/etc/passwd").size(), 3 * 2 + 1u);
        EXPECT_EQ(with(rows, "name", "/dev/zero").size(), 3 * 2 + kMostFds + 1u);
        EXPECT_EQ(with(rows, "err", 0).size(), in_all);
    }
    ::close(one);
    ::close(two);
}

TEST(Sofdsnoop, WhatFails)
{
    Child child([&] {
        ::signal(SIGPIPE, SIG_IGN);
        Pair pair;
        const int file = ::open("/etc/passwd", O_RDONLY);
        Message bad(Groups{{file, 777}});
        EXPECT_EQ(::sendmsg(pair.fd[0], &bad.header, 0), -1);
        EXPECT_EQ(errno, EBADF);
        Message good(Groups{{file}}), room(4);
        EXPECT_EQ(::sendmsg(pair.fd[0], &good.header, 0), 1);
        EXPECT_EQ(::recvmsg(pair.fd[1], &room.header, MSG_PEEK), 1); // a peek makes one too
        EXPECT_EQ(room.fds().size(), 1u);
        const int next = ::dup(0);
        const rlimit few{rlim_t(next), rlim_t(next)};
        ::close(next);
        EXPECT_EQ(::dup(0), next);
        EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
        ::fcntl(next, F_SETFD, 0);
        Message last(4);
        const int keep = next - 1;
        EXPECT_EQ(::recvmsg(pair.fd[1], &last.header, 0), 1);
        EXPECT_TRUE(last.header.msg_flags & MSG_CTRUNC) << keep;
        ::close(pair.fd[1]);
        Message late(Groups{{file}});
        EXPECT_EQ(::sendmsg(pair.fd[0], &late.header, 0), -1);
        EXPECT_EQ(errno, EPIPE);
    });
    Tracer tracer({"sofdsnoop", "-p", std::to_string(child.pid()), "--json"});
    child.go_wait();
    const Result r = tracer.stop();
    expect_exact(r);
    ASSERT_EQ(r.records.size(), 6u) << r.out;
    EXPECT_EQ(int_column(r.records, "err"), (std::vector<int>{EBADF, EBADF, 0, 0, EMFILE, EPIPE}));
    EXPECT_EQ(names(r.records),
              (std::vector<std::string>{"/etc/passwd", "?", "/etc/passwd", "/etc/passwd",
                                        "/etc/passwd", "/etc/passwd"}));
    EXPECT_EQ(r.records[1]["fd"], 777);
    EXPECT_EQ(r.records[1]["error"], "EBADF");
    EXPECT_EQ(r.records[4]["action"], "RECV");
    EXPECT_EQ(r.records[4]["fd"], -1);
}

// Text and its options; control messages that carry no descriptors are nobody's business.
TEST(Sofdsnoop, Text)
{
    Pair pair;
    Child child([&] {
        write_file("/proc/self/comm", "fd passer");
        Message out(Groups{{0, 1}}), in(4);
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(ucred))] = {};
        msghdr with_credentials = out.header;
        with_credentials.msg_control = control;
        with_credentials.msg_controllen = sizeof control;
        auto* c = reinterpret_cast<cmsghdr*>(control);
        *c = {CMSG_LEN(sizeof(ucred)), SOL_SOCKET, SCM_CREDENTIALS};
        const ucred self{::getpid(), ::getuid(), ::getgid()};
        std::memcpy(CMSG_DATA(c), &self, sizeof self);
        EXPECT_EQ(::sendmsg(pair.fd[0], &with_credentials, 0), 1);
        char byte;
        EXPECT_EQ(::read(pair.fd[1], &byte, 1), 1);
        EXPECT_EQ(::sendmsg(pair.fd[0], &out.header, 0), 1);
        EXPECT_EQ(::recvmsg(pair.fd[1], &in.header, 0), 1);
    });
    const pid_t pid = child.pid();
    Tracer tracer({"sofdsnoop", "-T", "-n", "d pass", "--count", "4"});
    child.go_wait();
    const Result r = tracer.wait();
    const auto rows = lines(r.out);
    ASSERT_EQ(rows.size(), 5u) << r.out;
    EXPECT_EQ(words(rows[0]), (std::vector<std::string>{"TIME(s)", "ACTION", "TID", "COMM",
                                                        "SOCKET", "FD", "NAME", "ERR"}));
    EXPECT_EQ(words(rows[1])[0], "0.000000000");
    EXPECT_EQ(words(rows[1])[1], "SEND");
    EXPECT_EQ(words(rows[1])[2], std::to_string(pid));
    EXPECT_NE(rows[1].find(std::to_string(pair.fd[0]) + ":" + link_of(pair.fd[0])),
              std::string::npos);
    EXPECT_EQ(words(rows[4])[1], "RECV");

    Child quiet([&] {
        Message out(Groups{{0, 1}});
        EXPECT_EQ(::sendmsg(pair.fd[0], &out.header, 0), 1);
    });
    Tracer named({"sofdsnoop", "-n", "no such name", "--json"});
    quiet.go_wait();
    const Result none = named.stop();
    EXPECT_TRUE(none.records.empty());
    EXPECT_EQ(none.account["filtered"], 2);

    for (const std::vector<std::string>& bad : {std::vector<std::string>{"sofdsnoop", "-d", "0"},
                                                {"sofdsnoop", "x"},
                                                {"sofdsnoop", "-p"}})
        EXPECT_EQ(run(bad).status, 1);
}

TEST(Sofdsnoop, Kprobes)
{
    Files files;
    Pair pair;
    Child child([&] {
        Message out(Groups{files.fds}), in(kMostFds);
        EXPECT_EQ(::sendmsg(pair.fd[0], &out.header, 0), 1);
        EXPECT_EQ(::recvmsg(pair.fd[1], &in.header, 0), 1);
        EXPECT_EQ(in.fds().size(), files.fds.size());
        Message bad(Groups{{777}});
        EXPECT_EQ(::sendmsg(pair.fd[0], &bad.header, 0), -1);
        Message ring(Groups{{0}}), room(8);
        EXPECT_EQ(by_uring(IORING_OP_SENDMSG, pair.fd[0], &ring.header), 1);
        EXPECT_EQ(by_uring(IORING_OP_RECVMSG, pair.fd[1], &room.header), 1);
    });
    Tracer tracer({"sofdsnoop", "-p", std::to_string(child.pid()), "--json"},
                  {{"COREBOX_PROBES", "kprobe"}});
    child.go_wait();
    const Result r = tracer.stop();
    expect_exact(r);
    std::vector<std::string> all = files.links;
    all.insert(all.end(), files.links.begin(), files.links.end());
    all.insert(all.end(), {"?", link_of(0), link_of(0)});
    EXPECT_EQ(names(r.records), all);
    for (const Json& row : r.records)
        EXPECT_EQ(row["socket_fd"], pair.fd[row["action"] == "SEND" ? 0 : 1]) << row;
}

TEST(Sofdsnoop, Flood)
{
    constexpr int kRounds = 500;
    Pair pair;
    Child child([&] {
        Message out(Groups{std::vector<int>(7, 0)});
        for (int i = 0; i < kRounds; i++) {
            Message in(8);
            if (::sendmsg(pair.fd[0], &out.header, 0) != 1 ||
                ::recvmsg(pair.fd[1], &in.header, 0) != 1)
                throw std::runtime_error("pass");
            for (const int fd : in.fds())
                ::close(fd);
        }
    });
    Tracer tracer({"sofdsnoop", "-p", std::to_string(child.pid()), "--json"});
    child.go_wait();
    const Result r = tracer.stop();
    EXPECT_EQ(r.records.size() + r.account["lost"].get<std::size_t>(), 2u * 7 * kRounds);
    EXPECT_EQ(r.status, r.account["lost"] == 0 ? 0 : 3);
}

// The kernel has places for so many calls whose return a kretprobe waits for: on 5.10 with one CPU
// it is one, and a sender that waits for room takes it.
TEST(Sofdsnoop, FloodOfMissedReturns)
{
    constexpr int kRounds = 300, kFds = 7;
    Pair pair, full;
    const Gate blocked, done;
    Child waits([&] {
        const std::string much(1 << 20, 'x');
        blocked.open();
        ::send(full.fd[0], much.data(), much.size(), 0);
    });
    Child reads([&] {
        done.wait();
        char bytes[65536];
        for (std::size_t n = 0; n < 1 << 20;)
            n += std::size_t(std::max<ssize_t>(::read(full.fd[1], bytes, sizeof bytes), 0));
    });
    Child child([&] {
        Message out(Groups{std::vector<int>(kFds, 0)});
        for (int i = 0; i < kRounds; i++) {
            Message in(8);
            EXPECT_EQ(::sendmsg(pair.fd[0], &out.header, 0), 1);
            EXPECT_EQ(::recvmsg(pair.fd[1], &in.header, 0), 1);
            for (const int fd : in.fds())
                ::close(fd);
        }
    });
    Tracer tracer({"sofdsnoop", "--json", "-p", std::to_string(child.pid())},
                  {{"COREBOX_PROBES", "kprobe"}});
    reads.go();
    waits.go();
    blocked.wait();
    wait_until([&] { // sleeps
        const std::string stat = read_file("/proc/" + std::to_string(waits.pid()) + "/stat");
        return stat[stat.rfind(')') + 2] == 'S';
    });
    child.go_wait();
    const Result r = tracer.wait();
    done.open();
    EXPECT_EQ(reads.wait(), 0);
    EXPECT_EQ(waits.wait(), 0);
    const auto missed = r.account.at("lost_return").get<std::size_t>();
    EXPECT_EQ(r.account.at("lost"), missed) << r.account;
    EXPECT_EQ(with(r.records, "action", "SEND").size() + missed, std::size_t(kFds * kRounds))
        << r.account;
    EXPECT_EQ(with(r.records, "action", "RECV").size(), std::size_t(kFds * kRounds)) << r.account;
    EXPECT_EQ(r.status, missed ? 3 : 0) << r.err;
    if (one_return_at_a_time())
        EXPECT_EQ(missed, std::size_t(kFds * kRounds));
}

} // namespace
