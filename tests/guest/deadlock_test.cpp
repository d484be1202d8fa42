// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Locks taken in known orders, one thread after the other: nothing ever blocks.
#include "waits.hpp"
#include <condition_variable>
#include <mutex>
#include <pthread.h>
#include <shared_mutex>
#include <thread>
#include <unistd.h>

namespace
{

using namespace corebox::test;
using std::to_string;
using Strings = std::vector<std::string>;

pthread_mutex_t first = PTHREAD_MUTEX_INITIALIZER, second = PTHREAD_MUTEX_INITIALIZER,
                third = PTHREAD_MUTEX_INITIALIZER;
std::mutex standard;
std::recursive_mutex recursive;
std::shared_mutex shared;

extern "C" {
FRAME void cbtest_lock(pthread_mutex_t* mutex)
{
    KEEP_FRAME;
    pthread_mutex_lock(mutex);
}
FRAME void cbtest_both(pthread_mutex_t* a, pthread_mutex_t* b)
{
    KEEP_FRAME;
    cbtest_lock(a);
    cbtest_lock(b);
    pthread_mutex_unlock(b);
    pthread_mutex_unlock(a);
}
}

void in_thread(const char* comm, const std::function<void()>& work)
{
    std::thread([&] {
        name(comm);
        work();
    }).join();
}

// Two cycles: of two mutexes, one of which a thread takes twice in each order; of a std::mutex and
// a read-write lock that one side only reads.
void take_in_both_orders()
{
    for (int i = 0; i < 2; i++)
        in_thread("ab", [] { cbtest_both(&first, &second); });
    in_thread("ba", [] { cbtest_both(&second, &first); });
    in_thread("std", [] {
        const std::lock_guard outer(standard);
        const std::lock_guard inner(shared);
    });
    in_thread("reader", [] {
        const std::shared_lock outer(shared);
        const std::lock_guard inner(standard);
    });
}

// None of it can block.
void take_in_order()
{
    for (int i = 0; i < 3; i++)
        in_thread("order", [] { cbtest_both(&first, &second); });
    // Once more, by one thread alone, in both orders.
    in_thread("alone", [] {
        cbtest_both(&second, &third);
        cbtest_both(&third, &second);
    });
    // A lock that is taken again is the same; a try waits for nothing.
    in_thread("again", [] {
        const std::lock_guard a(recursive), b(recursive);
        cbtest_lock(&first);
        const std::lock_guard c(recursive);
        pthread_mutex_unlock(&first);
    });
    in_thread("try", [] {
        cbtest_lock(&second);
        EXPECT_EQ(pthread_mutex_trylock(&first), 0);
        pthread_mutex_unlock(&first);
        pthread_mutex_unlock(&second);
    });
    // Both sides only read.
    std::shared_mutex other;
    in_thread("read", [&] { const std::shared_lock a(shared), b(other); });
    in_thread("read", [&] { const std::shared_lock a(other), b(shared); });
    // The mutex that was here is gone.
    pthread_mutex_t place;
    pthread_mutex_init(&place, nullptr);
    in_thread("before", [&] { cbtest_both(&first, &place); });
    pthread_mutex_destroy(&place);
    pthread_mutex_init(&place, nullptr);
    in_thread("after", [&] { cbtest_both(&place, &first); });
    pthread_mutex_destroy(&place);
    // A wait that took its mutex before the other: that is one order; it takes it again after it.
    std::condition_variable condition;
    std::mutex mutex;
    in_thread("waits", [&] {
        std::unique_lock lock(mutex);
        condition.wait_for(lock, std::chrono::milliseconds(1));
    });
}

std::uint64_t number(const void* of) { return std::uint64_t(of); }

class DeadlockRung : public EachRung
{
};

TEST_P(DeadlockRung, CyclesOfAProgramThatRuns)
{
    TempDir dir;
    const std::string graph = dir / "graph.json", dot = dir / "graph.dot";
    pid_t pid = 0;
    const Result r = watch("deadlock", {"--dump-graph", graph, "--dot", dot}, take_in_both_orders,
                           {.env = env(), .pid = &pid});
    EXPECT_EQ(r.status, 0) << r.err;
    expect_exact(r);
    ASSERT_EQ(r.records.size(), 4u) << r.out << r.err;
    const Records ab = with(r.records, "comm", "ab"), ba = with(r.records, "comm", "ba");
    ASSERT_EQ(ab.size(), 1u) << r.out;
    ASSERT_EQ(ba.size(), 1u) << r.out;
    EXPECT_EQ(ab[0].at("cycle"), ba[0].at("cycle"));
    EXPECT_EQ(ab[0].at("held"), number(&first));
    EXPECT_EQ(ab[0].at("wanted"), number(&second));
    EXPECT_EQ(ba[0].at("held"), number(&second));
    EXPECT_EQ(ba[0].at("wanted"), number(&first));
    EXPECT_EQ(ab[0].at("count"), 2);
    EXPECT_EQ(ba[0].at("count"), 1);
    EXPECT_EQ(ab[0].at("pid"), pid);
    EXPECT_EQ(ab[0].at("creator_tid"), pid);
    for (const char* stack : {"held_user", "wanted_user"}) {
        EXPECT_EQ(ab[0].at(stack)[1], "cbtest_lock") << ab[0];
        EXPECT_TRUE(has_frame(ab[0].at(stack), "cbtest_both")) << ab[0];
        EXPECT_TRUE(has_frame(ba[0].at(stack), "cbtest_both")) << ba[0];
    }
    const Records std_first = with(r.records, "comm", "std"),
                  reader = with(r.records, "comm", "reader");
    ASSERT_EQ(std_first.size(), 1u) << r.out;
    ASSERT_EQ(reader.size(), 1u) << r.out;
    EXPECT_EQ(std_first[0].at("held"), number(standard.native_handle()));
    EXPECT_EQ(std_first[0].at("wanted"), number(&shared));
    EXPECT_EQ(std_first[0].at("wanted_mode"), "exclusive");
    EXPECT_EQ(reader[0].at("held_mode"), "shared");
    EXPECT_NE(std_first[0].at("cycle"), ab[0].at("cycle"));
    const Json written = Json::parse(read_file(graph));
    EXPECT_EQ(written.at("nodes").size(), 4u) << written;
    EXPECT_EQ(written.at("links").size(), 4u) << written;
    EXPECT_TRUE(read_file(dot).starts_with("digraph locks {\n")) << read_file(dot);
}
INSTANTIATE_TEST_SUITE_P(Probes, DeadlockRung, testing::Values("", "uprobe"), rung_name);

TEST(Deadlock, OrdersThatCannotBlock)
{
    const Result r = watch("deadlock", {}, take_in_order);
    EXPECT_EQ(r.status, 0) << r.err;
    expect_exact(r);
    EXPECT_TRUE(r.records.empty()) << r.out;
}

TEST(Deadlock, TextFullMapsAndBadInput)
{
    Child child(take_in_both_orders);
    const std::string pid = to_string(child.pid());
    Tracer text({"deadlock", pid, "--verbose"}), full({"deadlock", "-e", "1", "-p", pid});
    child.go_wait();
    const Result t = text.wait(), f = full.wait();
    EXPECT_EQ(t.status, 0) << t.err;
    EXPECT_TRUE(t.out.starts_with("Tracing the order of locks of PID [" + pid +
                                  "]... Hit Ctrl-C to end.\n"))
        << t.out;
    EXPECT_NE(t.out.find("Potential Deadlock Detected!\n\nCycle in lock order graph: Mutex M0 ("),
              t.out.npos)
        << t.out;
    EXPECT_NE(t.out.find(" acquired here while holding Mutex M0 ("), t.out.npos) << t.out;
    EXPECT_NE(t.out.find(") created by Thread " + pid + " ("), t.out.npos) << t.out;
    EXPECT_NE(t.out.find("Locks: 4, Edges: 4\n"), t.out.npos) << t.out;
    EXPECT_EQ(f.status, 3) << f.err;
    EXPECT_TRUE(f.out.find("Detected") == f.out.npos) << f.out;
    for (const Strings& options : std::vector<Strings>{
             {}, {"0"}, {"1", "--lock-symbols", "x"}, {"1", "--dot", "/no/such/directory/file"}}) {
        Strings argv{"deadlock"};
        argv.insert(argv.end(), options.begin(), options.end());
        const Result r = run(argv);
        EXPECT_NE(r.status, 0) << r.err;
        EXPECT_EQ(lines(r.err).size(), 1u) << r.err;
    }
}

} // namespace
