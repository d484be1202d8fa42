// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "kernel/syscall_names.hpp"
#include <algorithm>
#include <gtest/gtest.h>
#include <set>
#include <sys/syscall.h>

namespace corebox
{
namespace
{

TEST(SyscallNames, AreThoseOfTheMachine)
{
    EXPECT_EQ(syscall_name(SYSCALL_NATIVE, SYS_read), "read");
    EXPECT_EQ(syscall_name(SYSCALL_NATIVE, SYS_openat), "openat");
    EXPECT_EQ(syscall_name(SYSCALL_NATIVE, SYS_exit_group), "exit_group");
    EXPECT_EQ(syscall_name(SYSCALL_NATIVE, 470), "listns"); // newer than the headers
    EXPECT_EQ(syscall_name(SYSCALL_NATIVE, 600), "[600]");
#if defined(__x86_64__)
    EXPECT_EQ(syscall_name(SYSCALL_NATIVE, 3), "close");
    EXPECT_EQ(syscall_name(SYSCALL_32BIT, 3), "i386:read");
    EXPECT_EQ(syscall_name(SYSCALL_X32, 512), "x32:rt_sigaction");
#endif
}

TEST(SyscallNames, TablesAreInOrderAndEachNameIsFound)
{
    for (const syscall_abi abi : {SYSCALL_NATIVE, SYSCALL_32BIT, SYSCALL_X32}) {
        const auto names = syscall_names(abi);
        std::set<std::string_view> different;
        for (std::size_t i = 0; i < names.size(); i++) {
            EXPECT_LT(names[i].number, std::uint32_t(SYSCALLS_PER_ABI));
            EXPECT_TRUE(i == 0 || names[i - 1].number < names[i].number) << names[i].name;
            EXPECT_TRUE(different.insert(names[i].name).second) << names[i].name;
            const auto found = find_syscall(syscall_name(abi, names[i].number));
            ASSERT_TRUE(found) << names[i].name;
            EXPECT_EQ(found->abi, abi);
            EXPECT_EQ(found->number, names[i].number);
        }
    }
    EXPECT_GT(syscall_names(SYSCALL_NATIVE).size(), 300u);
    EXPECT_EQ(find_syscall("[470]")->number, 470u);
    EXPECT_EQ(find_syscall("470")->number, 470u);
    EXPECT_FALSE(find_syscall("nosuch"));
    EXPECT_FALSE(find_syscall("i386:nosuch"));
    EXPECT_FALSE(find_syscall("640"));
    EXPECT_FALSE(find_syscall(""));
}

} // namespace
} // namespace corebox
