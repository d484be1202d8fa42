// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Wakeups of known number by known processes and interrupts.
#include "waits.hpp"

namespace
{

using namespace corebox::test;
using std::to_string;
using Strings = std::vector<std::string>;

constexpr unsigned kTimes = 5;
constexpr std::uint64_t kLeastUs = kTimes * 15'000; // 20 ms less a tick of the 5.10 guest

TEST(Wakeuptime, WhoWokeWhom)
{
    for (const char* rung : {"tp_btf", "raw_tp"}) {
        WakePair pair(kTimes);
        const pid_t sleeper = pair.sleeper.pid(), waker = pair.waker.pid();
        Tracer all({"wakeuptime", "--json", "--user-stacks"}, {{"COREBOX_PROBES", rung}}),
            text({"wakeuptime", "-p", to_string(sleeper)}, {{"COREBOX_PROBES", rung}});
        pair.run();
        const Result r = all.stop(), t = text.wait();
        EXPECT_EQ(r.status, 0) << r.err;
        expect_exact(r);
        Records woken;
        for (const Json& row : with(with(r.records, "target_pid", sleeper), "waker", "the-waker"))
            if (has_frame(row.at("kernel"), "ksys_write"))
                woken.push_back(row);
        EXPECT_EQ(sum(woken, "count"), kTimes) << rung << r.out;
        EXPECT_GE(sum(woken, "total_us"), kLeastUs);
        for (const Json& row : woken) {
            EXPECT_EQ(row.at("target"), "the-sleeper");
            EXPECT_EQ(row.at("waker_pid"), waker);
            EXPECT_EQ(row.at("state"), "S");
            EXPECT_EQ(row.at("user").at(0), "cbtest_wake") << row;
        }
        // The waker's naps end by a timer: by nobody's doing, and on nobody's stack.
        Records timer;
        for (const Json& row : with(with(r.records, "target_pid", waker), "waker", "[irq]"))
            if (has_frame(row.at("kernel"), "hrtimer_wakeup"))
                timer.push_back(row);
        EXPECT_GE(sum(timer, "count"), kTimes) << r.out;
        EXPECT_GE(sum(timer, "total_us"), kLeastUs);
        for (const Json& row : timer) {
            EXPECT_TRUE(row.at("waker_pid").is_null()) << row;
            EXPECT_TRUE(row.at("kernel").back().get<std::string>().starts_with("asm_")) << row;
            EXPECT_TRUE(row.at("user").empty()) << row;
        }
        std::uint64_t before = 0;
        for (const Json& row : r.records) {
            expect_clean(row.at("kernel"));
            EXPECT_LE(before, row.at("total_us")) << "ascending";
            before = row.at("total_us");
            EXPECT_NE(row.at("target_pid"), 0) << row;
            EXPECT_NE(row.at("state"), "R") << row;
        }
        EXPECT_EQ(lines(t.out).at(0), "Tracing blocked time (us) of PID [" + to_string(sleeper) +
                                          "] by kernel stack... Hit Ctrl-C to end.");
        EXPECT_NE(t.out.find("\n    target:          the-sleeper\n"), t.out.npos) << t.out;
        EXPECT_NE(t.out.find("\n    ksys_write\n"), t.out.npos) << t.out;
        EXPECT_NE(t.out.find("\n    waker:           the-waker\n        "), t.out.npos) << t.out;
    }
}

TEST(Wakeuptime, FiltersAndFormats)
{
    WakePair pair(kTimes);
    const std::string pid = to_string(pair.sleeper.pid());
    TempDir dir;
    const std::string svg = dir / "out.svg";
    Tracer folded({"wakeuptime", "-f", "-p", pid}),
        drawn({"wakeuptime", "--flame", svg, "-p", pid}),
        address({"wakeuptime", "-v", "-u", "-p", pid}),
        user({"wakeuptime", "--json", "-u", "-m", "10000", "--per-thread", "-t", pid}),
        kernel({"wakeuptime", "--json", "-k"}),
        longer({"wakeuptime", "--json", "-m", "60000000", "-p", pid}),
        shorter({"wakeuptime", "--json", "-M", "5000", "-p", pid}),
        other({"wakeuptime", "--json", "--state", "D", "-p", pid});
    pair.run();
    const Result f = folded.wait(), d = drawn.wait(), a = address.wait(), u = user.wait(),
                 k = kernel.stop(), l = longer.wait(), s = shorter.wait(), o = other.wait();
    bool found = false;
    for (const std::string& line : lines(f.out))
        if (line.starts_with("the-waker;") && line.find(";ksys_write;vfs_write;") != line.npos &&
            line.find(";the-sleeper ") != line.npos) {
            found = true;
            EXPECT_GE(std::stoull(line.substr(line.rfind(' '))), kLeastUs) << line;
        }
    EXPECT_TRUE(found) << f.out;
    EXPECT_NE(d.err.find("wrote " + svg), d.err.npos) << d.err;
    EXPECT_NE(read_file(svg).find("the-sleeper"), std::string::npos);
    EXPECT_NE(a.out.find(" vfs_write+0x"), a.out.npos) << a.out;
    EXPECT_EQ(sum(with(u.records, "waker", "the-waker"), "count"), kTimes) << u.out;
    for (const Json& row : u.records)
        EXPECT_EQ(to_string(row.at("target_tid").get<pid_t>()), pid) << row;
    EXPECT_EQ(with(k.records, "target", "the-sleeper").size(), 0u) << k.out;
    EXPECT_FALSE(k.records.empty());
    for (const Result* none : {&l, &s, &o}) {
        EXPECT_EQ(none->status, 0);
        EXPECT_EQ(with(none->records, "waker", "the-waker").size(), 0u) << none->out;
        EXPECT_GE(none->account.at("filtered"), kTimes);
        expect_exact(*none);
    }
    for (const Strings& options :
         std::vector<Strings>{{"-u", "-k"}, {"--state", "X"}, {"-M", "1", "-m", "2"}, {"x"}}) {
        Strings argv{"wakeuptime"};
        argv.insert(argv.end(), options.begin(), options.end());
        const Result r = run(argv);
        EXPECT_EQ(r.status, 1) << options[0] << r.err;
        EXPECT_EQ(lines(r.err).size(), 1u) << r.err;
    }
}

} // namespace
