// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "other_self.hpp"
#include "usdt.hpp"
#include "userland.hpp"
#include <csignal>
#include <sys/mman.h>
#include <sys/stat.h>

namespace
{

using namespace corebox::test;
using std::to_string;
using Env = Program::How;

// What a program of tests/userland calls once it has been told to, and is watched.
Result calls_of(const std::vector<std::string>& program, std::vector<std::string> tool,
                const Environment& env = {}, const Env& how = {})
{
    const Program p(program, how);
    p.wait_for("ready");
    tool.insert(tool.end(), {"--json", "-p", to_string(p.pid())});
    Tracer tracer(tool, env);
    p.say_line();
    p.say_line();
    return tracer.wait();
}

// The row of a method; calls -1: there is none.
Json row_of(const Result& result, const std::string& name)
{
    const auto rows = with(result.records, "name", name);
    EXPECT_LE(rows.size(), 1u) << name;
    return rows.empty() ? Json{{"calls", -1}, {"ended", -1}, {"total_us", 0}} : rows[0];
}

class UcallsRung : public EachRung
{
};
INSTANTIATE_TEST_SUITE_P(Rungs, UcallsRung, testing::Values("", "uprobe,raw_tp"), rung_name);

// A kernel's part: two programs, a semaphore less, and time that ends find with recursion and where
// calls end by an exception.
TEST_P(UcallsRung, PerlSubsAndTheirTime)
{
    if (!have_userland())
        GTEST_SKIP() << "no programs of users";
    const Result result = calls_of({"perl", "/t/calls.pl"}, {"ucalls", "-L", "-S"}, env());
    expect_exact(result);
    EXPECT_EQ(row_of(result, "main.leaf").at("calls"), 1000);
    EXPECT_EQ(row_of(result, "main.leaf").at("ended"), 1000);
    EXPECT_EQ(row_of(result, "main.mid").at("ended"), 10);
    EXPECT_EQ(row_of(result, "main.fact").at("calls"), 6);
    EXPECT_EQ(row_of(result, "main.fact").at("ended"), 6);
    const Json run = row_of(result, "Job.run");
    EXPECT_EQ(run.at("class"), "Job");
    EXPECT_EQ(run.at("method"), "run");
    EXPECT_EQ(run.at("ended"), 3);
    EXPECT_GE(run.at("total_us"), 21'000); // it sleeps 7 ms, 2 of them in what dies
    const Json work = row_of(result, "Job.work");
    EXPECT_EQ(work.at("calls"), 3);
    EXPECT_EQ(work.at("ended"), 0);
    EXPECT_TRUE(work.at("total_us").is_null());
    const Json blessed = row_of(result, "Scalar::Util.blessed");
    EXPECT_EQ(blessed.at("calls"), 5);
    EXPECT_EQ(blessed.at("ended"), 0);                       // of C: its end is no operation
    EXPECT_EQ(row_of(result, "main.begin").at("calls"), -1); // it was under way
    // Within mid() is leaf(), the whole of it.
    EXPECT_GT(row_of(result, "main.mid").at("total_us"),
              row_of(result, "main.leaf").at("total_us"));
    std::uint64_t slept = 0, us = 0;
    for (const Json& r : with(result.records, "kind", "syscall"))
        if (r.at("name") == "select" || r.at("name") == "pselect6") {
            slept += r.at("ended").get<std::uint64_t>();
            us += r.at("total_us").get<std::uint64_t>();
        }
    EXPECT_EQ(slept, 6u);
    EXPECT_GE(us, 21'000u);
}

TEST(Ucalls, PythonRubyPhpAndTcl)
{
    if (!have_userland())
        GTEST_SKIP() << "no programs of users";
    const Result python = calls_of({"python3", "/t/calls.py"}, {"ucalls", "-L"});
    expect_exact(python);
    for (const auto& [name, calls] :
         std::map<std::string, int>{{"leaf", 1000}, {"mid", 10}, {"fact", 6}, {"fail", 3}}) {
        EXPECT_EQ(row_of(python, "/t/calls.py." + name).at("calls"), calls) << name;
        EXPECT_EQ(row_of(python, "/t/calls.py." + name).at("ended"), calls) << name;
    }

    const std::vector<std::string> ruby = {"ruby", "--disable=gems", "/t/calls.rb"};
    auto traced = ruby;
    traced.push_back("trace");
    Result result = calls_of(traced, {"rubycalls"});
    expect_exact(result);
    EXPECT_EQ(row_of(result, "Object.leaf").at("calls"), 1000);
    EXPECT_EQ(row_of(result, "Object.mid").at("calls"), 10);
    EXPECT_EQ(row_of(result, "GC.start").at("calls"), 5);
    result = calls_of(ruby, {"ucalls", "-L"});
    expect_exact(result);
    EXPECT_NE(result.err.find("TracePoint"), std::string::npos) << result.err;
    EXPECT_EQ(row_of(result, "Object.leaf").at("calls"), -1);
    EXPECT_GE(row_of(result, "Integer.times").at("ended"), 10); // in C

    const std::vector<std::string> php = {"php", "-n", "/t/calls.php"};
    result = calls_of(php, {"ucalls", "-L"}, {}, {.env = {{"USE_ZEND_DTRACE", "1"}}});
    expect_exact(result);
    EXPECT_EQ(row_of(result, "leaf").at("ended"), 1000);
    EXPECT_TRUE(row_of(result, "leaf").at("class").get<std::string>().empty());
    EXPECT_EQ(row_of(result, "Job.mid").at("ended"), 10);
    {
        const Program p(php);
        p.wait_for("ready");
        result = run({"ucalls", to_string(p.pid())});
        EXPECT_EQ(result.status, 2);
        EXPECT_NE(result.err.find("USE_ZEND_DTRACE=1"), std::string::npos) << result.err;
    }

    const std::vector<std::string> tcl = {"tclsh", "/t/calls.tcl"};
    result = calls_of(tcl, {"tclcalls"});
    expect_exact(result);
    EXPECT_EQ(result.records.size(), 2u);
    EXPECT_EQ(row_of(result, "leaf").at("calls"), 1000);
    EXPECT_EQ(row_of(result, "mid").at("calls"), 10);
}

TEST(Ucalls, Java)
{
    if (!have_userland())
        GTEST_SKIP() << "no programs of users";
    const std::vector<std::string> java = {"java", "-Xms32m",  "-Xmx32m", "-XX:+UseSerialGC",
                                           "-cp",  "/classes", "Calls"};
    {
        const Program p(java);
        p.wait_for("ready");
        const Result result = run({"javacalls", to_string(p.pid())});
        EXPECT_EQ(result.status, 2);
        EXPECT_NE(result.err.find("-XX:+DTraceMethodProbes"), std::string::npos) << result.err;
    }
    auto traced = java;
    traced.insert(traced.begin() + 1, "-XX:+DTraceMethodProbes");
    const Result result = calls_of(traced, {"ucalls", "-L"});
    expect_exact(result);
    EXPECT_EQ(row_of(result, "Calls.leaf").at("calls"), 1000);
    EXPECT_EQ(row_of(result, "Calls.leaf").at("ended"), 1000);
    EXPECT_EQ(row_of(result, "Calls.mid").at("ended"), 10);
    EXPECT_EQ(row_of(result, "Calls.main").at("calls"), -1);
    EXPECT_GE(row_of(result, "java/lang/String.length").at("calls"), 1);
}

#ifdef __x86_64__

// What says to be a JVM.
[[gnu::noinline, gnu::noipa]] void enter_method(const char* klass, int klass_length,
                                                const char* method, int method_length)
{
    USDT_PROBE_WITH("hotspot", "method__entry", "0", "8@$1 8@%0 -4@%1 8@%2 -4@%3 8@$0 -4@$0",
                    "r"(klass), "r"(klass_length), "r"(method), "r"(method_length));
}

constexpr const char* kHostile = "UCALLS_GATE";
[[maybe_unused]] const bool kIsHostile = as_other_self(kHostile, [] {
    static char lengthy[300];
    std::fill(std::begin(lengthy), std::end(lengthy), 'x');
    // Its end is that of a page behind which there is none.
    char* const page = static_cast<char*>(
        ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    page[4094] = 'e', page[4095] = 'f';
    const char* const wild = reinterpret_cast<const char*>(0xffff888000000000);
    enter_method("A", 1, page + 4094, 2);
    enter_method("A", 1, page + 4094, 3);
    enter_method("A", 1, wild, 5);
    enter_method("A", 1, "m", -1);
    enter_method("A", 1, "m", 0x7fffffff); // as far as can be read
    enter_method(lengthy, 300, "long", 4);
    enter_method(lengthy, 299, "long", 4); // another one
    enter_method("A\x1b[2J\nforged 1", 14, "m", 1);
    enter_method("B", 1, "m\0n", 3);
});

// Lengths and addresses that a program makes up: what cannot be read is [unknown], what is long is
// cut, and nothing is written raw.
TEST(Ucalls, HostilePrograms)
{
    const TempDir dir;
    const std::string library = dir / "libjvm.so";
    write_file(library, read_file("/proc/self/exe"));
    ASSERT_EQ(::chmod(library.c_str(), 0755), 0);
    for (const bool json : {true, false}) {
        std::vector<std::string> argv = {"ucalls", "-l",        "java",
                                         "--comm", "libjvm.so", "--explain"};
        if (json)
            argv.push_back("--json");
        Tracer tracer(argv);
        const OtherSelf app(kHostile, library);
        EXPECT_TRUE(wait_until([&] {
            return tracer.err().find("attached to " + library) != std::string::npos;
        })) << tracer.err();
        app.go_wait();
        const Result result = tracer.stop();
        if (!json) {
            EXPECT_NE(result.out.find("A\\x1b[2J\\nforged\\x201.m"), std::string::npos)
                << result.out;
            EXPECT_EQ(result.out.find('\x1b'), std::string::npos);
            continue;
        }
        expect_exact(result);
        EXPECT_EQ(result.account.at("seen"), 9);
        EXPECT_EQ(row_of(result, "A.ef").at("calls"), 1);
        EXPECT_EQ(row_of(result, "A.[unknown]").at("calls"), 3);
        EXPECT_EQ(with(result.records, "name", std::string(128, 'x') + "....long").size(), 2u);
        EXPECT_EQ(row_of(result, "A\x1b[2J\nforged 1.m").at("calls"), 1);
        EXPECT_EQ(row_of(result, std::string("B.m\0n", 5)).at("calls"), 1);
    }
}

#endif

// More names than there is room for.
TEST(Ucalls, Flood)
{
    if (!have_userland())
        GTEST_SKIP() << "no programs of users";
    constexpr int kSubs = 16384 + 500;
    const Result result = calls_of({"perl", "/t/names.pl", to_string(kSubs)}, {"ucalls"});
    EXPECT_EQ(result.status, 3) << result.err;
    EXPECT_LE(result.records.size(), 16384u);
    EXPECT_GE(result.records.size(), 16000u);
    EXPECT_EQ(result.account.at("seen"), kSubs);
    EXPECT_EQ(result.account.at("printed"), result.records.size());
    EXPECT_EQ(result.account.at("printed").get<std::uint64_t>() +
                  result.account.at("lost").get<std::uint64_t>(),
              unsigned(kSubs));
}

TEST(Ucalls, TextAllProcessesAndBadInput)
{
    // A command that is no runtime itself, but may start one.
    const Result waits = run({"javacalls", "--json", "--", "sh", "-c", "true"});
    EXPECT_EQ(waits.status, 0);
    EXPECT_NE(waits.err.find("waiting for one"), std::string::npos) << waits.err;
    for (const auto& [arguments, status, why] :
         std::vector<std::tuple<std::vector<std::string>, int, std::string>>{
             {{}, 1, "missing --language"},
             {{"-l", "cobol"}, 1, "java|node|perl"},
             {{"-l", "none"}, 1, "--syscalls"},
             {{"-l", "perl", "-m"}, 1, "--latency"},
             {{"-l", "perl", "-S"}, 1, "missing PID"},
             {{"-l", "node"}, 2, "no probes at calls"},
             {{to_string(::getpid())}, 2, "use --language"},
             {{"-l", "perl", to_string(::getpid())}, 2, "it maps no runtime of perl"},
         }) {
        std::vector<std::string> argv = {"ucalls"};
        argv.insert(argv.end(), arguments.begin(), arguments.end());
        const Result result = run(argv);
        EXPECT_EQ(result.status, status) << result.err;
        EXPECT_NE(result.err.find(why), std::string::npos) << result.err;
    }
    if (!have_userland())
        GTEST_SKIP() << "no programs of users";
    // One that runs already, and one that starts later.
    Program first({"perl", "/t/calls.pl"});
    first.wait_for("ready");
    Tracer tracer({"perlcalls", "-T", "2"});
    Program later({"perl", "/t/calls.pl"});
    later.wait_for("ready");
    for (const Program* p : {&first, &later}) {
        p->say_line();
        p->wait_for("1000");
    }
    const Result result = tracer.stop();
    EXPECT_EQ(result.status, 0) << result.err;
    EXPECT_NE(result.err.find(" + 0 lost"), std::string::npos) << result.err;
    const auto text = lines(result.out);
    ASSERT_EQ(text.size(), 4u) << result.out;
    EXPECT_EQ(words(text[1]), (std::vector<std::string>{"METHOD", "#", "CALLS"}));
    EXPECT_EQ(words(text[2]), (std::vector<std::string>{"main.leaf", "2000"}));
}

} // namespace
