// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Words for what the kernel tells in numbers: softirqs, exits of virtual machines.
#include "../../libbpf-tools/cpu/kvm_reasons.hpp"
#include "../../libbpf-tools/irq/vectors.hpp"
#include "session/perf.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace corebox
{
namespace
{

TEST(SoftirqNames, AreTheKernelsInItsOrder)
{
    using testing::ElementsAre;
    EXPECT_THAT(parse_softirq_names("                    CPU0       CPU1       \n"
                                    "          HI:          0          1\n"
                                    "       TIMER:       2531        174\n"
                                    "      NET_TX:          0          0\n"
                                    "    IRQ_POLL:          0          0\n"),
                ElementsAre("hi", "timer", "net_tx", "irq_poll"));
    EXPECT_THAT(parse_softirq_names(""), ElementsAre());
}

// Numbers from the processors' manuals.
TEST(KvmReason, IntelAndAmd)
{
    EXPECT_EQ(kvm_reason(KvmIsa::vmx, 12), "HLT");
    EXPECT_EQ(kvm_reason(KvmIsa::vmx, 30), "IO_INSTRUCTION");
    EXPECT_EQ(kvm_reason(KvmIsa::vmx, 48), "EPT_VIOLATION");
    EXPECT_EQ(kvm_reason(KvmIsa::vmx, 0x80000021), "INVALID_STATE_FAILED_VMENTRY");
    EXPECT_EQ(kvm_reason(KvmIsa::vmx, 0xfff), "0xfff");
    EXPECT_EQ(kvm_reason(KvmIsa::svm, 0x78), "HLT");
    EXPECT_EQ(kvm_reason(KvmIsa::svm, 0x7b), "IO");
    EXPECT_EQ(kvm_reason(KvmIsa::svm, 0x400), "NPF");
    EXPECT_EQ(kvm_reason(KvmIsa::svm, 0x4e), "PF_EXCP");
    EXPECT_EQ(kvm_reason(KvmIsa::svm, 0x7ff), "0x7ff");
}

TEST(FieldOffset, OfTheWholeNameOnly)
{
    constexpr std::string_view kFormat =
        "name: kvm_exit\nID: 1635\nformat:\n"
        "\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n"
        "\n"
        "\tfield:unsigned int exit_reason;\toffset:8;\tsize:4;\tsigned:0;\n"
        "\tfield:u32 isa;\toffset:24;\tsize:4;\tsigned:0;\n"
        "print fmt: \"reason %s isa\", REC->isa;\n";
    EXPECT_EQ(field_offset(kFormat, "exit_reason"), 8u);
    EXPECT_EQ(field_offset(kFormat, "isa"), 24u);
    EXPECT_EQ(field_offset(kFormat, "reason"), std::nullopt);
    EXPECT_EQ(field_offset("", "isa"), std::nullopt);
}

TEST(PerfEvent, ByPerfsNames)
{
    ASSERT_TRUE(perf_event("cache-misses"));
    EXPECT_EQ(perf_event("cache-misses")->config, 3u); // linux/perf_event.h
    ASSERT_TRUE(perf_event("LLC-load-misses"));
    EXPECT_EQ(perf_event("LLC-load-misses")->config, 0x10002u);
    EXPECT_FALSE(perf_event("cache_misses"));
    EXPECT_FALSE(perf_event(""));
}

} // namespace
} // namespace corebox
