// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Waits for futexes: of known number, least length, lock, place and end.
#include "waits.hpp"
#include <atomic>
#include <cerrno>
#include <ctime>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>

namespace
{

using namespace corebox::test;
using std::to_string;
using Strings = std::vector<std::string>;

std::uint32_t timed_word, woken_word, changed_word, list_word, pi_word;
// As seen by the clock of the 5.10 guest, which ticks every 4 ms.
constexpr unsigned kWaitMs = 40, kLeastUs = (kWaitMs - 4) * 1000;

std::uint64_t number(const void* of) { return std::uint64_t(of); }
std::string address(const void* of)
{
    char text[32];
    std::snprintf(text, sizeof text, "%p", of);
    return text;
}

long futex(std::uint32_t* word, int op, std::uint32_t value, const timespec* timeout = nullptr,
           std::uint32_t bitset = 0)
{
    return ::syscall(SYS_futex, word, op, value, timeout, nullptr, bitset);
}

// Wakes the one that waits, as soon as it does.
void wake(std::uint32_t* word, int flag)
{
    ::usleep(kWaitMs * 1000);
    while (futex(word, FUTEX_WAKE | flag, 1) == 0)
        ::usleep(1000);
}

extern "C" FRAME void cbtest_timed_wait(std::uint32_t* word, unsigned times)
{
    KEEP_FRAME;
    const timespec timeout{0, kWaitMs * 1'000'000};
    for (unsigned i = 0; i < times; i++) {
        // The call itself here: libc's has no frame pointer.
        register const timespec* t asm("r10") = &timeout;
        long ret;
        asm volatile("syscall"
                     : "=a"(ret)
                     : "a"(SYS_futex), "D"(word), "S"(FUTEX_WAIT | FUTEX_PRIVATE_FLAG), "d"(0),
                       "r"(t)
                     : "rcx", "r11", "memory");
        EXPECT_EQ(ret, -ETIMEDOUT);
    }
}

bool has_waitv()
{
    return ::syscall(SYS_futex_waitv, nullptr, 0, 0, nullptr, 0) == -1 && errno != ENOSYS;
}

// 3 timeouts, 2 wake-ups of a shared futex, no wait where the value is another.
void wait_for_futexes()
{
    name("waiter");
    cbtest_timed_wait(&timed_word, 3);
    for (unsigned i = 0; i < 5; i++)
        EXPECT_EQ(futex(&changed_word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 1), -1);
    std::thread waker([] {
        name("waker");
        wake(&woken_word, 0);
        wake(&woken_word, 0);
    });
    EXPECT_EQ(futex(&woken_word, FUTEX_WAIT, 0), 0);
    EXPECT_EQ(futex(&woken_word, FUTEX_WAIT_BITSET, 0, nullptr, 1), 0);
    waker.join();
    // Its owner lives and holds it.
    Gate owned;
    std::thread owner([&] {
        EXPECT_EQ(futex(&pi_word, FUTEX_LOCK_PI | FUTEX_PRIVATE_FLAG, 0), 0);
        owned.open();
        ::usleep(2 * kWaitMs * 1000);
        EXPECT_EQ(futex(&pi_word, FUTEX_UNLOCK_PI | FUTEX_PRIVATE_FLAG, 0), 0);
    });
    owned.wait();
    EXPECT_EQ(futex(&pi_word, FUTEX_LOCK_PI | FUTEX_PRIVATE_FLAG, 0), 0);
    EXPECT_EQ(futex(&pi_word, FUTEX_UNLOCK_PI | FUTEX_PRIVATE_FLAG, 0), 0);
    owner.join();
    if (!has_waitv())
        return;
    struct {
        std::uint64_t value, address;
        std::uint32_t flags, reserved;
    } list[2] = {{0, std::uint64_t(&timed_word), 2 | FUTEX_PRIVATE_FLAG, 0},
                 {0, std::uint64_t(&list_word), 2 | FUTEX_PRIVATE_FLAG, 0}};
    std::thread lister([] { wake(&list_word, FUTEX_PRIVATE_FLAG); });
    EXPECT_EQ(::syscall(SYS_futex_waitv, list, 2, 0, nullptr, CLOCK_MONOTONIC), 1);
    lister.join();
}

std::uint64_t waits(const Records& records) { return sum(records, "count"); }

class FutexctnRung : public EachRung
{
};

TEST_P(FutexctnRung, WaitsByLockAndStack)
{
    const bool list = has_waitv();
    pid_t pid = 0;
    const Result r = watch("futexctn", {}, wait_for_futexes, {.env = env(), .pid = &pid});
    EXPECT_EQ(r.status, 0) << r.err;
    expect_exact(r);
    EXPECT_EQ(waits(r.records), r.account.at("printed"));
    const Records timed = with(with(r.records, "lock", number(&timed_word)), "op", "wait");
    ASSERT_EQ(timed.size(), 1u) << r.out;
    EXPECT_EQ(timed[0].at("count"), 3);
    EXPECT_EQ(timed[0].at("comm"), "waiter");
    EXPECT_EQ(timed[0].at("pid"), pid);
    EXPECT_EQ(timed[0].at("tid"), pid);
    EXPECT_EQ(timed[0].at("shared"), false);
    EXPECT_EQ(timed[0].at("user").at(0), "cbtest_timed_wait");
    EXPECT_GE(timed[0].at("min"), kLeastUs);
    EXPECT_GE(timed[0].at("sum"), 3 * kLeastUs);
    EXPECT_LE(timed[0].at("min"), timed[0].at("max"));
    const Records woken = with(r.records, "lock", number(&woken_word));
    EXPECT_EQ(waits(woken), 2u) << r.out;
    for (const Json& row : woken) {
        EXPECT_EQ(row.at("shared"), true) << row;
        EXPECT_EQ(row.at("op"), "wait") << row;
    }
    const Records pi = with(r.records, "lock", number(&pi_word));
    EXPECT_EQ(waits(with(pi, "tid", pid)), 1u) << r.out;
    for (const Json& row : pi)
        EXPECT_EQ(row.at("op"), "lock_pi") << row;
    EXPECT_GE(with(pi, "tid", pid).at(0).at("sum"), kLeastUs);
    const Records listed = with(r.records, "op", "waitv");
    ASSERT_EQ(listed.size(), list ? 1u : 0u) << r.out;
    if (list) {
        EXPECT_EQ(listed[0].at("lock"), number(&list_word));
        EXPECT_EQ(listed[0].at("count"), 1);
        EXPECT_EQ(listed[0].at("shared"), false);
    }
    EXPECT_TRUE(with(r.records, "lock", number(&changed_word)).empty()) << r.out;
}
INSTANTIATE_TEST_SUITE_P(Probes, FutexctnRung, testing::Values("", "tracepoint"), rung_name);

// One lock, --woken, times, --where; -s; BCC's text; what makes no sense.
TEST(Futexctn, FiltersTextAndBadInput)
{
    Child child(wait_for_futexes);
    const std::string pid = to_string(child.pid());
    Tracer lock({"futexctn", "--json", "-p", pid, "-l", address(&timed_word), "--max-wait-time",
                 "1000000", "--where", "end == \"timeout\" && !shared"}),
        woken({"futexctn", "--json", "-s", "-p", pid, "--woken", "--min-wait-time", "1000"}),
        text({"futexctn", "-m", "-T", "-p", pid, "-l", address(&timed_word)}),
        small({"futexctn", "-p", pid, "--hash-storage-size", "1"});
    child.go_wait();
    const Result l = lock.wait(), w = woken.wait(), t = text.wait(), s = small.wait();
    for (const Result* r : {&l, &w, &t})
        EXPECT_EQ(r->status, 0) << r->err;
    EXPECT_EQ(waits(l.records), 3u) << l.out;
    EXPECT_EQ(l.records.size(), 1u) << l.out;
    EXPECT_EQ(l.account.at("lost"), 0);
    EXPECT_GE(l.account.at("filtered"), 3u);
    EXPECT_TRUE(with(w.records, "lock", number(&timed_word)).empty()) << w.out;
    const Records shared = with(w.records, "lock", number(&woken_word));
    ASSERT_EQ(shared.size(), 1u) << w.out;
    EXPECT_EQ(shared[0].at("count"), 2);
    EXPECT_EQ(shared[0].at("comm"), "waiter");
    EXPECT_TRUE(shared[0].at("tid").is_null() && shared[0].at("user").is_null()) << shared[0];
    EXPECT_EQ(lines(t.out).at(0), "Tracing waits for futexes of PID [" + pid +
                                      "] by thread, lock and user stack... Hit Ctrl-C to end.");
    const std::string head =
        "\nwaiter[" + pid + "] lock " + address(&timed_word) + " contended 3 times, ";
    const auto at = t.out.find(head);
    ASSERT_NE(at, t.out.npos) << t.out;
    EXPECT_NE(t.out.find(" msecs avg [max: ", at), t.out.npos) << t.out;
    EXPECT_NE(t.out.find("]\n    -\n    cbtest_timed_wait\n", at), t.out.npos) << t.out;
    EXPECT_NE(t.out.find("\n    -\n     msecs  ", at), t.out.npos) << t.out;
    EXPECT_EQ(s.status, 3) << s.err; // there were more locks than room for their histograms
    for (const Strings& options :
         std::vector<Strings>{{"-l", "lock"},
                              {"-l", "0"},
                              {"--min-wait-time", "9", "--max-wait-time", "8"},
                              {"--stack-storage-size", "0"}}) {
        Strings argv{"futexctn"};
        argv.insert(argv.end(), options.begin(), options.end());
        const Result r = run(argv);
        EXPECT_EQ(r.status, 1) << options[0] << r.err;
        EXPECT_EQ(lines(r.err).size(), 1u) << r.err;
    }
}

// Many waits of two threads: each is counted.
TEST(Futexctn, Flood)
{
    constexpr unsigned kWaits = 2000;
    const Result r = watch("futexctn", {"-s"}, [] {
        const timespec soon{0, 1000};
        std::thread other([&] {
            for (unsigned i = 0; i < kWaits; i++)
                futex(&timed_word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0, &soon);
        });
        for (unsigned i = 0; i < kWaits; i++)
            futex(&timed_word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0, &soon);
        other.join();
    });
    expect_exact_flood(r, waits(with(r.records, "lock", number(&timed_word))), 2 * kWaits);
}

} // namespace
