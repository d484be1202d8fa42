// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "../../libbpf-tools/lock/address.hpp"
#include "../../libbpf-tools/lock/lock_graph.hpp"
#include "../../libbpf-tools/lock/lock_names.hpp"
#include <gtest/gtest.h>

namespace
{

using namespace corebox;
using Cycles = std::vector<std::vector<std::size_t>>;

LockNode lock(std::uint64_t address) { return {1, 1, address, 0}; }

LockEdge edge(std::uint64_t from, std::uint64_t to, std::uint32_t thread)
{
    return {.from = lock(from), .to = lock(to), .thread = thread};
}

TEST(LockGraph, FindsTheShortestCycles)
{
    LockGraph graph;
    for (const auto& [from, to] : {std::pair{1, 2}, {2, 3}, {3, 1}, {3, 4}, {4, 3}, {5, 1}})
        graph.add(edge(std::uint64_t(from), std::uint64_t(to), std::uint32_t(from)));
    EXPECT_EQ(graph.nodes(), 5u);
    EXPECT_EQ(graph.cycles(), (Cycles{{0, 1, 2}, {3, 4}}));
}

TEST(LockGraph, OneThreadAloneDoesNotWaitForItself)
{
    LockGraph alone;
    alone.add(edge(1, 2, 7));
    alone.add(edge(2, 1, 7));
    EXPECT_EQ(alone.cycles(), Cycles());
    LockGraph several;
    several.add(edge(1, 2, 7));
    several.add(edge(2, 1, 0));
    EXPECT_EQ(several.cycles(), (Cycles{{0, 1}}));
}

TEST(LockGraph, ReadersDoNotWaitForReaders)
{
    LockEdge in = edge(1, 2, 1), out = edge(2, 1, 2);
    in.to_shared = out.from_shared = true;
    LockGraph readers;
    readers.add(in);
    readers.add(out);
    EXPECT_EQ(readers.cycles(), Cycles());
    // Of another who writes.
    readers.add(edge(1, 2, 3));
    EXPECT_EQ(readers.cycles(), (Cycles{{1, 2}}));
}

TEST(LockGraph, ALockThatIsGoneIsAnother)
{
    LockEdge back = edge(2, 1, 2);
    back.from.life = 1;
    LockGraph graph;
    graph.add(edge(1, 2, 1));
    graph.add(back);
    EXPECT_EQ(graph.cycles(), Cycles());
}

TEST(LockNames, NamesVariablesAndWhatIsWithinThem)
{
    const LockNames names = LockNames::parse("ffffffff81000000 T _text\n"
                                             "ffffffff82000040 D rtnl_mutex\n"
                                             "ffffffff82000060 b init_task\n"
                                             "ffffffff82000060 b init_task_alias\n"
                                             "ffffffff83000000 T behind\n"
                                             "ffffffffc0001000 d nfs_lock\t[nfs]\n"
                                             "0000000000000000 D hidden\n");
    EXPECT_EQ(names.name_of(0xffffffff82000040), "rtnl_mutex");
    EXPECT_EQ(names.name_of(0xffffffff82000070), "init_task+0x10");
    EXPECT_EQ(names.name_of(0xffffffffc0001000), "nfs_lock");
    EXPECT_EQ(names.name_of(0xffffffff81000010), "0xffffffff81000010"); // code
    EXPECT_EQ(names.name_of(0xffff888000000010), "0xffff888000000010");
    EXPECT_EQ(names.name_of(0xffffffff82900000), "0xffffffff82900000"); // too far
    EXPECT_EQ(names.address_of("rtnl_mutex"), 0xffffffff82000040);
    EXPECT_EQ(names.address_of("_text"), std::nullopt);
    EXPECT_EQ(names.address_of("hidden"), std::nullopt);
}

TEST(LockAddress, IsHexadecimal)
{
    LockAddress address;
    EXPECT_EQ(LockAddress::parse("0x7f00", address), "");
    EXPECT_EQ(address.value, 0x7f00u);
    EXPECT_EQ(LockAddress::parse("7f01", address), "");
    EXPECT_EQ(address.value, 0x7f01u);
    for (const char* const wrong : {"", "0x", "0", "x1", "10 ", "1ffffffffffffffff"})
        EXPECT_NE(LockAddress::parse(wrong, address), "") << wrong;
}

} // namespace
