// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What scripts/test decides: which tests a change can affect, and which retries are too many.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <string>
#include <string_view>
#include <sys/wait.h>

namespace
{

struct Ended {
    int status = -1;
    std::string out;
};

class Runner : public testing::Test
{
protected:
    void SetUp() override
    {
        char path[] = "/tmp/runnerXXXXXX";
        ASSERT_NE(::mkdtemp(path), nullptr);
        dir_ = path;
    }
    void TearDown() override { std::filesystem::remove_all(dir_); }

    void write(const std::string& path, const std::string& text) const
    {
        std::filesystem::create_directories((dir_ / path).parent_path());
        std::ofstream(dir_ / path) << text;
    }
    std::string read(const std::string& path) const
    {
        std::ifstream in(dir_ / path);
        return {std::istreambuf_iterator<char>(in), {}};
    }
    Ended run(const std::string& command) const { return shell(SOURCE_DIR "/scripts/" + command); }
    std::filesystem::path path(const std::string& name) const { return dir_ / name; }
    static std::ptrdiff_t count(std::string_view text, std::string_view part)
    {
        std::ptrdiff_t n = 0;
        for (auto at = text.find(part); at != text.npos; at = text.find(part, at + 1))
            n++;
        return n;
    }
    Ended shell(const std::string& command) const
    {
        Ended ended;
        FILE* pipe = ::popen(("cd " + dir_.string() + " && " + command).c_str(), "r");
        std::array<char, 4096> part;
        for (std::size_t n; (n = std::fread(part.data(), 1, part.size(), pipe)) > 0;)
            ended.out.append(part.data(), n);
        const int status = ::pclose(pipe);
        ended.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        return ended;
    }

private:
    std::filesystem::path dir_;
};

// A tree of two tools, one of which is known by another name, with what the compiler leaves behind.
class Affected : public Runner
{
protected:
    void SetUp() override
    {
        Runner::SetUp();
        write("libbpf-tools/file/one/one.cpp", "");
        write("libbpf-tools/file/two-b/two-b.cpp", "constexpr Alias kAliases[] = {{\"other\"}};");
        write("tests/guest/harness.hpp", "");
        write("tests/guest/one_test.cpp", "TEST(One, A)\nTEST_P(OneRung, B)\nrun({\"one\"});");
        write("tests/guest/two_test.cpp", "TEST_F(Two, A)\nrun({\"other\"});");
        write("tests/guest/shared_test.cpp", "TEST(Shared, A)\n");
        write("build/tools/one.d", "build/tools/one.o: libbpf-tools/file/one/one.cpp \\\n"
                                   " common/shape/shape.hpp /usr/include/x.h\n\nx:\n");
        write("build/bpf/one.bpf.d", "build/bpf/one.bpf.o: common/bpf/a.bpf.h\n");
        write("build/tools/two-b.d", "build/tools/two-b.o: common/output/row.hpp\n");
        write("build/bpf/two-b.bpf.d", "build/bpf/two-b.bpf.o: common/bpf/a.bpf.h "
                                       "common/bpf/b.bpf.h\n");
        // shape.cpp uses low.hpp, whose code is low.cpp; nothing includes main's.
        write("build/kit/common/shape/shape.d",
              "shape.o: common/shape/shape.cpp common/shape/shape.hpp common/low.hpp\n");
        write("build/kit/common/low.d", "low.o: common/low.cpp common/low.hpp\n");
        write("build/tests/obj/tests/guest/shared_test.d",
              "t.o: tests/guest/shared_test.cpp tests/guest/help.hpp\n");
    }
    std::string affected(const std::string& files) const
    {
        const Ended ended = run("affected " + files);
        EXPECT_EQ(ended.status, 0) << files;
        return ended.out;
    }
    static constexpr const char* kOne = "One.*:*/One.*:OneRung.*:*/OneRung.*:*/EveryTool.*/one\n";
    static constexpr const char* kTwo = "Two.*:*/Two.*:*/EveryTool.*/two_b\n";
};

TEST_F(Affected, AToolIsTestedByWhatNamesItOrItsAlias)
{
    EXPECT_EQ(affected("libbpf-tools/file/one/one.bpf.c"), kOne);
    EXPECT_EQ(affected("libbpf-tools/file/two-b/two-b.h"), kTwo);
    EXPECT_EQ(affected("tests/guest/two_test.cpp"), "Two.*:*/Two.*\n");
}

TEST_F(Affected, AFileOfTheKitAffectsWhoIncludesIt)
{
    EXPECT_EQ(affected("common/bpf/b.bpf.h"), kTwo);
    EXPECT_EQ(affected("common/output/row.hpp"), kTwo);
    EXPECT_EQ(affected("common/shape/shape.cpp"), kOne);
    EXPECT_EQ(affected("common/low.cpp"), kOne) << "through another file of the kit";
    EXPECT_EQ(affected("common/bpf/a.bpf.h"), "One.*:*/One.*:OneRung.*:*/OneRung.*:Two.*:*/Two.*:"
                                              "*/EveryTool.*/one:*/EveryTool.*/two_b\n");
    EXPECT_EQ(affected("tests/guest/help.hpp"), "Shared.*:*/Shared.*\n");
}

TEST_F(Affected, WhatIsNotKnownAffectsAll)
{
    for (const char* file : {"Makefile", "common/main.cpp", "common/new.hpp", "common/new.cpp",
                             "tests/guest/harness.hpp", "tests/guest/tests.mk", "scripts/vm",
                             "scripts/test", "docs/x.md common/new.hpp"})
        EXPECT_EQ(affected(file), "all\n") << file;
    EXPECT_EQ(affected("docs/x.md tests/unit/a_test.cpp libbpf-tools/file/one/one.md"), "none\n");
}

using Ledger = Runner;

TEST_F(Ledger, TheSameTestTwiceInThreeRunsIsAFailure)
{
    const std::string ledger = "guest/ledger cache ";
    EXPECT_EQ(run(ledger + "c1 6.1:A.B 6.12:A.B").status, 0) << "once, on two kernels";
    EXPECT_EQ(run(ledger + "c2 6.1:C.D").status, 0);
    const Ended again = run(ledger + "c3 7.2:A.B");
    EXPECT_EQ(again.status, 1);
    EXPECT_EQ(again.out, "A.B needed a retry in 2 of the last 3 runs\n");
    EXPECT_EQ(run(ledger + "c4").status, 0) << "once in these three";
    EXPECT_EQ(run(ledger + "c5 7.2:C.D").status, 0);
    const std::string text = read("cache");
    EXPECT_EQ(std::ranges::count(text, '\n'), 5);
    EXPECT_NE(text.find("Z c3 7.2:A.B\n"), std::string::npos) << text;
}

// scripts/test itself in a tree of stubs: make builds nothing, and each guest prints what a test
// program would. A.Once is a matter of one kernel, A.Skip skips on 5.10, and A.Flaky fails on 6.1
// if FLAKY is set, unless it is run alone.
class WholeRun : public Runner
{
protected:
    void SetUp() override
    {
        Runner::SetUp();
        for (const char* script : {"test", "affected", "guest/ledger"}) {
            write(std::string("scripts/") + script, "");
            std::filesystem::copy(std::string(SOURCE_DIR "/scripts/") + script,
                                  path(std::string("scripts/") + script),
                                  std::filesystem::copy_options::overwrite_existing);
        }
        const auto program = [&](const std::string& name, const std::string& text) {
            write(name, "#!/bin/sh\n" + text);
            std::filesystem::permissions(path(name), std::filesystem::perms::owner_all);
        };
        write("tests/where", "once A.Once\n");
        write("tests/expected-skips", "5.10 A.Skip reason\n");
        write("tests/unit/unit.mk", "");
        program("bin/make", "");
        program("scripts/deps", "");
        program("scripts/min-btf", "");
        program("scripts/kernels",
                "case $1 in\n"
                "--list) printf '5.10\\tx\\n6.1\\tx\\n6.12\\tx\\n7.2\\tx\\n' ;;\n"
                "--dir) mkdir -p k/$2; echo $2 >k/$2/release; echo k/$2 ;;\n"
                "esac\n");
        program("scripts/check-packages", one("P.A"));
        program("build/tests/unit_tests", one("U.A"));
        program("build/asan/unit_tests", one("U.A"));
        program("build/tests/guest_tests",
                "printf 'A.\\n  Once\\n  Flaky\\n  Skip  # GetParam() = 1\\n'\n");
        program("scripts/vm", "echo \"$*\" >>vm.args\n"
                              "case \"$*\" in *gtest_filter=A.Flaky) " +
                                  one("A.Flaky") +
                                  "exit ;; esac\n"
                                  "echo '[==========] Running 2 tests'\n"
                                  "echo '[ RUN      ] A.Flaky'\n"
                                  "if [ \"$1$FLAKY\" = 6.1yes ]; then echo boom\n"
                                  "echo '[  FAILED  ] A.Flaky (700 ms)'; else echo '[       OK ] "
                                  "A.Flaky (20 ms)'; fi\n"
                                  "echo '[ RUN      ] A.Skip'\n"
                                  "if [ $1 = $SKIPS ]; then echo '[  SKIPPED ] A.Skip (3 ms)'\n"
                                  "else echo '[       OK ] A.Skip (4321 ms)'; fi\n"
                                  "[ \"$1$FLAKY\" != 6.1yes ]\n");
    }
    static std::string one(const std::string& test)
    {
        return "echo '[==========] Running 1 tests'\necho '[ RUN      ] " + test +
               "'\necho '[       OK ] " + test + " (9 ms)'\n";
    }
    Ended test(const std::string& environment, const std::string& arguments = "") const
    {
        return shell("PATH=$PWD/bin:$PATH COREBOX_CACHE=$PWD/cache ONLY= COREBOX_BUILD=build " +
                     environment + " scripts/test " + arguments + " 2>&1");
    }
};

TEST_F(WholeRun, EveryGuestRunsItsShareAndASkipIsExpectedOrAFailure)
{
    const Ended ended = test("SKIPS=5.10");
    EXPECT_EQ(ended.status, 0) << ended.out;
    EXPECT_NE(ended.out.find(" passed, 0 failed, "), std::string::npos) << ended.out;
    EXPECT_NE(ended.out.find("\n4321 6.12 A.Skip\n"), std::string::npos) << ended.out;
    const std::string guests = read("vm.args");
    for (const char* kernel : {"5.10", "6.1", "7.2"})
        EXPECT_NE(guests.find(std::string("\n") + kernel + " "), std::string::npos);
    EXPECT_EQ(count(guests, "gtest_filter=-Lockdown.*:A.Once\n"), 3) << guests;
    EXPECT_EQ(count(guests, "gtest_filter=-Lockdown.*\n"), 1) << guests;

    const Ended surprised = test("SKIPS=6.12");
    EXPECT_EQ(surprised.status, 1);
    EXPECT_NE(surprised.out.find("6.12: A.Skip: skipped, but not in tests/expected-skips"),
              std::string::npos)
        << surprised.out;
}

TEST_F(WholeRun, RetriesAreToldAndTheSecondInThreeRunsFails)
{
    const Ended first = test("FLAKY=yes SKIPS=none");
    EXPECT_EQ(first.status, 0) << first.out;
    EXPECT_NE(first.out.find("failed once, passed when repeated: 6.1:A.Flaky\n"), std::string::npos)
        << first.out;
    EXPECT_EQ(test("FLAKY=yes SKIPS=none", "--kernel 6.1").status, 0) << "no whole run";
    const Ended second = test("FLAKY=yes SKIPS=none");
    EXPECT_EQ(second.status, 1);
    EXPECT_NE(second.out.find("A.Flaky needed a retry in 2 of the last 2 runs\n"),
              std::string::npos)
        << second.out;
}

TEST_F(WholeRun, APatternOfNoTestIsAnError)
{
    write("tests/where", "ends A.None\n");
    const Ended ended = test("SKIPS=none");
    EXPECT_EQ(ended.status, 2);
    EXPECT_NE(ended.out.find("tests/where: no test is named A.None"), std::string::npos)
        << ended.out;
}

} // namespace
