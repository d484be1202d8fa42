// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What is written to a terminal, byte for byte.
#include "harness.hpp"
#include <atomic>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <termios.h>
#include <thread>
#include <unistd.h>

namespace
{

using namespace corebox::test;

// A pseudo terminal whose master reads all that comes.
class Pty
{
public:
    explicit Pty(const std::string& devpts = "/dev/pts")
        : master_(::open((devpts + "/ptmx").c_str(), O_RDWR | O_NOCTTY))
    {
        int unlock = 0;
        if (master_ < 0 && devpts == "/dev/pts")
            master_ = ::open("/dev/ptmx", O_RDWR | O_NOCTTY);
        if (::ioctl(master_, TIOCSPTLCK, &unlock) != 0 || ::ioctl(master_, TIOCGPTN, &number) != 0)
            throw std::runtime_error("no pseudo terminal");
        path = devpts + "/" + std::to_string(number);
        slave = ::open(path.c_str(), O_RDWR | O_NOCTTY);
        termios raw{};
        ::tcgetattr(slave, &raw);
        raw.c_oflag &= ~unsigned(OPOST);
        ::tcsetattr(slave, TCSANOW, &raw);
        reader_ = std::thread([this] {
            char text[4096];
            while (!done_) {
                pollfd p{master_, POLLIN, 0};
                if (::poll(&p, 1, 20) > 0 && ::read(master_, text, sizeof text) < 0)
                    break;
            }
        });
    }
    ~Pty()
    {
        done_ = true;
        reader_.join();
        ::close(slave);
        ::close(master_);
    }
    int slave = -1;
    int number = -1;
    std::string path;

private:
    int master_;
    std::atomic<bool> done_ = false;
    std::thread reader_;
};

void put(int fd, std::string_view text)
{
    while (!text.empty()) {
        const ssize_t n = ::write(fd, text.data(), text.size());
        if (n <= 0)
            throw std::runtime_error("write");
        text.remove_prefix(std::size_t(n));
    }
}

std::string pattern(std::size_t size)
{
    std::string s(size, ' ');
    for (std::size_t i = 0; i < size; i++)
        s[i] = char('!' + i * 7 % 90);
    return s;
}

// Escapes as they are, bytes that are no text, NULs, one write of 100 000 bytes, writev; others'
// terminals are not shown. By number and by path.
void mirror(const Environment& env)
{
    const std::string big = pattern(100'003), nul = std::string("a\0b", 3);
    const std::string parts[] = {"\x1b[31mred\x1b[0m\r\n", "", "\xff\xfe", pattern(3001)};
    Pty pty, other;
    Child child([&] {
        put(pty.slave, nul);
        put(other.slave, "not this one");
        put(pty.slave, big);
        iovec v[4];
        for (std::size_t i = 0; i < 4; i++)
            v[i] = {const_cast<char*>(parts[i].data()), parts[i].size()};
        EXPECT_EQ(std::size_t(::writev(pty.slave, v, 4)),
                  parts[0].size() + parts[2].size() + parts[3].size());
    });
    const std::string all = nul + big + parts[0] + parts[2] + parts[3];
    Tracer by_number({"ttysnoop", std::to_string(pty.number)}, env);
    Tracer by_path({"ttysnoop", "-C", "-s", "100", pty.path}, env);
    child.go_wait();
    const Result a = by_number.stop(), b = by_path.stop();
    EXPECT_EQ(a.status, 0) << a.err;
    EXPECT_EQ(a.out.size(), all.size());
    EXPECT_TRUE(a.out == all);
    EXPECT_EQ(b.status, 0) << b.err;
    EXPECT_TRUE(b.out == all);
}

TEST(Ttysnoop, Mirror) { mirror({}); }
TEST(Ttysnoop, MirrorByKprobe) { mirror({{"COREBOX_PROBES", "kprobe"}}); }

TEST(Ttysnoop, WhoWroteWhat)
{
    Pty pty;
    Child child([&] {
        write_file("/proc/self/comm", "a\nwriter");
        put(pty.slave, "one\x1b[2J\n");
        put(pty.slave, "two\xff");
    });
    Child other([&] { put(pty.slave, "another's"); });
    const pid_t pid = child.pid();
    Tracer json({"ttysnoop", pty.path, "-p", std::to_string(child.pid()), "--json"});
    Tracer text({"ttysnoop", pty.path, "--escape", "--count", "3"});
    other.go_wait(); // first: with the process of -p its tool ends
    child.go_wait();
    const Result j = json.stop(), t = text.wait();
    expect_exact(j);
    EXPECT_EQ(t.status, 0);
    ASSERT_EQ(j.records.size(), 2u);
    EXPECT_EQ(j.account["filtered"], 1);
    EXPECT_EQ(j.records[0]["pid"], pid);
    EXPECT_EQ(j.records[0]["comm"], "a\nwriter");
    EXPECT_EQ(j.records[0]["bytes"], 8);
    EXPECT_EQ(j.records[0]["text"], "one\x1b[2J\n");
    EXPECT_EQ(j.records[1]["text_hex"], "74776fff");
    const auto rows = lines(t.out);
    ASSERT_EQ(rows.size(), 4u) << t.out;
    EXPECT_EQ(words(rows[0]), (std::vector<std::string>{"TIME", "PID", "COMM", "BYTES", "TEXT"}));
    EXPECT_TRUE(rows[2].ends_with(" a\\nwriter            8 one\\x1b[2J\\n")) << rows[2];
    EXPECT_TRUE(rows[3].ends_with(" 4 two\\xff")) << rows[3];
}

// The same number in another devpts is another terminal; a program that writes to it through
// /dev/tty writes to this one.
TEST(Ttysnoop, WhichTerminal)
{
    Pty pty;
    in_namespaces(0, [&] {
        TempDir dir("/tmp");
        ASSERT_EQ(::mount("devpts", dir.path().c_str(), "devpts", 0, "newinstance,ptmxmode=0666"),
                  0);
        std::vector<std::unique_ptr<Pty>> others;
        do
            others.push_back(std::make_unique<Pty>(dir.path()));
        while (others.back()->number < pty.number);
        ASSERT_EQ(others.back()->number, pty.number);
        Child child([&] {
            put(others.back()->slave, "elsewhere");
            ::setsid();
            EXPECT_EQ(::ioctl(pty.slave, TIOCSCTTY, 0), 0);
            const int tty = ::open("/dev/tty", O_WRONLY);
            put(tty, "through /dev/tty");
        });
        Tracer here({"ttysnoop", pty.path});
        Tracer there({"ttysnoop", others.back()->path});
        child.go_wait();
        EXPECT_EQ(here.stop().out, "through /dev/tty");
        EXPECT_EQ(there.stop().out, "elsewhere");
        others.clear();
        ::umount2(dir.path().c_str(), MNT_DETACH);
    });
}

TEST(Ttysnoop, LimitsAndBadInput)
{
    Pty pty;
    Child child([&] { put(pty.slave, std::string(1000, 'x')); });
    Tracer some({"ttysnoop", "-s", "100", "-c", "3", pty.path});
    child.go_wait();
    EXPECT_EQ(some.stop().out, std::string(300, 'x'));
    for (const std::vector<std::string>& bad :
         {std::vector<std::string>{"ttysnoop"}, {"ttysnoop", "-s", "1", pty.path}})
        EXPECT_EQ(run(bad).status, 1);
    for (const char* bad : {"/dev/null/x", "/etc/passwd", "/dev/tty", "99999"}) {
        const Result r = run({"ttysnoop", bad});
        EXPECT_EQ(r.status, 2) << bad;
        EXPECT_EQ(lines(r.err).size(), 1u) << r.err;
    }
}

TEST(Ttysnoop, Flood)
{
    Pty pty;
    const std::string line = pattern(79) + "\n";
    Child child([&] {
        for (int i = 0; i < 5000; i++)
            put(pty.slave, line);
    });
    Tracer tracer({"ttysnoop", "--json", pty.path});
    child.go_wait();
    const Result r = tracer.stop();
    EXPECT_EQ(r.records.size() + r.account["lost"].get<std::size_t>(), 5000u);
    for (const Json& row : r.records)
        ASSERT_EQ(row["text"], line);
}

} // namespace
