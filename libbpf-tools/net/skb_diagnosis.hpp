// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What happened to packets, in plain words and with advice: of one that was dropped, and of each
// flow in the end.
#pragma once
#include "skbtrace/skbtrace.h"
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace corebox
{

// A line of skbtrace, and the names in it.
struct SkbHop {
    const skb_event& event;
    std::string_view event_name; // "queue"
    std::string_view reason;     // of a drop; empty: the kernel tells none
    std::string_view function;
};

// "no socket receives UDP on port 7002; check: ss -lun". Empty: the hop is no drop, and no decision
// of netfilter against the packet.
std::string explain_hop(const SkbHop& hop);

class SkbDiagnosis
{
public:
    void add(const SkbHop& hop);
    // Of all flows, as lines.
    std::string report() const;

private:
    static constexpr std::size_t kFlows = 256, kPackets = 1 << 16;

    struct Packet {
        std::size_t flow;
        bool is_reply;
        std::string fate, last; // how its way ended, as far as it was seen; its last hop
    };
    struct Direction {
        std::uint64_t packets = 0, bytes = 0;
        std::uint64_t syns = 0, resets = 0;
    };
    struct Flow {
        conn ends{};
        std::array<Direction, 2> directions;
        std::uint64_t slowest_ns = 0;
        std::string slowest; // between which hops
    };

    std::size_t find_flow(const conn& c, bool* is_reply);

    std::vector<Flow> flows_;
    std::unordered_map<std::string, std::size_t> flow_of_;
    std::unordered_map<std::uint64_t, Packet> packets_;
    std::uint64_t left_out_ = 0; // packets for which there was no room
};

} // namespace corebox
