// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Mirrors of disks of RAM, and the flushes that they are asked for.
#include "block.hpp"
#include "stacked.hpp"
#include <csignal>

namespace
{

using namespace corebox::test;
using std::to_string;

void flush(const std::string& path, unsigned n)
{
    const File disk(path);
    for (unsigned i = 0; i < n; i++)
        EXPECT_EQ(::fsync(disk.fd()), 0) << std::strerror(errno);
}

class Mdflush : public testing::Test
{
protected:
    static void SetUpTestSuite() { ASSERT_EQ(shell("modprobe brd && modprobe raid1").status, 0); }
};

TEST_F(Mdflush, TellsWhoFlushesWhichArray)
{
    const Mirror one(0, {"/dev/ram0", "/dev/ram1"}), two(1, {"/dev/ram2", "/dev/ram3"});
    for (const char* rung : {"", "kprobe", "fentry"}) {
        if (*rung == 'f' && !has_module_types("md_mod"))
            continue;
        const Environment env = forced(rung);
        pid_t pid = 0;
        const Result r = unpreempted([&] {
            Tracer tracer({"mdflush", "--json"}, env);
            Child child([&] { flush(one.path(), 3); });
            pid = child.pid();
            child.go_wait();
            flush(two.path(), 2);
            return tracer.stop(SIGINT);
        });
        EXPECT_EQ(r.status, 0) << r.err;
        expect_exact(r);
        const Records by_child = with(r.records, "pid", pid),
                      by_us = with(r.records, "pid", ::getpid());
        EXPECT_EQ(by_child.size(), 3u) << rung << r.out;
        EXPECT_EQ(by_us.size(), 2u) << rung << r.out;
        EXPECT_EQ(with(by_child, "device", one.name()).size(), 3u);
        EXPECT_EQ(with(by_us, "device", two.name()).size(), 2u);
        for (const Json& e : by_us)
            EXPECT_EQ(e.at("bytes"), 0);
    }
    const Result explained = run({"mdflush", "--check", "--explain", "-l"});
    EXPECT_EQ(explained.status, 0) << explained.err;
    EXPECT_NE(explained.err.find(has_module_types("md_mod") ? "fentry: taken" : "kprobe: taken"),
              std::string::npos)
        << explained.err;

    // Of one array, when they are done.
    for (const char* rung : {"", "raw_tp"}) {
        const Environment env = forced(rung);
        const Result r = unpreempted([&] {
            Tracer tracer({"mdflush", "--json", "-l", "-d", two.name()}, env);
            flush(one.path(), 3);
            flush(two.path(), 2);
            const File disk(two.path(), O_RDWR | O_DIRECT | O_DSYNC);
            disk.write(1);
            return tracer.stop(SIGINT);
        });
        EXPECT_EQ(r.status, 0) << r.err;
        EXPECT_GE(r.records.size(), 3u) << r.out;
        EXPECT_EQ(r.records.size(), with(r.records, "device", two.name()).size());
        EXPECT_GE(r.account.at("filtered"), 3);
        for (const Json& e : r.records) {
            EXPECT_GT(e.at("lat_ms"), 0);
            EXPECT_EQ(e.at("error"), "");
        }
    }
    const Result filtered = unpreempted([&] {
        Tracer tracer({"mdflush", "--json", "-p", to_string(::getpid())});
        Child child([&] { flush(one.path(), 3); });
        child.go_wait();
        flush(one.path(), 1);
        return tracer.stop(SIGINT);
    });
    EXPECT_EQ(filtered.records.size(), 1u) << filtered.out;

    Tracer tracer({"mdflush"});
    flush(one.path(), 1);
    const Result text = tracer.stop();
    const auto out = lines(text.out);
    ASSERT_EQ(out.size(), 2u) << text.out;
    EXPECT_EQ(words(out[0]), (std::vector<std::string>{"TIME", "PID", "COMM", "DEVICE"}));
    EXPECT_EQ(words(out[1]).at(0).size(), 8u);
    EXPECT_EQ(words(out[1]).at(1), to_string(::getpid()));
    EXPECT_EQ(words(out[1]).at(3), one.name());
    EXPECT_EQ(run({"mdflush", "-d", "nosuchdisk"}).status, 2);
}

TEST_F(Mdflush, NamesTheModuleThatIsMissing)
{
    ASSERT_EQ(shell("rmmod raid1 && rmmod md_mod").status, 0);
    const Result r = run({"mdflush"});
    EXPECT_EQ(r.status, 2);
    EXPECT_NE(r.err.find("module md_mod is not loaded"), std::string::npos) << r.err;
    EXPECT_EQ(lines(r.err).size(), 1u);
    ASSERT_EQ(shell("modprobe raid1").status, 0);
}

} // namespace
