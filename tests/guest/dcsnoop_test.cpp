// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "fuse_server.hpp"
#include "harness.hpp"
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace
{

using namespace corebox::test;
using std::to_string;

class DcsnoopRung : public EachRung
{
};

TEST_P(DcsnoopRung, TellsEachNameOnce)
{
    const TempDir dir("/mnt/ext4");
    write_file(dir / "there", "x");
    const std::string longest(255, 'l');
    // 45 components, over 1 KB, entered one by one.
    ASSERT_EQ(::chdir(dir.path().c_str()), 0);
    std::string deep = dir.path();
    for (int i = 0; i < 45; i++) {
        const std::string name = "a-rather-long-directory-name-" + to_string(i);
        ASSERT_EQ(::mkdir(name.c_str(), 0700), 0);
        ASSERT_EQ(::chdir(name.c_str()), 0);
        deep += "/" + name;
    }
    ASSERT_GT(deep.size(), 1024u);
    Child child([&] {
        EXPECT_EQ(::access(longest.c_str(), F_OK), -1);
        EXPECT_EQ(::access(longest.c_str(), F_OK), -1); // the cache knows it now
        EXPECT_EQ(::open("a\nb\x1b[31m\xff", O_RDONLY), -1);
        ::close(::open("new", O_CREAT | O_WRONLY, 0600));
        EXPECT_EQ(::unlink("new"), 0);
        EXPECT_EQ(::rmdir("none"), -1);
    });
    ASSERT_EQ(::chdir("/"), 0);
    const Environment env = this->env();
    const int id = child.pid();
    const std::string pid = to_string(id);
    Tracer misses({"dcsnoop", "--json", "-p", pid}, env);
    Tracer all({"dcsnoop", "-a", "-F", "-p", pid}, env);
    child.go_wait();
    const Result result = misses.wait(), text = all.wait();
    EXPECT_EQ(result.status, 0) << result.err;
    EXPECT_EQ(text.status, 0) << text.err;
    expect_exact(result);
    EXPECT_NE(text.err.find("6 seen = 6 printed + 0 filtered + 0 lost"), std::string::npos)
        << text.err;
    const std::vector<std::string> names{longest, "a\nb\x1b[31m\xef\xbf\xbd", "new", "none"};
    ASSERT_EQ(result.records.size(), names.size()) << result.out;
    for (std::size_t i = 0; i < names.size(); i++) {
        const Json& r = result.records[i];
        EXPECT_EQ(r.at("pid"), id);
        EXPECT_EQ(r.at("type"), "M");
        EXPECT_EQ(r.at("name"), names[i]);
        EXPECT_EQ(r.at("path"), deep + "/" + names[i]);
    }
    const auto rows = lines(text.out);
    ASSERT_EQ(rows.size(), 1u + 6) << text.out; // with the second access() and the unlink()
    EXPECT_EQ(words(rows[0]), (std::vector<std::string>{"TIME(s)", "PID", "COMM", "T", "FILE"}));
    std::string types;
    for (std::size_t i = 1; i < rows.size(); i++)
        types += words(rows[i])[3];
    EXPECT_EQ(types, "MRMMRM");
    EXPECT_EQ(words(rows[2])[4], deep + "/" + longest);
    EXPECT_TRUE(rows[3].ends_with("/a\\nb\\x1b[31m\\xff")) << rows[3];
}

INSTANTIATE_TEST_SUITE_P(Rungs, DcsnoopRung, testing::Values("", "kprobe"), rung_name);

// tmpfs keeps no names that do not exist.
TEST(Dcsnoop, ShowsOnlyWhatWasAskedFor)
{
    Child child([] {
        for (int i = 0; i < 5; i++)
            EXPECT_EQ(::access("/tmp/absent", F_OK), -1);
    });
    Child other([] { EXPECT_EQ(::access("/tmp/of-another", F_OK), -1); });
    Tracer tracer({"dcsnoop", "-p", to_string(child.pid()), "--count", "5"});
    other.go_wait();
    child.go_wait();
    const Result result = tracer.wait();
    EXPECT_EQ(result.status, 0) << result.err;
    const auto rows = lines(result.out);
    ASSERT_EQ(rows.size(), 6u) << result.out;
    for (std::size_t i = 1; i < rows.size(); i++)
        EXPECT_EQ(words(rows[i])[4], "absent");
    EXPECT_EQ(run({"dcsnoop", "file"}).status, 1);
}

TEST(Dcsnoop, FloodIsAccountedFor)
{
    constexpr int kThreads = 3, kEach = 2'000;
    Child child([] {
        std::vector<std::thread> threads;
        for (int t = 0; t < kThreads; t++)
            threads.emplace_back([t] {
                const std::string name = "/tmp/flood" + to_string(t);
                for (int i = 0; i < kEach; i++)
                    ::access(name.c_str(), F_OK);
            });
        for (auto& thread : threads)
            thread.join();
    });
    Tracer tracer({"dcsnoop", "--json", "-p", to_string(child.pid()), "--buffer-size", "64"});
    child.go_wait();
    const Result result = tracer.wait();
    const auto number = [&](const char* key) {
        return result.account.at(key).get<std::uint64_t>();
    };
    EXPECT_EQ(number("seen"), number("printed") + number("filtered") + number("lost"));
    // "tmp" is found, the name is not; both are look-ups.
    EXPECT_GE(number("seen"), 2u * kThreads * kEach);
    // A walk that another thread disturbs begins anew, which finds "tmp" once more.
    EXPECT_LT(number("seen"), 3u * kThreads * kEach);
    EXPECT_EQ(result.status, number("lost") ? 3 : 0);
    EXPECT_EQ(result.records.size(), number("printed"));
}

// The kernel has places for so many calls whose return a kretprobe waits for: on 5.10 with one CPU
// it is one, and a look-up that asks the server of a file system takes it.
TEST(Dcsnoop, FloodOfMissedReturns)
{
    constexpr int kEach = 3'000;
    const TempDir dir;
    const FuseServer server(dir.path(), std::chrono::milliseconds(0));
    Child asks([&] {
        const std::string path = dir / "slow";
        for (int i = 0; i < kEach; i++)
            EXPECT_EQ(::access(path.c_str(), F_OK), 0);
    });
    Child child([] {
        for (int i = 0; i < kEach; i++) {
            ::access("/tmp/absent", F_OK);
            ::sched_yield();
        }
    });
    Tracer tracer({"dcsnoop", "-a", "--json", "-p", to_string(child.pid())},
                  {{"COREBOX_PROBES", "kprobe"}});
    asks.go();
    child.go_wait();
    EXPECT_EQ(asks.wait(), 0);
    const Result r = tracer.wait();
    const auto missed = r.account.at("lost_return").get<std::size_t>();
    EXPECT_EQ(r.account.at("lost"), missed) << r.account;
    EXPECT_EQ(r.records.size() + missed, 2u * kEach) << r.account; // "tmp" and "absent"
    EXPECT_EQ(r.status, missed ? 3 : 0) << r.err;
    if (one_return_at_a_time())
        EXPECT_GT(missed, 0u);
}

} // namespace
