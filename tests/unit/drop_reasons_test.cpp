// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "kernel/drop_reasons.hpp"
#include <bpf/btf.h>
#include <gtest/gtest.h>
#include <memory>

namespace corebox
{
namespace
{

// As 7.2 has them: a subsystem's are in the high half, and bounds are among all of them.
TEST(DropReasons, OfTheKernelAndOfSubsystems)
{
    const std::unique_ptr<btf, decltype(&btf__free)> types(btf__new_empty(), btf__free);
    const auto enumeration = [&](const char* name,
                                 std::initializer_list<std::pair<const char*, int>> values) {
        btf__add_enum(types.get(), name, 4);
        for (const auto& [value, number] : values)
            btf__add_enum_value(types.get(), value, number);
    };
    enumeration("qdisc_drop_reason", {{"QDISC_DROP_UNSPEC", 0},
                                      {"__QDISC_DROP_REASON", 0x30000},
                                      {"QDISC_DROP_OVERLIMIT", 0x30002},
                                      {"QDISC_DROP_MAX", 0x30003}});
    enumeration("skb_drop_reason_subsys", {{"SKB_DROP_REASON_SUBSYS_QDISC", 3}});
    enumeration("skb_drop_reason", {{"SKB_NOT_DROPPED_YET", 0},
                                    {"SKB_CONSUMED", 1},
                                    {"SKB_DROP_REASON_NO_SOCKET", 3},
                                    {"SKB_DROP_REASON_MAX", 4},
                                    {"SKB_DROP_REASON_SUBSYS_MASK", -65536}});
    DropReasons reasons;
    reasons.add(types.get());
    EXPECT_EQ(reasons.name(0), "SKB_NOT_DROPPED_YET");
    EXPECT_EQ(reasons.name(1), "SKB_CONSUMED");
    EXPECT_EQ(reasons.name(3), "NO_SOCKET");
    EXPECT_EQ(reasons.name(0x30002), "QDISC_DROP_OVERLIMIT");
    for (const std::uint32_t unknown : {4u, 0x30000u, 0x30003u, 0xffff0000u})
        EXPECT_EQ(reasons.name(unknown), std::to_string(unknown));
}

} // namespace
} // namespace corebox
