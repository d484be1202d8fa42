// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "../../libbpf-tools/process/signals.hpp"
#include <climits>
#include <csignal>
#include <cstring>
#include <gtest/gtest.h>
#include <set>
#include <string>

namespace corebox
{
namespace
{

TEST(Signals, NamesAreTheCLibrarys)
{
    for (int n = 1; n < 32; n++) {
        if (n == SIGIO) // which it calls POLL; kill(1) and bash(1) do not
            continue;
        EXPECT_EQ(signal_name(n), ::sigabbrev_np(n)) << n;
        EXPECT_EQ(signal_full_name(n), std::string("SIG") + ::sigabbrev_np(n)) << n;
    }
    EXPECT_EQ(signal_full_name(SIGRTMIN), "SIGRTMIN");
    EXPECT_EQ(signal_full_name(SIGRTMIN + 15), "SIGRTMIN+15");
    EXPECT_EQ(signal_full_name(SIGRTMAX - 14), "SIGRTMAX-14");
    EXPECT_EQ(signal_name(SIGRTMAX), "RTMAX");
    for (const int none : {0, -1, 65, 1 << 20}) {
        EXPECT_EQ(signal_name(none), "");
        EXPECT_EQ(signal_full_name(none), "");
    }
}

TEST(Signals, EveryNameLeadsBackToItsNumber)
{
    std::set<std::string_view> names;
    for (int n = 1; n <= kMostSignals; n++) {
        EXPECT_EQ(signal_number(signal_name(n)), n);
        EXPECT_EQ(signal_number(signal_full_name(n)), n);
        EXPECT_EQ(signal_number(std::to_string(n)), n);
        names.insert(signal_full_name(n));
    }
    EXPECT_EQ(names.size(), std::size_t(kMostSignals));
    EXPECT_EQ(signal_number("sigkill"), SIGKILL);
    EXPECT_EQ(signal_number("Poll"), SIGPOLL);
    EXPECT_EQ(signal_number("IOT"), SIGABRT);
    EXPECT_EQ(signal_number("RTMIN+30"), SIGRTMAX);
    EXPECT_EQ(signal_number("rtmax-30"), SIGRTMIN);
    EXPECT_EQ(signal_number("0"), 0);
    for (const std::string_view bad :
         {"", "SIG", "-1", "65", "KILL9", "RTMIN+", "RTMIN+31", "RTMIN-1", "RTMAX-31", "9 "})
        EXPECT_EQ(signal_number(bad), std::nullopt) << bad;
}

TEST(Signals, Codes)
{
    EXPECT_EQ(signal_code_name(SIGTERM, SI_USER), "SI_USER");
    EXPECT_EQ(signal_code_name(SIGTERM, SI_KERNEL), "SI_KERNEL");
    EXPECT_EQ(signal_code_name(SIGTERM, SI_QUEUE), "SI_QUEUE");
    EXPECT_EQ(signal_code_name(SIGTERM, SI_TIMER), "SI_TIMER");
    EXPECT_EQ(signal_code_name(SIGTERM, SI_TKILL), "SI_TKILL");
    EXPECT_EQ(signal_code_name(SIGTERM, SI_ASYNCNL), "SI_ASYNCNL");
    EXPECT_EQ(signal_code_name(SIGCHLD, CLD_EXITED), "CLD_EXITED");
    EXPECT_EQ(signal_code_name(SIGCHLD, CLD_CONTINUED), "CLD_CONTINUED");
    EXPECT_EQ(signal_code_name(SIGSEGV, SEGV_ACCERR), "SEGV_ACCERR");
    EXPECT_EQ(signal_code_name(SIGFPE, FPE_INTDIV), "FPE_INTDIV");
    EXPECT_EQ(signal_code_name(SIGBUS, BUS_ADRERR), "BUS_ADRERR");
    EXPECT_EQ(signal_code_name(SIGTRAP, TRAP_TRACE), "TRAP_TRACE");
    EXPECT_EQ(signal_code_name(SIGILL, ILL_BADSTK), "ILL_BADSTK");
    for (const int none : {7, 1000, -8, -1000, INT_MIN, INT_MAX})
        EXPECT_EQ(signal_code_name(SIGCHLD, none), "") << none;
    EXPECT_EQ(signal_code_name(SIGTERM, 1), "");
}

} // namespace
} // namespace corebox
