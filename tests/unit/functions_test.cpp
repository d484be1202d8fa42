// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Which functions a pattern chooses from what a kernel lists.
#include "base/error.hpp"
#include "probe/functions.hpp"
#include <gtest/gtest.h>

namespace
{

using namespace corebox;
using Syntax = FunctionPattern::Syntax;

bool matches(std::string_view pattern, std::string_view name, Syntax syntax = Syntax::glob)
{
    return FunctionPattern(pattern, syntax).matches(name);
}

TEST(FunctionPattern, GlobIsForTheWholeName)
{
    EXPECT_TRUE(matches("vfs_*", "vfs_read"));
    EXPECT_FALSE(matches("vfs_*", "xvfs_read"));
    EXPECT_TRUE(matches("*_read", "vfs_read"));
    EXPECT_FALSE(matches("*_read", "vfs_readv"));
    EXPECT_TRUE(matches("vfs_rea?", "vfs_read"));
    EXPECT_TRUE(matches("vfs_[rw]*", "vfs_write"));
    EXPECT_TRUE(matches("vfs_read", "vfs_read"));
    EXPECT_FALSE(matches("vfs_read", "vfs_readv"));
}

TEST(FunctionPattern, RegexIsForTheBeginning)
{
    EXPECT_TRUE(matches("vfs_(read|write)$", "vfs_read", Syntax::regex));
    EXPECT_FALSE(matches("vfs_(read|write)$", "vfs_readv", Syntax::regex));
    EXPECT_TRUE(matches("vfs_read", "vfs_readv", Syntax::regex));
    EXPECT_FALSE(matches("read", "vfs_read", Syntax::regex));
    EXPECT_TRUE(matches("^vfs_.*", "vfs_read", Syntax::regex));
    EXPECT_TRUE(matches("tcp_|udp_", "udp_sendmsg", Syntax::regex));
    EXPECT_TRUE(matches("vfs_reads?$", "vfs_read", Syntax::regex));
    EXPECT_TRUE(matches(".*read", "vfs_read", Syntax::regex));
}

TEST(FunctionPattern, CompilersSuffixMayBeLeftOut)
{
    EXPECT_TRUE(matches("finish_task_switch", "finish_task_switch.isra.0"));
    EXPECT_TRUE(matches("*_switch", "finish_task_switch.isra.0.constprop.0"));
    EXPECT_TRUE(matches("finish_task_switch$", "finish_task_switch.part.0", Syntax::regex));
    EXPECT_TRUE(matches("*.isra.*", "finish_task_switch.isra.0"));
    EXPECT_FALSE(matches("finish", "finish_task_switch.isra.0"));
}

TEST(FunctionPattern, WhatIsNoneIsAUsageError)
{
    for (const auto& [text, syntax] : {std::pair("vfs_(", Syntax::regex),
                                       {"", Syntax::glob},
                                       {"", Syntax::regex},
                                       {"a{2,1}", Syntax::regex}})
        try {
            FunctionPattern(text, syntax);
            ADD_FAILURE() << text;
        } catch (const Failure& failure) {
            EXPECT_EQ(failure.status, Exit::usage);
        }
}

std::vector<std::string> chosen(std::string_view pattern, const FunctionLists& lists,
                                bool* doubtful = nullptr)
{
    std::vector<std::string> names;
    for (const KernelFunction& f :
         choose_functions(FunctionPattern(pattern, Syntax::glob), lists, doubtful))
        names.push_back(f.name + (f.module.empty() ? "" : "@" + f.module) + "=" +
                        std::to_string(f.address));
    return names;
}

using Names = std::vector<std::string>;

TEST(ChooseFunctions, TraceableWithAddressesInOrder)
{
    const FunctionLists lists{.traceable = "vfs_b\nvfs_a\nvfs_m [ext4]\nother\nvfs_gone\n",
                              .traceable_addresses = {},
                              .symbols = "0000000000000020 T vfs_b\n"
                                         "0000000000000010 t vfs_a\n"
                                         "0000000000000030 D vfs_data\n"
                                         "0000000000000040 T vfs_untraceable\n"
                                         "0000000000000050 t vfs_m\t[ext4]\n"
                                         "0000000000000060 t vfs_m\t[xfs]\n",
                              .blacklist = {}};
    EXPECT_EQ(chosen("vfs_*", lists), (Names{"vfs_a=16", "vfs_b=32", "vfs_m@ext4=80"}));
    EXPECT_EQ(chosen("nothing*", lists), Names{});
}

// Whether the long part of the lists has to be read.
TEST(ChooseFunctions, OfModules)
{
    const std::string_view symbols = "0000000000000020 T vfs_b\n"
                                     "0000000000000050 t vfs_m\t[ext4]\n"
                                     "0000000000000060 t ext4_read\t[ext4]\n";
    const auto chooses = [&](std::string_view pattern) {
        return chooses_of_modules(FunctionPattern(pattern, Syntax::glob), symbols);
    };
    EXPECT_TRUE(chooses("vfs_m"));
    EXPECT_TRUE(chooses("*_read"));
    EXPECT_FALSE(chooses("vfs_b"));
    EXPECT_FALSE(chooses("vfs_[a-c]*"));
    EXPECT_FALSE(chooses("ext4"));
}

TEST(ChooseFunctions, WithoutTheListAllTextButTheForbidden)
{
    const FunctionLists lists{.traceable = {},
                              .traceable_addresses = {},
                              .symbols = "0000000000000010 T vfs_a\n"
                                         "0000000000000020 t vfs_b\n"
                                         "0000000000000030 B vfs_c\n"
                                         "0000000000000040 t vfs_d.cold\n",
                              .blacklist = "0x10-0x20\tvfs_a\n"};
    EXPECT_EQ(chosen("*", lists), (Names{"vfs_b=32"}));
}

TEST(ChooseFunctions, SharedNames)
{
    FunctionLists lists{.traceable = "one\ntwo\ntwo\n",
                        .traceable_addresses = {},
                        .symbols = "0000000000001000 t one\n"
                                   "0000000000002000 t one\n"
                                   "0000000000003000 t two\n"
                                   "0000000000004000 t two\n",
                        .blacklist = {}};
    bool doubtful = false;
    EXPECT_EQ(chosen("*", lists, &doubtful), (Names{"two=12288", "two=16384"}));
    EXPECT_TRUE(doubtful);
    // The site lies behind the function's endbr64.
    lists.traceable_addresses =
        "0000000000002004 one\n0000000000003004 two\n0000000000004004 two\n";
    doubtful = false;
    EXPECT_EQ(chosen("*", lists, &doubtful), (Names{"one=8192", "two=12288", "two=16384"}));
    EXPECT_FALSE(doubtful);
}

TEST(ChooseFunctions, AliasesAreOneFunction)
{
    const FunctionLists lists{.traceable = "a\nb\n",
                              .traceable_addresses = {},
                              .symbols = "0000000000000010 T a\n0000000000000010 W b\n",
                              .blacklist = {}};
    EXPECT_EQ(chosen("*", lists), (Names{"a=16"}));
}

TEST(ChooseFunctions, WhatTracingItselfCallsIsLeftOut)
{
    const FunctionLists lists{.traceable = "perf_event_output\nbpf_map_lookup_elem\nvfs_read\n",
                              .traceable_addresses = {},
                              .symbols = "0000000000000010 T perf_event_output\n"
                                         "0000000000000020 T bpf_map_lookup_elem\n"
                                         "0000000000000030 T vfs_read\n",
                              .blacklist = {}};
    for (const auto& [text, left_out, left] :
         {std::tuple("*", 2u, 1u), {"bpf_*", 1u, 0u}, {"perf_event_output", 0u, 1u}}) {
        const FunctionPattern pattern(text, Syntax::glob);
        auto functions = choose_functions(pattern, lists);
        EXPECT_EQ(leave_out_own(functions, pattern), left_out) << text;
        EXPECT_EQ(functions.size(), left) << text;
    }
    // One that has two names is left out by neither if only one is tracing's.
    const FunctionLists alias{.traceable = "bpf_a\nother\n",
                              .traceable_addresses = {},
                              .symbols = "0000000000000010 T bpf_a\n0000000000000010 T other\n",
                              .blacklist = {}};
    EXPECT_EQ(chosen("*", alias), (Names{"other=16"}));
}

#ifdef __x86_64__
TEST(EntryOf, SitesAreKnownByTheirBytes)
{
    const auto entry = [](std::string_view code) {
        return entry_of(std::as_bytes(std::span(code)));
    };
    using namespace std::literals;
    EXPECT_EQ(entry("\x0f\x1f\x44\0\0\x55"sv), Entry::site);
    EXPECT_EQ(entry("\xf3\x0f\x1e\xfa\x0f\x1f\x44\0\0\x55"sv), Entry::site);
    EXPECT_EQ(entry("\x66\x0f\x1f\0\x0f\x1f\x44\0\0\x55"sv), Entry::site);
    EXPECT_EQ(entry("\xe8\1\2\3\4\x55"sv), Entry::called);
    EXPECT_EQ(entry("\xf3\x0f\x1e\xfa\xe8\1\2\3\4"sv), Entry::called);
    EXPECT_EQ(entry("\1\2\3\4\x0f\x1f\x44\0\0"sv), Entry::unknown);
    EXPECT_EQ(entry("\x55\x0f\x1f\x44\0\0"sv), Entry::other);
    EXPECT_EQ(entry("\x0f\x1f"sv), Entry::other);
    EXPECT_EQ(entry(""sv), Entry::other);
}
#endif

} // namespace
