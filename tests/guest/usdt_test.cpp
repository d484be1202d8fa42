// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Arguments of USDT probes as a tool reads them (bpf/usdt.bpf.h), and the semaphores of such
// probes.
#include "harness.hpp"
#include "usdt.hpp"
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __x86_64__

USDT_SEMAPHORE(cbtest_operands_semaphore);

namespace
{

using namespace corebox::test;

constexpr int kTimes = 50;
constexpr long kBits = long(0x8899aabbccddeefb);
long table[8] = {11, -12, 13, -14, 15, -16, 17, -18};
volatile int number = -4711;

// Every form of an operand, and each size; the same probe in two places.
[[gnu::noinline, gnu::noipa]] void reach_operands(long bits, long* base, long index)
{
    USDT_PROBE_WITH("cbtest", "operands", "cbtest_operands_semaphore",
                    "-4@$-7 8@%0 -1@%b0 1@%b0 -2@%w0 2@%w0 -4@%k0 4@%k0 "
                    "8@8(%1) 8@16(%1,%2,8) -4@%3 1@%h0",
                    "a"(bits), "r"(base), "r"(index), "m"(number));
}
[[gnu::noinline, gnu::noipa]] void reach_second_place(long value)
{
    USDT_PROBE_WITH("cbtest", "operands", "cbtest_operands_semaphore", "8@%0 8@(%1) 4@%%xmm0",
                    "r"(value), "r"(0L));
}
constexpr const char* kFirst =
    "-7 -8603657889541918981 -5 251 -4357 61179 -857870597 3437096699 -12 -16 -4711 238";
constexpr const char* kSecond = "23 0 0 0 0 0 0 0 0 0 0 0";

// What the test executes: this very program, which then is not a test. For each byte that it reads
// it reaches its probes, if somebody listens, and answers with how many do.
[[maybe_unused]] const bool kServes = [] {
    if (const char* fds = ::getenv("USDT_GATE")) {
        int here = 0, there = 0;
        char byte = 0;
        if (std::sscanf(fds, "%d %d", &here, &there) != 2)
            ::_exit(1);
        while (::read(there, &byte, 1) == 1 && number != 0) { // or the linker leaves it out
            for (int i = 0; i < kTimes && cbtest_operands_semaphore; i++) {
                reach_operands(kBits, table, 3);
                reach_second_place(23);
            }
            byte = char('0' + cbtest_operands_semaphore);
            if (::write(here, &byte, 1) != 1)
                ::_exit(1);
        }
        ::_exit(0);
    }
    return false;
}();

class Program
{
public:
    explicit Program(const std::string& path)
    {
        write_file(path, read_file("/proc/self/exe"));
        EXPECT_EQ(::chmod(path.c_str(), 0755), 0);
        EXPECT_EQ(::pipe(here_), 0);
        EXPECT_EQ(::pipe(there_), 0);
        pid_ = ::fork();
        if (pid_ == 0) {
            ::close(there_[1]);
            const std::string fds = std::to_string(here_[1]) + " " + std::to_string(there_[0]);
            ::setenv("USDT_GATE", fds.c_str(), 1);
            ::execl(path.c_str(), "app", nullptr);
            ::_exit(127);
        }
    }
    ~Program()
    {
        for (const int fd : {here_[0], here_[1], there_[0], there_[1]})
            ::close(fd);
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    // How many probes are listened to once it was there.
    char reach() const
    {
        char byte = 'x';
        EXPECT_EQ(::write(there_[1], &byte, 1), 1);
        EXPECT_EQ(::read(here_[0], &byte, 1), 1);
        return byte;
    }

private:
    pid_t pid_ = 0;
    int here_[2]{}, there_[2]{};
};

// In a program that starts after the tool; and of a tool that is killed nothing stays behind.
TEST(Usdt, ArgumentsAndSemaphores)
{
    for (const std::string rung : {"uprobe.multi", "uprobe"}) {
        if (rung == "uprobe.multi" && !has_multi())
            continue;
        SCOPED_TRACE(rung);
        const TempDir dir;
        Tracer tracer({"/t/guest_tests", "usdtargs", "--json", "--explain"}, forced(rung));
        const Program program(dir / "cbusdt-app");
        EXPECT_TRUE(wait_until([&] {
            return tracer.err().find("cbusdt-app (2 places)") != std::string::npos;
        })) << tracer.err();
        EXPECT_EQ(program.reach(), '2'); // one for each place
        const Result result = tracer.stop();
        expect_exact(result);
        EXPECT_EQ(result.records.size(), 2u * kTimes);
        EXPECT_EQ(with(result.records, "values", kFirst).size(), unsigned(kTimes)) << result.out;
        EXPECT_EQ(with(result.records, "values", kSecond).size(), unsigned(kTimes)) << result.out;
        EXPECT_EQ(with(result.records, "readable", 0xfff).size(), unsigned(kTimes));
        EXPECT_EQ(with(result.records, "readable", 0x1).size(), unsigned(kTimes))
            << "no memory at 0, and no floating-point register";
        EXPECT_EQ(program.reach(), '0');

        Tracer killed({"/t/guest_tests", "usdtargs", "--json"}, forced(rung));
        EXPECT_EQ(program.reach(), '2'); // one for each place
        killed.kill(SIGKILL);
        EXPECT_TRUE(wait_until([&] { return program.reach() == '0'; }));
    }
}

} // namespace

#endif
