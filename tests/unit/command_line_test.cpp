// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The command line of a tool that has something of everything.
#include "cli/command_line.hpp"
#include "session/session.hpp"
#include <cstring>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <vector>

namespace corebox
{
namespace
{

struct Options {
    bool failed = false;
    std::string_view name;
    int nice = 0;
    std::uint8_t mode = 0;
    std::vector<std::uint32_t> cpus;
};

struct Row {
    std::uint32_t pid;
};

constexpr Option kOptions[] = {
    flag<&Options::failed>('x', "failed", "Only failures"),
    opt<&Options::name>('n', "name", "TEXT", "Only this name"),
    opt<&Options::nice>(0, "nice", "N", "Niceness", {-20, 19}),
    choice<&Options::mode>('m', "mode", "all|reads|writes", "Which operations"),
    opt<&Options::cpus>('c', "cpu", "CPU,...", "Only these CPUs", {0, 4095}),
    show('e', "extended-fields", "More columns", "extended"),
};
constexpr Letter kLetters[] = {{'p', "pid"}, {'d', "duration"}, {'E', "extended-fields"}};
constexpr Column kColumns[] = {
    col<&Row::pid>("pid", "PID", 7, "Process ID"),
    col<&Row::pid>("pid2", "PID2", 7, "Process ID", with("extended-fields")),
};
constexpr Example kExamples[] = {{"probe -x", "Only failures, \"quoted\""}};
constexpr Tool kTool{
    .about = {.name = "probe",
              .area = "test",
              .summary = "Test the command line",
              .details = "",
              .examples = kExamples},
    .options = kOptions,
    .positionals = {},
    .letters = kLetters,
    .columns = kColumns,
    .needs = {},
    .shared = Shared::filter | Shared::interval | Shared::events | Shared::sorted,
    .interval = {},
    .make_options = nullptr,
    .open = nullptr,
    .inspect = nullptr,
};

// A command line and what became of it. The words stay where options may point to.
struct Parsed {
    std::vector<std::string> storage;
    std::vector<char*> argv;
    Options options;
    Session session{kTool};
    std::string error; // empty: taken

