// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "harness.hpp"
#include "userland.hpp"
#include <sys/stat.h>

// What the tool attaches to, with lines of the test's own: where readline has made one.
extern "C" [[gnu::noinline]] const char* readline_internal_teardown(const char* line)
{
    asm volatile("" : "+r"(line));
    return line;
}
// A program that has both is asked for one of them.
extern "C" [[gnu::noinline]] const char* readline(const char* line)
{
    return readline_internal_teardown(line);
}

namespace
{

using namespace corebox::test;
using std::to_string;

constexpr std::size_t kLongest = 65535; // of a line that is shown in full
constexpr std::size_t kLengths[] = {1, 0, 254, 255, 256, 4094, 4095, 4096, kLongest, kLongest + 1};

std::string line_of(std::size_t length)
{
    std::string line(length, 'x');
    if (length > 2) {
        line.front() = 'A';
        line.back() = 'Z';
    }
    return line;
}

class BashreadlineRung : public EachRung
{
};
INSTANTIATE_TEST_SUITE_P(Rungs, BashreadlineRung, testing::Values("", "uprobe,perf_buffer"),
                         rung_name);

TEST_P(BashreadlineRung, LinesOfEachLengthAreWhole)
{
    pid_t pid = 0;
    const Result result = watch("bashreadline", {"--buffer-size", "4096"},
                                [] {
                                    for (const std::size_t length : kLengths)
                                        readline(line_of(length).c_str());
                                    readline(nullptr); // the end of the input
                                },
                                {.env = env(), .pid = &pid});
    expect_exact(result);
    ASSERT_EQ(result.records.size(), std::size(kLengths)) << result.err;
    for (std::size_t i = 0; i < std::size(kLengths); i++) {
        const Json& r = result.records[i];
        // A perf buffer takes only what the stack has room for.
        const std::size_t most = is("") ? kLongest : 255;
        const bool cut = is("") ? kLengths[i] > most : kLengths[i] >= most;
        const std::string line = line_of(kLengths[i]);
        EXPECT_EQ(r.at("pid"), pid);
        EXPECT_EQ(r.at("uid"), 0);
        EXPECT_EQ(r.at("cut"), cut) << kLengths[i];
        EXPECT_EQ(r.at("command").get<std::string>(), cut ? line.substr(0, most) + "..." : line)
            << kLengths[i];
    }
}

TEST(Bashreadline, Flood)
{
    constexpr int kFlood = 3000;
    const Result result = watch("bashreadline", {}, [] {
        for (int i = 0; i < kFlood; i++)
            readline("make -j2");
    });
    expect_exact_flood(result, result.records.size(), kFlood);
}

TEST(Bashreadline, TextOfHostileLinesAndBadInput)
{
    const Result result = watch("bashreadline", {"--where", "uid == 0 && command != \"secret\""},
                                [] {
                                    // Not in the program's file: its page may not be there yet.
                                    readline(std::string("ls\n\x1b[2J -l").c_str());
                                    readline(std::string("secret").c_str());
                                },
                                {.json = false});
    const auto rows = lines(result.out);
    ASSERT_EQ(rows.size(), 2u) << result.out;
    using Words = std::vector<std::string>;
    EXPECT_EQ(words(rows[0]), (Words{"TIME", "PID", "UID", "TTY", "COMM", "COMMAND"}));
    const Words row = words(rows[1]);
    ASSERT_EQ(row.size(), 7u) << rows[1];
    EXPECT_EQ(row[5], "ls\\n\\x1b[2J");
    EXPECT_EQ(row[6], "-l");
    EXPECT_NE(result.err.find("2 seen = 1 printed + 1 filtered"), std::string::npos) << result.err;

    EXPECT_EQ(run({"bashreadline", "-s", "/no/such"}).status, 2);
    EXPECT_EQ(run({"bashreadline", "-s", "/etc/passwd"}).status, 2);
}

// bash is started for the first time after the tool: 7 lines, one of them blank, one that goes on
// (user-facts.md section 8), and one that is longer than a page.
TEST(Bashreadline, Bash)
{
    if (!have_userland())
        GTEST_SKIP() << "no userland";
    const std::vector<std::string> typed = {
        "echo one", "", "echo \"two", "three\"", "false | true", "x=" + std::string(5000, 'y'),
        "exit 3"};
    std::string text = "read -r _ < /tmp/bashreadline.gate\n";
    for (const std::string& line : typed)
        text += line + "\n";
    write_file(userland("/tmp/bashreadline.lines"), text);
    ASSERT_EQ(::mkfifo(userland("/tmp/bashreadline.gate").c_str(), 0600), 0);
    Tracer tracer({"bashreadline", "--json", "--explain", "--comm", "bash"});
    Program bash({"bash", "--norc", "-i"}, {.input = "/tmp/bashreadline.lines"});
    EXPECT_TRUE(wait_until([&] { return tracer.err().find("attached to ") != std::string::npos; }))
        << tracer.err();
    write_file(userland("/tmp/bashreadline.gate"), "\n");
    const pid_t pid = bash.pid();
    EXPECT_EQ(bash.wait(), 3);
    Result result = tracer.stop();
    expect_exact(result);
    if (result.records.size() == typed.size() + 1) // that of the gate, if it was fast enough
        result.records.erase(result.records.begin());
    ASSERT_EQ(result.records.size(), typed.size()) << result.out;
    for (std::size_t i = 0; i < typed.size(); i++) {
        EXPECT_EQ(result.records[i].at("command"), typed[i]);
        EXPECT_EQ(result.records[i].at("pid"), pid);
    }
}

} // namespace
