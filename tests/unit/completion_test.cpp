// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Completion, asked of the shells themselves.
#include "base/text.hpp"
#include "cli/command_line.hpp"
#include "cli/completion.hpp"
#include "session/session.hpp"
#include <array>
#include <cstdio>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace corebox
{
namespace
{

using testing::HasSubstr;
using testing::Not;

// Runs SHELL on PROGRAM, which finds SCRIPT in the file $1; both streams.
std::string ask(const std::string& shell, const std::string& script, const std::string& program)
{
    char path[] = "/tmp/completion.XXXXXX";
    const int fd = ::mkstemp(path);
    EXPECT_GE(fd, 0);
    EXPECT_EQ(::write(fd, script.data(), script.size()), ssize_t(script.size()));
    ::close(fd);
    const std::string command = cat(shell, " '", program, "' sh ", path, " 2>&1");
    std::string out;
    FILE* pipe = ::popen(command.c_str(), "r");
    std::array<char, 4096> buffer;
    while (const std::size_t n = std::fread(buffer.data(), 1, buffer.size(), pipe))
        out.append(buffer.data(), n);
    ::pclose(pipe);
    ::unlink(path);
    return out;
}

std::string bash(const std::string& words)
{
    return ask("bash -c", bash_completion(all_tools()),
               cat("source $1; COMP_WORDS=(", words,
                   "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _corebox; "
                   "printf \"%s\\n\" \"${COMPREPLY[@]}\""));
}

TEST(Completion, Bash)
{
    EXPECT_EQ(bash("corebox opensn"), "opensnoop\n");
    EXPECT_EQ(bash("opensnoop --dur"), "--duration=\n");
    EXPECT_EQ(bash("corebox filetop -s w"), "writes\nwbytes\n");
    EXPECT_EQ(bash("opensnoop --columns = pi"), "pid\n");
    EXPECT_EQ(bash("opensnoop --where = pi"), "pid\n");
    EXPECT_EQ(bash("biolatency --where = di"), "disk\n");
    EXPECT_EQ(bash("corebox completion z"), "zsh\n");
    EXPECT_EQ(bash("corebox hel"), "help\n");
    EXPECT_EQ(bash("corebox help opensn"), "opensnoop\n");
    EXPECT_THAT(bash(cat("opensnoop -p ", ::getpid())), HasSubstr(cat(::getpid(), "\n")));
}

TEST(Completion, Fish)
{
    const auto fish = [](const std::string& line) {
        return ask("fish --no-config -c", fish_completion(all_tools()),
                   cat("source $argv[2]; complete -C \"", line, "\""));
    };
    EXPECT_THAT(fish("corebox opensn"), HasSubstr("opensnoop\t"));
    EXPECT_THAT(fish("corebox help opensn"), HasSubstr("opensnoop"));
    EXPECT_THAT(fish("opensnoop --dur"), HasSubstr("--duration\t"));
    EXPECT_THAT(fish("filetop --sort w"), HasSubstr("wbytes"));
    EXPECT_THAT(fish("corebox opensnoop --di"), Not(HasSubstr("--disk"))); // biolatency's
}

// zsh completes for a terminal only: here what it would be told is printed.
TEST(Completion, Zsh)
{
    const auto zsh = [](const std::string& words) {
        return ask("zsh -f -c", zsh_completion(all_tools()),
                   cat("compdef() { print -r -- \"$@\" }; source $1; "
                       "_arguments() { print -rl -- \"$@\" }; _describe() { print -rl -- $tools }; "
                       "words=(",
                       words, "); CURRENT=$#words; _corebox"));
    };
    EXPECT_THAT(zsh("corebox opensn"), HasSubstr("\nopensnoop:"));
    EXPECT_THAT(zsh("opensnoop --"), HasSubstr("\n(-p --pid)--pid=["));
    EXPECT_THAT(zsh("corebox filetop --"), HasSubstr("]:word:(all reads writes rbytes wbytes)\n"));
    EXPECT_THAT(zsh("biolatency --"), HasSubstr(":DISK:_corebox_disks\n"));
}

TEST(Completion, KnowsEveryToolOptionAndColumn)
{
    for (const std::string& script :
         {bash_completion(all_tools()), zsh_completion(all_tools()), fish_completion(all_tools())})
        for (const Tool* tool : all_tools()) {
            EXPECT_THAT(script, HasSubstr(tool->about.name));
            for (const ListedOption& l : listed_options(*tool))
                EXPECT_THAT(script, HasSubstr(l.option->name));
            for (const Column& c : tool->columns)
                EXPECT_THAT(script, HasSubstr(c.key));
        }
}

} // namespace
} // namespace corebox
