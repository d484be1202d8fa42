// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// An option whose value may be left out, and a column that several options show.
#include "cli/command_line.hpp"
#include "session/session.hpp"
#include <gtest/gtest.h>

namespace corebox
{
namespace
{

struct Label {
    std::string_view text;

    static std::string parse(std::string_view text, Label& out)
    {
        out.text = text.empty() ? "none given" : text;
        return text == "bad" ? "anything else" : "";
    }
};

struct Options {
    Label label;
};

struct Row {
    std::uint32_t pid;
};

constexpr Option kOptions[] = {
    opt_maybe<&Options::label>(0, "label", "TEXT", "A label"),
    show('t', "timestamp", "The time"),
};
constexpr Column kColumns[] = {
    col<&Row::pid>("pid", "PID", 7, "Process ID"),
    col<&Row::pid>("either", "EITHER", 7, "The same", with("timestamp|utc")),
};
constexpr Tool kTool{
    .about = {.name = "probe", .area = "test", .summary = "Test", .details = ""},
    .options = kOptions,
    .positionals = {},
    .letters = {},
    .columns = kColumns,
    .needs = {},
    .shared = Shared::none,
    .interval = {},
    .make_options = nullptr,
    .open = nullptr,
    .inspect = nullptr,
};

// The label and the number of columns that a command line leads to; an error's text.
struct Parsed {
    std::string label, error;
    std::size_t columns = 0;
};

Parsed parse(std::vector<std::string> words)
{
    words.insert(words.begin(), "probe");
    std::vector<char*> argv;
    for (std::string& word : words)
        argv.push_back(word.data());
    argv.push_back(nullptr);
    Options options;
    Session session(kTool);
    try {
        parse_command_line(session, &options, int(words.size()), argv.data());
    } catch (const Failure& failure) {
        return {.error = failure.message};
    }
    const Output output(session.output_options(), kColumns);
    return {.label = std::string(options.label.text), .columns = output.columns().size()};
}

TEST(MayLack, TakesAValueOrNone)
{
    EXPECT_EQ(parse({}).label, "");
    EXPECT_EQ(parse({"--label"}).label, "none given");
    EXPECT_EQ(parse({"--label="}).label, "none given");
    EXPECT_EQ(parse({"--label=some text"}).label, "some text");
    EXPECT_EQ(parse({"--label", "-t"}).label, "none given");
    EXPECT_EQ(parse({"--label", "word"}).label, "word"); // as BCC's
    EXPECT_NE(parse({"--label", "word", "another"}).error, "");
    EXPECT_EQ(parse({"--label=bad"}).error, "--label must be anything else, not 'bad'");
}

TEST(With, AnyOfSeveralOptionsShowsAColumn)
{
    EXPECT_EQ(parse({}).columns, 1u);
    EXPECT_EQ(parse({"-t"}).columns, 2u);
    EXPECT_EQ(parse({"--utc"}).columns, 2u);
    EXPECT_EQ(parse({"--utc", "-t"}).columns, 2u);
}

} // namespace
} // namespace corebox
