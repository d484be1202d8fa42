// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Tools under other names, and programs whose targets are chosen at run time; both on fsslower.
#include "base/text.hpp"
#include "cli/command_line.hpp"
#include "cli/completion.hpp"
#include "cli/man.hpp"
#include "cli/run_tool.hpp"
#include "probe/ladder.hpp"
#include "session/session.hpp"
#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>

namespace corebox
{
namespace
{

using testing::HasSubstr;
using testing::Not;

const Tool& fsslower() { return *find_tool("fsslower").tool; }

TEST(Alias, EveryNameIsFoundAndThereOnce)
{
    std::set<std::string_view> names;
    for (const Tool* tool : all_tools()) {
        EXPECT_TRUE(names.insert(tool->about.name).second) << tool->about.name;
        EXPECT_EQ(find_tool(tool->about.name).alias, nullptr);
        for (const Alias& alias : tool->about.aliases) {
            EXPECT_TRUE(names.insert(alias.name).second) << alias.name;
            EXPECT_EQ(find_tool(alias.name).tool, tool);
            EXPECT_EQ(find_tool(alias.name).alias, &alias);
            EXPECT_FALSE(alias.summary.empty());
        }
    }
    EXPECT_EQ(find_tool("no-such-tool").tool, nullptr);
    // As distributions, BCC and bpftrace name the files.
    for (const char* name : {"fsslower-bpfcc", "bpf-fsslower", "fsslower.py", "fsslower.bt"})
        EXPECT_EQ(find_tool(name).tool, &fsslower()) << name;
    EXPECT_EQ(find_tool("ext4slower-bpfcc").alias, find_tool("ext4slower").alias);
    EXPECT_EQ(find_tool("sync_timing.py").tool, find_tool("syncsnoop").tool);
    EXPECT_EQ(find_tool("setuid_monitor").tool, find_tool("setuidsnoop").tool);
    EXPECT_EQ(find_tool("-bpfcc").tool, nullptr);
    EXPECT_TRUE(names.contains("ext4slower") && names.contains("zfsdist"));
}

TEST(Alias, RunsTheToolWithItsArgumentsBeforeTheUsers)
{
    const Tool tool = fsslower();
    static constexpr Alias kAlias{"xfsslower", {"-t", "xfs"}, "Trace"};
    char first[] = "-p", second[] = "12";
    char* const arguments[] = {first, second};
    Invocation invocation(Called{&tool, &kAlias}, arguments);
    EXPECT_EQ(invocation.tool.about.name, "xfsslower");
    const std::vector<char*> words = invocation.words();
    EXPECT_EQ(words.back(), nullptr);
    const std::vector<std::string> seen(words.begin(), words.end() - 1);
    EXPECT_THAT(seen, testing::ElementsAre("xfsslower", "-t", "xfs", "-p", "12"));
    EXPECT_EQ(alias_command(tool, kAlias), "fsslower -t xfs");
}

TEST(Alias, IsInSchemaManPageAndCompletion)
{
    EXPECT_THAT(schema(fsslower()),
                HasSubstr("{\"name\":\"ext4slower\",\"command\":\"fsslower -t ext4\"}"));
    const Called called = find_tool("ext4slower");
    EXPECT_THAT(schema(under_alias(*called.tool, *called.alias)),
                testing::StartsWith("{\"name\":\"ext4slower\""));
    EXPECT_THAT(man_page(fsslower(), ""), HasSubstr("fsslower, ext4slower, xfsslower"));
    EXPECT_THAT(man_page(all_tools()), HasSubstr("ext4slower"));
    EXPECT_THAT(bash_completion(all_tools()), HasSubstr("    fsslower | ext4slower | "));
}

constexpr Target kTargets[] = {{"%read", "xfs_file_read_iter", "xfs"},
                               {"%write", "xfs_file_write_iter", "xfs"},
                               {"%open", "xfs_file_open", "xfs"},
                               {"%fsync", "xfs_file_fsync", "xfs"}};

TEST(Slots, AreFilledInSections)
{
    EXPECT_EQ(target_section("fexit/%read", kTargets), "fexit/xfs_file_read_iter");
    EXPECT_EQ(target_section("kretprobe/%open", kTargets), "kretprobe/xfs_file_open");
    EXPECT_EQ(target_section("fexit/vfs_read", kTargets), "fexit/vfs_read");
    EXPECT_EQ(target_section("fexit/%commit", kTargets), "fexit/%commit");
    EXPECT_EQ(target_section("perf_event", kTargets), "perf_event");
    EXPECT_EQ(slot_target("fexit/vfs_read", kTargets), nullptr);
}

TEST(Slots, ThePlanIsOfTheFunctionsInThem)
{
    fsslower().inspect(fsslower(), [](const void* progs) {
        const auto never = [](std::string_view) { return false; };
        Facts facts;
        const auto plan = [&] {
            return resolve(fsslower().needs, progs, facts, {}, never, {}, kTargets);
        };
        // NFS's needs, and a getattr that this file system has none of, are not asked for.
        EXPECT_THAT(plan().explain(),
                    testing::StartsWith("reads:\n  fexit: taken (xfs_file_read_iter)\n"));
        EXPECT_THAT(plan().explain(), Not(HasSubstr("commit")));
        EXPECT_THAT(plan().explain(), Not(HasSubstr("getattr")));
        EXPECT_EQ(plan().load.size(), 8u);
        // 5.10: the function is there, but not in BTF.
        facts.has = [](Facts::Name kind, std::string_view name) {
            EXPECT_TRUE(name.starts_with("xfs_")) << name;
            return kind == Facts::Name::btf_function ? Answer::no : Answer::yes;
        };
        EXPECT_THAT(plan().explain(),
                    HasSubstr("reads:\n  fexit: BTF has no function xfs_file_read_iter\n"
                              "  kprobe: taken (xfs_file_read_iter)\n"));
    });
}

} // namespace
} // namespace corebox