    explicit Parsed(const std::vector<const char*>& words)
    {
        storage.emplace_back("probe");
        storage.insert(storage.end(), words.begin(), words.end());
        for (std::string& word : storage)
            argv.push_back(word.data());
        argv.push_back(nullptr);
        try {
            parse_command_line(session, &options, int(storage.size()), argv.data());
        } catch (const Failure& failure) {
            EXPECT_EQ(failure.status, Exit::usage);
            error = failure.message;
        }
    }
    Parsed(const Parsed&) = delete;
};

TEST(CommandLine, NothingGiven)
{
    const Parsed p({});
    EXPECT_EQ(p.error, "");
    EXPECT_FALSE(p.options.failed);
    EXPECT_TRUE(p.session.given_names.empty());
    EXPECT_TRUE(p.session.command.empty());
    EXPECT_EQ(p.session.format, Format::text);
}

TEST(CommandLine, LettersOfTheToolAndOfBcc)
{
    const Parsed p({"-x", "-n", "cat", "-p", "7,8", "-d", "0.5", "-c0,3"});
    EXPECT_EQ(p.error, "");
    EXPECT_TRUE(p.options.failed);
    EXPECT_EQ(p.options.name, "cat");
    EXPECT_EQ(p.session.pids, (std::vector<std::uint32_t>{7, 8}));
    EXPECT_EQ(p.session.duration, std::chrono::milliseconds(500));
    EXPECT_EQ(p.options.cpus, (std::vector<std::uint32_t>{0, 3}));
    EXPECT_TRUE(p.session.given("failed"));
    EXPECT_FALSE(p.session.given("json"));
}

TEST(CommandLine, ValuesOutliveTheParser)
{
    const Parsed p({"--name=a-name-that-is-too-long-for-the-small-string-optimisation",
                    "--columns=pid2,pid", "--cgroup", "/sys/fs/cgroup/some/long/path/of/a/cgroup"});
    EXPECT_EQ(p.error, "");
    EXPECT_EQ(p.options.name, "a-name-that-is-too-long-for-the-small-string-optimisation");
    EXPECT_EQ(p.session.columns, "pid2,pid");
    EXPECT_EQ(p.session.cgroup, "/sys/fs/cgroup/some/long/path/of/a/cgroup");
    EXPECT_EQ(p.options.name.data(), p.storage[1].data() + std::strlen("--name="));
}

TEST(CommandLine, AliasesAbbreviationsAndUnderscores)
{
    EXPECT_TRUE(Parsed({"--extended"}).session.given("extended-fields"));
    EXPECT_TRUE(Parsed({"--extended_fields"}).session.given("extended-fields"));
    EXPECT_TRUE(Parsed({"--extended-fields"}).session.given("extended-fields"));
    EXPECT_EQ(Parsed({"--maxrows", "5"}).session.rows, 5u);
    EXPECT_EQ(Parsed({"--buffer_size=64"}).session.buffer_kib, 64u);
    EXPECT_EQ(Parsed({"--buffer-pages=64"}).session.buffer_bytes(), 64u << 12);
    EXPECT_EQ(Parsed({"--name=with_underscore"}).options.name, "with_underscore");
    EXPECT_EQ(Parsed({"--dur", "2"}).session.duration, std::chrono::seconds(2));
}

TEST(CommandLine, Choice)
{
    EXPECT_EQ(Parsed({"-m", "all"}).options.mode, 0);
    EXPECT_EQ(Parsed({"--mode=writes"}).options.mode, 2);
    EXPECT_EQ(Parsed({"-m", "both"}).error, "--mode must be one of all|reads|writes, not 'both'");
}

TEST(CommandLine, IntervalAndCount)
{
    const Parsed both({"0.5", "3"});
    EXPECT_EQ(both.error, "");
    EXPECT_EQ(both.session.interval, std::chrono::milliseconds(500));
    EXPECT_EQ(both.session.count, 3u);
    const Parsed mixed({"1", "-x", "2"});
    EXPECT_EQ(mixed.error, "");
    EXPECT_TRUE(mixed.options.failed);
    EXPECT_EQ(mixed.session.count, 2u);
    EXPECT_EQ(Parsed({"0"}).error, "INTERVAL must be greater than 0");
    EXPECT_EQ(Parsed({"1", "0"}).error,
              "COUNT must be a number from 1 to 9223372036854775807, not '0'");
    EXPECT_EQ(Parsed({"1", "2", "3"}).error, "unexpected argument '3'");
    EXPECT_EQ(Parsed({"x"}).error,
              "INTERVAL must be a number of seconds such as 1 or 0.5, not 'x'");
    EXPECT_EQ(Parsed({"--duration", "0"}).error, "--duration must be greater than 0");
}

TEST(CommandLine, TheCommandBehindTwoDashes)
{
    const Parsed p({"-x", "--", "make", "--keep_going", "-x"});
    EXPECT_EQ(p.error, "");
    ASSERT_EQ(p.session.command.size(), 4u); // with its null
    EXPECT_STREQ(p.session.command[0], "make");
    EXPECT_STREQ(p.session.command[1], "--keep_going"); // not ours to spell
    EXPECT_STREQ(p.session.command[2], "-x");
    EXPECT_EQ(p.session.command[3], nullptr);
    EXPECT_EQ(Parsed({"--"}).error, "no command after '--'");
}

TEST(CommandLine, Formats)
{
    EXPECT_EQ(Parsed({"--json"}).session.format, Format::json);
    EXPECT_EQ(Parsed({"--csv"}).session.format, Format::csv);
    EXPECT_EQ(Parsed({"--json", "--csv"}).error, "--json and --csv exclude each other");
    EXPECT_EQ(Parsed({"--columns", "pid,comm"}).error,
              "--columns: no column 'comm'; there are pid,pid2");
}

TEST(CommandLine, ErrorsAreOneLineThatNamesTheWord)
{
    const std::pair<std::vector<const char*>, std::string_view> bad[] = {
        {{"--nosuch"}, "unknown option '--nosuch'"},
        {{"-Z"}, "unknown option '-Z'"},
        {{"--name"}, "missing TEXT for --name"},
        {{"-n"}, "missing TEXT for --name"},
        {{"--failed=yes"}, "--failed takes no value"},
        {{"--name="}, "--name must be a text, not ''"},
        {{"--nice", "20"}, "--nice must be a number from -20 to 19, not '20'"},
        {{"--nice=-21"}, "--nice must be a number from -20 to 19, not '-21'"},
        {{"-p", "0"},
         "--pid must be a list, separated by commas, of: a number from 1 to 4294967295, not '0'"},
        {{"-p", "abc"},
         "--pid must be a list, separated by commas, of: a number from 1 to 4294967295, not 'abc'"},
        {{"--comm", "sixteen-letters-"},
         "--comm must be a text of 1 to 15 bytes, not 'sixteen-letters-'"},
        {{"--uid", "no-such-user"}, "--uid must be a user name or number, not 'no-such-user'"},
        {{"--buffer-size", "3"}, "--buffer-size must be a number from 4 to 1048576, not '3'"},
    };
    for (const auto& [words, message] : bad) {
        const std::string error = Parsed(words).error;
        EXPECT_EQ(error, message);
        EXPECT_EQ(error.find('\n'), error.npos);
    }
}

TEST(CommandLine, BadOptionBehindGoodOnes)
{
    EXPECT_EQ(Parsed({"-x", "-p", "1", "--nosuch", "-x"}).error, "unknown option '--nosuch'");
    EXPECT_EQ(Parsed({"1", "2", "-xZ"}).error, "unknown option '-xZ'");
}

TEST(CommandLineDeath, InformationEndsWithStatusZero)
{
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    for (const char* word : {"--help", "-h", "-?", "--usage", "--version", "-V", "--schema"})
        EXPECT_EXIT(Parsed(std::vector{word}), testing::ExitedWithCode(0), "") << word;
}

// A tool whose option has the name of one of the kit's, as BCC's criticalstat --duration, and that
// calls something of its own -v.
struct OwnOptions {
    int least = 0;
    bool details = false;
};
constexpr Option kOwnNames[] = {
    opt<&OwnOptions::least>('d', "least", "US", "Trace only longer ones", {}, "duration"),
    flag<&OwnOptions::details>('v', "details", "Print details"),
    show('C', "count", "Print counts"),
};
constexpr Tool kOwnTool{
    .about = {.name = "own", .area = "test", .summary = "Test names", .details = ""},
    .options = kOwnNames,
    .positionals = {},
    .letters = {},
    .columns = kColumns,
    .needs = {},
    .shared = Shared::every,
    .interval = {},
    .make_options = nullptr,
    .open = nullptr,
    .inspect = nullptr,
};

TEST(CommandLine, NamesThatTheToolOwnsAreNotTheKits)
{
    const auto parse = [](std::vector<std::string> words, OwnOptions& o, Session& session) {
        words.insert(words.begin(), "own");
        static std::vector<std::string> kept; // options are views of it
        kept = std::move(words);
        std::vector<char*> argv;
        for (std::string& word : kept)
            argv.push_back(word.data());
        argv.push_back(nullptr);
        parse_command_line(session, &o, int(kept.size()), argv.data());
    };
    OwnOptions o;
    Session session(kOwnTool);
    parse({"--duration", "500", "--run-time", "2", "--verbose", "--interval", "0"}, o, session);
    EXPECT_EQ(o.least, 500);
    EXPECT_EQ(session.duration, std::chrono::seconds(2));
    EXPECT_TRUE(o.details);
    EXPECT_FALSE(session.verbose);
    EXPECT_FALSE(session.given("interval")); // BCC's "-i 0": none
    Session debug(kOwnTool);
    parse({"--debug"}, o, debug);
    EXPECT_TRUE(debug.verbose);
    Session limited(kOwnTool);
    parse({"--limit", "3"}, o, limited);
    EXPECT_EQ(limited.count, 3u);
    EXPECT_FALSE(limited.given("count"));
}

TEST(Schema, IsTheDeclaration)
{
    const auto schema = nlohmann::json::parse(corebox::schema(kTool));
    EXPECT_EQ(schema["name"], "probe");
    EXPECT_EQ(schema["area"], "test");
    EXPECT_EQ(schema["columns"].size(), 2u);
    EXPECT_EQ(schema["columns"][1]["key"], "pid2");
    EXPECT_EQ(schema["columns"][1]["option"], "extended-fields");
    EXPECT_EQ(schema["operands"][0]["name"], "INTERVAL");
    EXPECT_EQ(schema["examples"][0]["text"], "Only failures, \"quoted\"");
    const auto option = [&](std::string_view name) {
        for (const auto& o : schema["options"])
            if (o["name"] == name)
                return o;
        return nlohmann::json();
    };
    EXPECT_EQ(option("failed")["letters"], nlohmann::json({"x"}));
    EXPECT_EQ(option("failed")["group"], "tool");
    EXPECT_EQ(option("pid")["letters"], nlohmann::json({"p"}));
    EXPECT_EQ(option("pid")["group"], "filter");
    EXPECT_EQ(option("json")["group"], "common");
    EXPECT_FALSE(option("json").contains("letters"));
    EXPECT_EQ(option("debug")["letters"], nlohmann::json({"v"}));
    EXPECT_EQ(option("debug")["aliases"], nlohmann::json({"verbose"}));
    EXPECT_EQ(option("help")["letters"], nlohmann::json({"h", "?"}));
    EXPECT_EQ(option("extended-fields")["letters"], nlohmann::json({"e", "E"}));
}

} // namespace
} // namespace corebox
