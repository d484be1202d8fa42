// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// How long functions take: of this program, whose calls are known, and of the kernel.
#include "harness.hpp"
#include "traced.hpp"
#include <fcntl.h>
#include <unistd.h>

namespace
{

using namespace corebox::test;
using std::to_string;

constexpr int kNapNs = 20'000'000;

std::vector<std::string> tool(std::vector<std::string> arguments)
{
    arguments.insert(arguments.begin(), "funclatency");
    return arguments;
}

void read_zero(int times)
{
    char byte;
    const int in = ::open("/dev/zero", O_RDONLY);
    for (int i = 0; i < times; i++)
        EXPECT_EQ(::read(in, &byte, 1), 1);
    ::close(in);
}

std::uint64_t sum_of(const Json& record)
{
    std::uint64_t n = 0;
    for (const Json& bucket : record.at("buckets"))
        n += bucket.at("count").get<std::uint64_t>();
    return n;
}

// The one histogram of a run with --json.
Json only(const Result& r)
{
    EXPECT_EQ(r.records.size(), 1u) << r.out << r.err;
    return r.records.empty() ? Json() : r.records[0];
}

Result trace(const std::vector<std::string>& arguments, const Environment& env,
             const std::function<void()>& work)
{
    return watch("funclatency", arguments, work, {.env = env, .others_too = true});
}

TEST(Funclatency, UserFunctions)
{
    const std::string program = this_program();
    for (const char* rung : {"", "uprobe"}) {
        SCOPED_TRACE(rung);
        const Environment env = forced(rung);
        // Of each call its own time; a call inside another one; a jump in place of a return.
        const Result r = trace({"-F", program + ":traced_*"}, env, [] {
            traced_nap(1, 1);
            traced_outer(3);
            traced_tail();
            traced_recursion(5);
        });
        EXPECT_EQ(r.status, 0) << r.err;
        expect_exact(r);
        ASSERT_EQ(r.records.size(), 4u) << r.out;
        const auto of = [&](const char* function) {
            return only({0, r.out, {}, with(r.records, "function", function)});
        };
        for (const auto& [function, calls, sleeps] : {std::tuple{"traced_nap", 4, 4},
                                                      {"traced_outer", 1, 2},
                                                      {"traced_tail", 1, 1},
                                                      {"traced_recursion", 5, 5}}) {
            const Json h = of(function);
            EXPECT_EQ(h.at("count"), calls) << function;
            EXPECT_EQ(sum_of(h), std::uint64_t(calls));
            EXPECT_GE(h.at("sum").get<std::uint64_t>(), std::uint64_t(sleeps) * kNapNs) << function;
            EXPECT_GE(h.at("min"), kNapNs) << function;
            EXPECT_GE(h.at("max"), h.at("min"));
            for (const Json& bucket : h.at("buckets"))
                if (bucket.at("to") < 1 << 24)
                    EXPECT_EQ(bucket.at("count"), 0);
        }
        EXPECT_GE(of("traced_outer").at("min"), 2 * kNapNs);
        EXPECT_EQ(r.account.at("printed"), 11);
    }
}

TEST(Funclatency, RecursionAndCallsThatNeverReturn)
{
    const std::string function = this_program() + ":traced_recursion";
    const auto recurse = [](long depth) {
        return [=] { EXPECT_EQ(traced_recursion(depth), depth); };
    };
    for (const auto& [level, calls] : {std::pair{1, 1}, {3, 3}, {64, 5}}) {
        const Result r = trace({"-l", to_string(level), function}, {}, recurse(5));
        EXPECT_EQ(only(r).at("count"), calls) << level;
        EXPECT_EQ(r.account.at("filtered"), 5 - calls);
        EXPECT_EQ(r.status, 0) << r.err;
    }
    // Deeper than can be followed: the rest is told.
    const Result deep = trace({function}, {}, recurse(70));
    EXPECT_EQ(only(deep).at("count"), 64);
    EXPECT_EQ(deep.account.at("lost"), 6) << deep.err;
    EXPECT_EQ(deep.status, 3);

    // 3 * 4 calls of traced_jump() never return; what is called after that is timed rightly.
    const Result jumped = trace({"-F", this_program() + ":traced_*"}, {}, [] {
        for (int i = 0; i < 3; i++) {
            jump_out(4);
            traced_nap(1, 1);
        }
    });
    ASSERT_EQ(jumped.records.size(), 1u) << jumped.out;
    EXPECT_EQ(jumped.records[0].at("function"), "traced_nap");
    EXPECT_EQ(jumped.records[0].at("count"), 3);
    EXPECT_LE(jumped.records[0].at("sum"), jumped.records[0].at("max").get<std::uint64_t>() * 3);
    EXPECT_EQ(jumped.account.at("lost"), 12) << jumped.err;
    EXPECT_EQ(jumped.status, 3);
}

TEST(Funclatency, KernelFunctions)
{
    for (const std::string rung : {"fexit", "kprobe.multi", "kprobe"}) {
        SCOPED_TRACE(rung);
        if (rung == (has_multi() ? "kprobe" : "kprobe.multi")) // funcslower has that one
            continue;
        // The first rung is the one that is taken by itself.
        const Environment env =
            rung == "fexit" ? Environment{} : Environment{{"COREBOX_PROBES", rung}};
        if (rung == "fexit") {
            const Result naps = trace({"-u", "hrtimer_nanosleep"}, env, [] {
                for (int i = 0; i < 3; i++)
                    ::usleep(20'000);
            });
            expect_exact(naps);
            EXPECT_EQ(only(naps).at("count"), 3);
            EXPECT_GE(only(naps).at("min"), 20'000);
            EXPECT_EQ(only(naps).at("unit"), "usecs");
        }
        // Of several functions, one of them; fexit is for single ones.
        const std::string pattern = rung == "fexit" ? "vfs_read" : "vfs_rea*";
        const Result reads = trace({"-F", pattern}, env, [] { read_zero(123); });
        expect_exact(reads);
        const Json h = only({0, reads.out, {}, with(reads.records, "function", "vfs_read")});
        EXPECT_EQ(h.at("count"), 123);
        EXPECT_EQ(sum_of(h), 123u);
        EXPECT_GT(h.at("min"), 0);
        EXPECT_EQ(h.at("unit"), "nsecs");
    }
}

// BCC's text; linear steps; intervals, which together lose nothing; filters; who is what.
TEST(Funclatency, TextAndOptions)
{
    const std::string function = this_program() + ":traced_nap";
    Child child([] {
        for (int i = 0; i < 4; i++)
            traced_nap(1, 1);
    });
    const std::string pid = to_string(child.pid());
    Tracer text({"funclatency", "-m", "--linear", "10:20:5", function});
    Tracer intervals({"funclatency", "--json", "-i", "0.03", "-m", "-T", "-p", pid, function});
    child.go_wait();
    const Result i = intervals.wait(), t = text.stop();
    EXPECT_EQ(t.status, 0) << t.err;
    const auto rows = lines(t.out);
    ASSERT_GE(rows.size(), 7u) << t.out;
    EXPECT_EQ(rows[1], "function = traced_nap, pid = " + pid);
    EXPECT_EQ(words(rows[2]), words("msecs : count distribution"));
    EXPECT_EQ(words(rows[3])[0], "0");
    EXPECT_EQ(words(rows[3])[2], "9");
    // The last is for all above: it says how far they go.
    EXPECT_EQ(words(rows[6])[0], "20");
    EXPECT_NE(rows[6].find(" : 4 "), std::string::npos) << t.out;
    EXPECT_NE(t.out.find("\navg = "), std::string::npos);
    EXPECT_NE(t.out.find(" msecs, count: 4, min: "), std::string::npos) << t.out;
    std::uint64_t sum = 0;
    for (const Json& record : i.records)
        sum += record.at("count").get<std::uint64_t>();
    EXPECT_EQ(sum, 4u);
    EXPECT_GE(i.records.size(), 2u) << i.out;

    for (const std::vector<std::string>& bad :
         std::vector<std::vector<std::string>>{{},
                                               {"-u", "-m", "vfs_read"},
                                               {"--linear", "5:1:1", "vfs_read"},
                                               {"--linear", "0:1000:1", "vfs_read"},
                                               {"-l", "0", "vfs_read"},
                                               {"t:sched:sched_switch"},
                                               {"-r", "vfs_("},
                                               {"vfs_read", "1", "1", "1"}}) {
        const Result r = run(tool(bad));
        EXPECT_EQ(r.status, 1) << r.err;
        EXPECT_EQ(lines(r.err).size(), 1u) << r.err;
    }
    for (const char* none : {"no_such_function", "/no/such/file:f", "c:no_such_function"}) {
        const Result r = run(tool({none}));
        EXPECT_EQ(r.status, 2) << none << r.err;
        EXPECT_EQ(lines(r.err).size(), 1u) << r.err;
    }
}

// Probes are taken away one after the other; calls that are between them then are no losses.
TEST(Funclatency, EndsWhileCallsGoOn)
{
    Child child([] {
        for (;;)
            read_zero(100);
    });
    child.go();
    const Result r =
        run({"funclatency", "--json", "-d", "0.3", "-p", to_string(child.pid()), "vfs_read"},
            {{"COREBOX_PROBES", "kprobe"}});
    EXPECT_GT(only(r).at("count"), 100);
    EXPECT_EQ(r.account.at("lost_return"), 0) << r.err;
}

TEST(Funclatency, FloodIsCountedExactly)
{
    constexpr int kCalls = 30'000;
    Child a([] { read_zero(kCalls); }), b([] { read_zero(kCalls); });
    Tracer tracer({"funclatency", "--json", "-i", "0.1", "-p",
                   to_string(a.pid()) + "," + to_string(b.pid()), "vfs_read"});
    a.go();
    b.go();
    EXPECT_EQ(a.wait(), 0);
    EXPECT_EQ(b.wait(), 0);
    const Result r = tracer.wait();
    std::uint64_t sum = 0;
    for (const Json& record : r.records)
        sum += record.at("count").get<std::uint64_t>();
    expect_exact_flood(r, sum, 2 * kCalls);
    // Each call that is not shown is told once. What else may be told is of the tool's own reads,
    // one an interval.
    const auto lost = r.account.at("lost").get<std::uint64_t>();
    EXPECT_LE(sum + lost, 2 * kCalls + r.records.size()) << r.account;
}

// --where of the tools that trace functions: arguments by their names and as registers, what they
// return, how long they take. What is not asked for counts as filtered.
TEST(Funclatency, ConditionsOfAllFunctionTools)
{
    TempDir dir;
    write_file(dir / "f", std::string(200, 'x'));
    const std::string path = dir / "f", nap = this_program() + ":traced_nap";
    for (const std::string rung : {"", "kprobe"}) {
        if (rung.empty() && preempts_itself())
            continue; // the kernel skips programs of vfs_read() now and then, and the tools say so
        SCOPED_TRACE(rung);
        Child child([&] {
            char buffer[100];
            const int fd = ::open(path.c_str(), O_RDONLY);
            for (const int size : {7, 7, 30, 3, 60, 7})
                EXPECT_GT(::read(fd, buffer, std::size_t(size)), 0);
            ::lseek(fd, 0, SEEK_END);
            EXPECT_EQ(::read(fd, buffer, 7), 0);
            traced_nap(3, 4);
            traced_nap(5, 6);
        });
        const auto start = [&](const std::string& tool, const std::string& condition,
                               std::vector<std::string> more) {
            std::vector<std::string> argv{tool,     "-p",      to_string(child.pid()),
                                          "--json", "--where", condition};
            argv.insert(argv.end(), more.begin(), more.end());
            return std::make_unique<Tracer>(argv, forced(rung));
        };
        const auto latency = start(
            "funclatency", "file->f_path.dentry->d_name.name == \"f\" && count < 10 && retval == 7",
            {"vfs_read"});
        const auto slower = start("funcslower", "count == 30 && lat_us < 1s && retval > 0",
                                  {"-m", "0", "vfs_read"});
        const auto count = start("funccount", "count == 7", {"vfs_read"});
        const auto interval = start("funcinterval", "count == 7", {"vfs_read"});
        const auto stacks = start("stackcount", "arg3 == 60 && pid != 1", {"-K", "vfs_read"});
        const auto user = start("funcslower", "arg1 == 5 && lat_ms >= 20", {"-m", "0", nap});
        child.go_wait();
        const auto end = [](Tracer& tool) {
            Result r = tool.wait();
            EXPECT_EQ(r.status, 0) << r.err;
            return r;
        };
        const Result l = end(*latency), s = end(*slower), c = end(*count), i = end(*interval),
                     k = end(*stacks), u = end(*user);
        ASSERT_EQ(l.records.size(), 1u) << l.out << l.err;
        EXPECT_EQ(l.records[0].at("count"), 3);
        EXPECT_GE(l.account.at("filtered"), 4); // 30, 3, 60; the last 7 at the end of the file
        ASSERT_EQ(s.records.size(), 1u) << s.out << s.err;
        EXPECT_EQ(s.records[0].at("rval"), 30);
        ASSERT_EQ(c.records.size(), 1u) << c.out << c.err;
        EXPECT_EQ(c.records[0].at("count"), 4);
        EXPECT_GE(c.account.at("filtered"), 3);
        ASSERT_EQ(i.records.size(), 1u) << i.out << i.err;
        EXPECT_EQ(i.records[0].at("count"), 3);
        ASSERT_EQ(k.records.size(), 1u) << k.out << k.err;
        EXPECT_EQ(k.records[0].at("count"), 1);
        ASSERT_EQ(u.records.size(), 1u) << u.out << u.err;
        EXPECT_EQ(u.records[0].at("rval"), 16);
    }
    const auto refused = [](std::vector<std::string> argv) {
        const Result no = run(std::move(argv));
        EXPECT_EQ(no.status, 1) << no.out << no.err;
        return no.err;
    };
    EXPECT_NE(refused({"funccount", "--where", "countt == 7", "vfs_read"}).find("'count'"),
              std::string::npos);
    EXPECT_NE(refused({"funccount", "--where", "count == 7", "vfs_*"}).find("one function"),
              std::string::npos);
    EXPECT_NE(refused({"funccount", "--where", "retval == 7", "vfs_read"}).find("returns"),
              std::string::npos);
    EXPECT_NE(
        refused({"stackcount", "--where", "arg1 == 7", "t:sched:sched_switch"}).find("tracepoints"),
        std::string::npos);
}

} // namespace
