// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Sleeps of known number, least length and place.
#include "waits.hpp"
#include <algorithm>
#include <optional>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>

namespace
{

using namespace corebox::test;
using std::to_string;
using Strings = std::vector<std::string>;

constexpr unsigned kNaps = 5, kNapMs = 40;
// The clock of the 5.10 guest ticks every 4 ms; a sleep may seem shorter by that.
constexpr std::uint64_t kLeastUs = kNaps * (kNapMs - 4) * 1000;

Records sleeping(const Result& r, std::string_view function)
{
    return with(with_frame(r.records, "user", function), "state", "S");
}

// The process has ended when its stacks are given names.
TEST(Offcputime, SleepsByStack)
{
    for (const char* rung : {"tp_btf", "raw_tp"}) {
        const JitNap jit;
        Child child([&] {
            name("napper");
            jit.nap(kNapMs);
            Napper().nap(kNapMs);
            cbtest_naps(kNaps, kNapMs);
        });
        jit.name_in(child.pid());
        Tracer tracer({"offcputime", "--json", "-p", to_string(child.pid())},
                      {{"COREBOX_PROBES", rung}});
        child.go_wait();
        const Result r = tracer.wait();
        EXPECT_EQ(r.status, 0) << r.err;
        expect_exact(r);
        const Records naps = sleeping(r, "cbtest_nap");
        EXPECT_EQ(sum(naps, "count"), kNaps) << rung << r.out;
        EXPECT_GE(sum(naps, "total_us"), kLeastUs);
        for (const Json& row : naps) {
            EXPECT_EQ(row.at("comm"), "napper");
            EXPECT_EQ(row.at("user")[0], "cbtest_nap");
            EXPECT_EQ(row.at("user")[1], "cbtest_naps");
            EXPECT_EQ(row.at("kernel")[0], "__schedule");
            EXPECT_TRUE(has_frame(row.at("kernel"), "hrtimer_nanosleep")) << row;
        }
        EXPECT_EQ(sum(sleeping(r, "corebox::test::Napper::nap(unsigned int) const"), "count"), 1u)
            << r.out;
        EXPECT_EQ(sum(sleeping(r, "jitted nap<1>"), "count"), 1u) << r.out;
        std::uint64_t before = 0;
        for (const Json& row : r.records) {
            expect_clean(row.at("kernel"));
            EXPECT_EQ(row.at("pid"), r.records[0].at("pid"));
            EXPECT_LE(before, row.at("total_us")) << "ascending";
            before = row.at("total_us");
            EXPECT_EQ(row.size(), 7u) << row; // comm pid state count total_us user kernel
        }
        EXPECT_EQ(sum(r.records, "count"), r.account.at("printed"));
    }
    shell("rm -f /tmp/perf-*.map");
}

// Stacks that are known again without being unwound: none is taken for another.
TEST(Offcputime, KnownStacksAreTheRightOnes)
{
    constexpr unsigned kRounds = 150;
    WakePair pair(3);
    Tracer tracer({"offcputime", "--json"});
    Child child([] {
        for (unsigned i = 0; i < kRounds; i++) {
            cbtest_nap(2);
            cbtest_poll(2);
        }
    });
    const pid_t pid = child.pid();
    child.go_wait();
    pair.run();
    const Result r = tracer.stop();
    EXPECT_EQ(r.status, 0) << r.err;
    expect_exact(r);
    const Records naps = with(sleeping(r, "cbtest_nap"), "pid", pid),
                  polls = with(sleeping(r, "cbtest_poll"), "pid", pid);
    // Where the time is over already it does not sleep.
    for (const Records* sleeps : {&naps, &polls}) {
        EXPECT_LE(sum(*sleeps, "count"), kRounds) << r.out;
        EXPECT_GE(sum(*sleeps, "count"), kRounds / 2) << r.out;
    }
    for (const Json& row : naps) {
        EXPECT_TRUE(has_frame(row.at("kernel"), "hrtimer_nanosleep")) << row;
        EXPECT_FALSE(has_frame(row.at("kernel"), "do_sys_poll")) << row;
    }
    for (const Json& row : polls) {
        EXPECT_TRUE(has_frame(row.at("kernel"), "do_sys_poll")) << row;
        EXPECT_FALSE(has_frame(row.at("kernel"), "hrtimer_nanosleep")) << row;
    }
    const Records waits = with(sleeping(r, "cbtest_wait"), "comm", "the-sleeper");
    EXPECT_EQ(sum(waits, "count"), 3u) << r.out;
    EXPECT_GE(sum(waits, "total_us"), 3u * 15'000);
    for (const Json& row : waits)
        EXPECT_TRUE(has_frame(row.at("kernel"), "ksys_read")) << row;
    // Idle CPUs wait for nothing; we are not traced.
    EXPECT_EQ(with(r.records, "pid", 0).size(), 0u) << r.out;
    EXPECT_EQ(with(r.records, "comm", "corebox").size(), 0u) << r.out;
    for (const Json& row : r.records)
        expect_clean(row.at("kernel"));
}

// It takes 10 s and more: eleven tools run at once, and each names the functions that it saw.
TEST(Offcputime, Filters)
{
    Gate ready;
    int tids[2];
    ASSERT_EQ(::pipe(tids), 0);
    Child child([&] {
        std::thread other([&] {
            const pid_t tid = pid_t(::syscall(SYS_gettid));
            EXPECT_EQ(::write(tids[1], &tid, sizeof tid), ssize_t(sizeof tid));
            ready.wait();
            name("the-thread");
            cbtest_naps(2, kNapMs);
        });
        other.join();
        cbtest_naps(3, kNapMs);
    });
    child.go();
    pid_t tid = 0;
    ASSERT_EQ(::read(tids[0], &tid, sizeof tid), ssize_t(sizeof tid));
    const std::string pid = to_string(child.pid());
    struct Case {
        Strings options;
        std::optional<unsigned> naps; // of 5
    };
    const Case kCases[] = {
        {{"-p", "1," + pid}, 5},
        {{"-t", to_string(tid)}, 2},
        {{"-p", pid, "-u", "-m", "20000", "--state", "S"}, 5},
        {{"-p", pid, "-M", "5000"}, 0},
        {{"-p", pid, "--min-block-time", "60000000"}, 0},
        {{"-p", pid, "--state", "D"}, 0},
        {{"-p", pid, "--state", "0"}, 0},
        {{"-p", pid, "--state", "3"}, 5},
        {{"-p", pid, "-k"}, 0},
    };
    std::vector<std::unique_ptr<Tracer>> tracers;
    for (const Case& c : kCases) {
        Strings argv{"offcputime", "--json", "--per-thread"};
        argv.insert(argv.end(), c.options.begin(), c.options.end());
        tracers.push_back(std::make_unique<Tracer>(argv));
    }
    Tracer user({"offcputime", "--json", "-U", "-p", pid});
    Tracer kernel({"offcputime", "--json", "-K", "-p", pid});
    const pid_t leader = child.pid();
    ready.open();
    EXPECT_EQ(child.wait(), 0);
    for (std::size_t i = 0; i < tracers.size(); i++) {
        const bool several = kCases[i].options[1].starts_with("1,"); // process 1 does not end
        const Result r = several ? tracers[i]->stop() : tracers[i]->wait();
        EXPECT_EQ(r.status, 0) << r.err;
        expect_exact(r);
        const Records naps = with_frame(r.records, "user", "cbtest_nap");
        const Records slept = with(naps, "state", "S");
        EXPECT_EQ(sum(slept, "count"), *kCases[i].naps) << i << r.out << r.err;
        if (*kCases[i].naps < 5) {
            EXPECT_GE(r.account.at("filtered"), 5 - *kCases[i].naps) << i;
        }
        for (const Json& row : slept) {
            EXPECT_TRUE(row.at("tid") == tid || row.at("tid") == leader) << row;
            EXPECT_EQ(row.at("comm") == "the-thread", row.at("tid") == tid) << row;
        }
    }
    const Result u = user.wait(), k = kernel.wait();
    EXPECT_EQ(sum(sleeping(u, "cbtest_nap"), "count"), 5u) << u.out;
    for (const Json& row : u.records)
        EXPECT_TRUE(row.at("kernel").is_null());
    EXPECT_GE(sum(with_frame(k.records, "kernel", "hrtimer_nanosleep"), "count"), 5u) << k.out;
    for (const Json& row : k.records)
        EXPECT_TRUE(row.at("user").is_null());
}

TEST(Offcputime, Text)
{
    TempDir dir;
    Child child([] {
        cbtest_naps(kNaps, kNapMs);
        cbtest_poll(kNapMs); // too many stacks for two places
        Napper().nap(kNapMs);
    });
    const std::string pid = to_string(child.pid()), svg = dir / "out.svg";
    Tracer blocks({"offcputime", "-d", "-p", pid}), folded({"offcputime", "-fda", "-p", pid}),
        offsets({"offcputime", "-s", "-p", pid}), addresses({"offcputime", "-v", "-p", pid}),
        drawn({"offcputime", "--flame", svg, "-p", pid}),
        lost({"offcputime", "--stack-storage-size", "1", "-p", pid});
    child.go_wait();
    const Result b = blocks.wait();
    EXPECT_EQ(lines(b.out).at(0), "Tracing off-CPU time (us) of PID [" + pid +
                                      "] by user + kernel stack... Hit Ctrl-C to end.");
    EXPECT_NE(b.out.find("\n    __schedule\n    schedule\n"), b.out.npos) << b.out;
    const auto at = b.out.find("\n    --\n    cbtest_nap\n    cbtest_naps\n");
    ASSERT_NE(at, b.out.npos) << b.out;
    const auto process =
        b.out.find("\n    -                guest_tests (" + pid + ")\n        ", at);
    ASSERT_NE(process, b.out.npos) << b.out;
    EXPECT_GE(std::stoull(b.out.substr(b.out.find('\n', process + 1))), kLeastUs) << b.out;
    const Result f = folded.wait();
    bool found = false;
    for (const std::string& line : lines(f.out))
        if (line.find(";cbtest_naps;cbtest_nap;-;") != line.npos &&
            line.find("hrtimer_nanosleep_[k];") != line.npos) {
            EXPECT_TRUE(line.starts_with("guest_tests;")) << line;
            EXPECT_NE(line.find(";schedule_[k];__schedule_[k] "), line.npos) << line;
            EXPECT_GE(std::stoull(line.substr(line.rfind(' '))), kLeastUs) << line;
            found = true;
        }
    EXPECT_TRUE(found) << f.out;
    const Result s = offsets.wait();
    EXPECT_NE(s.out.find("\n    hrtimer_nanosleep+0x"), s.out.npos) << s.out;
    EXPECT_NE(s.out.find("\n    cbtest_nap+0x"), s.out.npos) << s.out;
    const Result v = addresses.wait();
    EXPECT_NE(v.out.find(" hrtimer_nanosleep+0x"), v.out.npos) << v.out;
    EXPECT_NE(v.out.find(" [kernel]\n    0x"), v.out.npos) << v.out;
    const Result d = drawn.wait();
    EXPECT_NE(d.err.find("wrote " + svg), d.err.npos) << d.err;
    const std::string picture = read_file(svg);
    EXPECT_NE(picture.find("cbtest_naps"), picture.npos);
    EXPECT_NE(picture.find("microseconds"), picture.npos);
    const Result l = lost.wait();
    EXPECT_EQ(l.status, 3) << l.err;
    EXPECT_NE(l.out.find("[Missed "), l.out.npos) << l.out;
}

// Kernel threads; a command that is not ours, without symbols; bad input.
TEST(Offcputime, KernelThreadsCommandsAndBadInput)
{
    const Result k = run({"offcputime", "--json", "-k", "0.5"});
    EXPECT_EQ(k.status, 0) << k.err;
    EXPECT_FALSE(k.records.empty());
    for (const Json& row : k.records) {
        EXPECT_TRUE(row.at("user").is_array() && row.at("user").empty()) << row;
        EXPECT_NE(row.at("pid"), 0) << row;
    }
    const Result timed = run({"offcputime", "-u", "-U", "0.3"});
    EXPECT_EQ(lines(timed.out).at(0),
              "Tracing off-CPU time (us) of user threads by user stack for 0.3 secs.");
    const Result command = run({"offcputime", "--json", "--", "usleep", "50000"});
    EXPECT_EQ(command.status, 0) << command.err;
    Records slept = with_frame(command.records, "kernel", "hrtimer_nanosleep");
    EXPECT_EQ(sum(slept, "count"), 1u) << command.out;
    EXPECT_GE(sum(slept, "total_us"), 45'000u);
    for (const Json& row : slept)
        EXPECT_TRUE(row.at("user").at(0).get<std::string>().starts_with("busybox+0x")) << row;
    for (const Strings& options : std::vector<Strings>{{"-U", "-K"},
                                                       {"-u", "-k"},
                                                       {"--state", "Q"},
                                                       {"--state", "-1"},
                                                       {"--state", ","},
                                                       {"-m", "10", "-M", "5"},
                                                       {"-M", "0"},
                                                       {"-s", "-f"},
                                                       {"0"},
                                                       {"--stack-storage-size", "0"}}) {
        Strings argv{"offcputime"};
        argv.insert(argv.end(), options.begin(), options.end());
        const Result r = run(argv);
        EXPECT_EQ(r.status, 1) << options[0] << r.err;
        EXPECT_EQ(lines(r.err).size(), 1u) << r.err;
    }
}

} // namespace
