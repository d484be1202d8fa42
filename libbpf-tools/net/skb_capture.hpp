// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A line of skbtrace as a packet in a file, with what became of it as comment.
#pragma once
#include "output/pcapng.hpp"
#include "skb_diagnosis.hpp"
#include <span>

namespace corebox
{

class SkbCapture
{
public:
    // `record` is what the event begins.
    void take(const SkbHop& hop, std::span<const std::byte> record);
    // Of the last one; valid until the next.
    CapturedPacket packet() const;

private:
    const skb_event* event_ = nullptr;
    std::span<const std::byte> bytes_;
    // Netfilter's decision comes after the drop that it leads to, when the packet is gone.
    std::uint64_t dropped_ = 0; // number of the packet
    std::vector<std::byte> dropped_bytes_;
    std::string comment_;
};

} // namespace corebox
