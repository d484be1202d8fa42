// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The records of several lanes as one sequence.
#pragma once
#include "session/lanes.hpp"
#include <algorithm>
#include <cstring>
#include <span>

namespace corebox
{

// The oldest record of a lane.
struct LaneHead {
    std::uint64_t time_ns;
    std::size_t lane;
    Record record;
};

// Each record begins with its time (abi/event.h).
inline std::uint64_t record_time(const Record& record)
{
    std::uint64_t time = 0;
    std::memcpy(&time, record.data, std::min(record.size, sizeof time));
    return time;
}

// Hands over all that lies in the lanes at the beginning, and what comes meanwhile, but at most
// `budget` records; returns what is left of the budget. What lies there at the beginning comes in
// the order of time, as far as each lane's records do. `heads` is memory that the caller keeps.
template <class Lane, class Deliver>
unsigned drain(std::span<Lane> lanes, std::vector<LaneHead>& heads, unsigned budget,
               Deliver&& deliver)
{
    if (lanes.size() == 1) {
        Lane& lane = lanes[0];
        Record record;
        for (lane.look(); budget; budget--) {
            if (!lane.next(record)) {
                lane.look();
                if (!lane.next(record))
                    break;
            }
            deliver(record);
            lane.pop();
        }
        return budget;
    }
    const auto later = [](const LaneHead& a, const LaneHead& b) { return a.time_ns > b.time_ns; };
    while (budget) {
        heads.clear();
        Record record;
        for (Lane& lane : lanes)
            lane.look();
        for (std::size_t i = 0; i < lanes.size(); i++)
            if (lanes[i].next(record))
                heads.push_back({record_time(record), i, record});
        if (heads.empty())
            break;
        std::ranges::make_heap(heads, later);
        for (; budget && !heads.empty(); budget--) {
            std::ranges::pop_heap(heads, later);
            LaneHead& first = heads.back();
            Lane& lane = lanes[first.lane];
            deliver(first.record);
            lane.pop();
            if (lane.next(first.record)) {
                first.time_ns = record_time(first.record);
                std::ranges::push_heap(heads, later);
            } else {
                heads.pop_back();
            }
        }
    }
    return budget;
}

} // namespace corebox
