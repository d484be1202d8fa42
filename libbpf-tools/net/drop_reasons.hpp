// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Why the kernel drops packets, in its own words: their numbers differ from kernel to kernel.
#pragma once
#include <cstdint>
#include <string>
#include <unordered_map>

namespace corebox
{

// The enumerators of enum skb_drop_reason, without SKB_DROP_REASON_, and of the enums of
// subsystems, whose numbers have that of the subsystem in their upper half. Reads the kernel's BTF
// on first use, and that of a module when it first drops a packet.
class DropReasons
{
public:
    // "NO_SOCKET"; the number, where the kernel has no name for it.
    const std::string& name(std::uint32_t reason);

private:
    void read_kernel();
    void read_module(std::uint32_t subsystem);

    bool read_ = false;
    std::unordered_map<std::uint32_t, std::string> names_;
    std::unordered_map<std::uint32_t, std::string> subsystems_; // not read yet
};

} // namespace corebox
