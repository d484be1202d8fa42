// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Why the kernel drops packets, by name: enum skb_drop_reason and those of its subsystems, which
// have other numbers in almost every kernel.
#pragma once
#include <cstdint>
#include <map>
#include <string>

struct btf;

namespace corebox
{

class DropReasons
{
public:
    // Those of the running kernel and of its modules that have some. Reads all of the kernel's
    // types (40 ms): with the first drop, not at the start. Empty before 5.17, which knows no
    // reasons.
    static DropReasons load();

    // Adds those of all enumerations in here whose names say "drop_reason".
    void add(const btf* types);

    // "NETFILTER_DROP", "QDISC_DROP_OVERLIMIT"; the number where it has no name. Valid as long as
    // this is.
    const std::string& name(std::uint32_t reason);

private:
    std::map<std::uint32_t, std::string>
        names_; // with the number of the subsystem in the high half
};

} // namespace corebox
