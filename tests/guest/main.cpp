// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Called as `guest_tests usdtargs ...` it is that tool (usdtargs/).
#include "cli/run_tool.hpp"
#include <csignal>
#include <cstdio>
#include <gtest/gtest.h>
#include <unistd.h>

int main(int argc, char** argv)
{
    if (argc > 1)
        if (const corebox::Called called = corebox::find_tool(argv[1]); called.tool)
            return corebox::run_tool(called, {argv + 2, argv + argc});
    testing::InitGoogleTest(&argc, argv);
    // The tools that are started here inherit none of what the caller ignored or blocked.
    for (const int signal : {SIGPIPE, SIGINT, SIGTERM, SIGHUP})
        std::signal(signal, SIG_DFL);
    if (!testing::GTEST_FLAG(list_tests) && ::access("/.vm/config", F_OK) != 0) {
        std::fputs("guest_tests: not in a guest of scripts/vm; run scripts/test\n", stderr);
        return 125;
    }
    return RUN_ALL_TESTS();
}
