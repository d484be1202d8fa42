// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Waits of known number that known processes and interrupts end.
#include "waits.hpp"

namespace
{

using namespace corebox::test;
using std::to_string;
using Strings = std::vector<std::string>;

constexpr unsigned kTimes = 5;
constexpr std::uint64_t kLeastUs = kTimes * 15'000; // 20 ms less a tick of the 5.10 guest

TEST(Offwaketime, BothStacks)
{
    for (const char* rung : {"tp_btf", "raw_tp"}) {
        WakePair pair(kTimes);
        const pid_t sleeper = pair.sleeper.pid(), waker = pair.waker.pid();
        Tracer all({"offwaketime", "--json"}, {{"COREBOX_PROBES", rung}});
        pair.run();
        const Result r = all.stop();
        EXPECT_EQ(r.status, 0) << r.err;
        expect_exact(r);
        const Records waits =
            with(with(with_frame(r.records, "user", "cbtest_wait"), "target_pid", sleeper), "state",
                 "S");
        EXPECT_EQ(sum(waits, "count"), kTimes) << rung << r.out;
        EXPECT_GE(sum(waits, "total_us"), kLeastUs);
        for (const Json& row : waits) {
            EXPECT_EQ(row.at("target"), "the-sleeper");
            EXPECT_EQ(row.at("user").at(0), "cbtest_wait");
            EXPECT_TRUE(has_frame(row.at("kernel"), "ksys_read")) << row;
            EXPECT_EQ(row.at("waker"), "the-waker") << row;
            EXPECT_EQ(row.at("waker_pid"), waker);
            EXPECT_TRUE(has_frame(row.at("waker_kernel"), "ksys_write")) << row;
            EXPECT_EQ(row.at("waker_user").at(0), "cbtest_wake") << row;
        }
        const Records naps = with(
            with(with_frame(r.records, "user", "cbtest_nap"), "target_pid", waker), "state", "S");
        EXPECT_EQ(sum(naps, "count"), kTimes) << rung << r.out;
        for (const Json& row : naps) {
            EXPECT_EQ(row.at("waker"), "[irq]") << row;
            EXPECT_TRUE(row.at("waker_pid").is_null());
            EXPECT_TRUE(has_frame(row.at("waker_kernel"), "hrtimer_wakeup")) << row;
        }
        std::uint64_t before = 0;
        for (const Json& row : r.records) {
            expect_clean(row.at("kernel"));
            if (row.at("state") == "R") { // nobody has to wake it
                EXPECT_TRUE(row.at("waker").is_null()) << row;
                EXPECT_TRUE(row.at("waker_kernel").is_null()) << row;
            } else if (!row.at("waker").is_null()) {
                expect_clean(row.at("waker_kernel"));
            }
            EXPECT_LE(before, row.at("total_us")) << "ascending";
            before = row.at("total_us");
            EXPECT_NE(row.at("target_pid"), 0) << row;
        }
    }
}

TEST(Offwaketime, FiltersAndFormats)
{
    WakePair pair(kTimes);
    const std::string pid = to_string(pair.sleeper.pid());
    TempDir dir;
    const std::string svg = dir / "out.svg";
    Tracer text({"offwaketime", "-d", "-p", pid}), folded({"offwaketime", "-df", "-p", pid}),
        drawn({"offwaketime", "--flame", svg, "-p", pid}),
        user({"offwaketime", "--json", "-U", "-m", "10000", "-t", pid}),
        kernel({"offwaketime", "-K", "-f", "-u", "-p", pid}),
        none({"offwaketime", "--json", "--state", "D", "-p", pid});
    const std::string waker = to_string(pair.waker.pid());
    pair.run();
    const Result t = text.wait(), f = folded.wait(), d = drawn.wait(), u = user.wait(),
                 k = kernel.wait(), n = none.wait();
    EXPECT_EQ(lines(t.out).at(0),
              "Tracing blocked time (us) of PID [" + pid +
                  "] by user + kernel off-CPU and waker stack... Hit Ctrl-C to end.");
    for (const std::string& part :
         Strings{"\n    waker:           the-waker " + waker + "\n",
                 "\n    cbtest_wake\n    -\n    entry_SYSCALL_64_after_hwframe\n",
                 "\n    --               --\n    __schedule\n    schedule\n",
                 "\n    entry_SYSCALL_64_after_hwframe\n    -\n    cbtest_wait\n",
                 "\n    target:          the-sleeper " + pid + "\n        "})
        EXPECT_NE(t.out.find(part), t.out.npos) << part << t.out;
    bool found = false;
    for (const std::string& line : lines(f.out))
        if (line.find(";cbtest_wait;-;entry_SYSCALL_64_after_hwframe;") != line.npos &&
            line.find(";__schedule;--;") != line.npos &&
            line.find(";-;cbtest_wake;") != line.npos && line.find(";the-waker ") != line.npos) {
            found = true;
            EXPECT_TRUE(line.starts_with("the-sleeper;")) << line;
            EXPECT_GE(std::stoull(line.substr(line.rfind(' '))), kLeastUs) << line;
        }
    EXPECT_TRUE(found) << f.out;
    EXPECT_NE(d.err.find("wrote " + svg), d.err.npos) << d.err;
    EXPECT_NE(read_file(svg).find("cbtest_wake"), std::string::npos);
    const Records waits = with(with_frame(u.records, "user", "cbtest_wait"), "waker", "the-waker");
    EXPECT_EQ(sum(waits, "count"), kTimes) << u.out;
    for (const Json& row : waits) {
        EXPECT_TRUE(row.at("kernel").is_null());
        EXPECT_FALSE(row.contains("waker_kernel") && !row.at("waker_kernel").is_null()) << row;
    }
    EXPECT_NE(k.out.find(";ksys_read;"), k.out.npos) << k.out;
    EXPECT_EQ(k.out.find("cbtest_"), k.out.npos) << k.out;
    EXPECT_EQ(with_frame(n.records, "user", "cbtest_wait").size(), 0u) << n.out;
    EXPECT_GE(n.account.at("filtered"), kTimes);
    for (const Strings& options :
         std::vector<Strings>{{"-U", "-K"}, {"-u", "-k"}, {"--state", "?"}, {"-s", "-f"}}) {
        Strings argv{"offwaketime"};
        argv.insert(argv.end(), options.begin(), options.end());
        const Result r = run(argv);
        EXPECT_EQ(r.status, 1) << options[0] << r.err;
        EXPECT_EQ(lines(r.err).size(), 1u) << r.err;
    }
}

} // namespace
