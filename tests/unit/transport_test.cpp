// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "session/transport.hpp"
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <numeric>

namespace corebox
{
namespace
{

using Times = std::vector<std::uint64_t>;

// A ring as the kernel would fill it, its data twice in a row.
class Ring
{
public:
    RingLane lane() { return {&consumed, &produced, data_.data(), kBytes}; }

    // A record of `size` bytes that begins with its time.
    void write(std::uint64_t time, std::uint32_t size = 8, std::uint32_t flags = 0)
    {
        const std::uint32_t header[2] = {size | flags, 0};
        put(produced, header, sizeof header);
        put(produced + sizeof header, &time, std::min<std::size_t>(size, sizeof time));
        last_ = produced;
        produced += (size + sizeof header + 7) / 8 * 8;
    }
    void commit_last(std::uint32_t size) { put(last_, &size, sizeof size); }

    static constexpr std::size_t kBytes = 4096;
    alignas(8) unsigned long consumed = 0, produced = 0;

private:
    void put(unsigned long at, const void* from, std::size_t size)
    {
        for (const std::size_t half : {std::size_t(0), kBytes})
            if ((at & (kBytes - 1)) + half + size <= data_.size())
                std::memcpy(data_.data() + (at & (kBytes - 1)) + half, from, size);
    }

    alignas(8) std::array<std::byte, 2 * kBytes> data_{};
    unsigned long last_ = 0;
};

template <class Lane>
Times drained(std::vector<Lane>& lanes, unsigned budget = 1000)
{
    Times times;
    std::vector<LaneHead> heads;
    const unsigned left = drain(std::span(lanes), heads, budget, [&](const Record& record) {
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(record.data) % 8, 0u);
        times.push_back(record_time(record));
    });
    EXPECT_EQ(left, budget - times.size());
    return times;
}

TEST(Transport, RecordsOfSeveralRingsComeInTheOrderOfTime)
{
    std::array<Ring, 3> rings;
    std::vector<RingLane> lanes;
    for (Ring& ring : rings)
        lanes.push_back(ring.lane());
    for (std::uint64_t time = 1; time <= 100; time++)
        rings[time * time % 7 % 3].write(time, std::uint32_t(8 + time % 13));
    Times all(100);
    std::iota(all.begin(), all.end(), 1);
    EXPECT_EQ(drained(lanes), all);
    EXPECT_EQ(drained(lanes), Times{});
    for (const Ring& ring : rings)
        EXPECT_EQ(ring.consumed, ring.produced);
}

TEST(Transport, ABudgetLeavesTheRestInOrder)
{
    for (const std::size_t count : {1, 2}) {
        std::vector<Ring> rings(count);
        std::vector<RingLane> lanes;
        for (Ring& ring : rings)
            lanes.push_back(ring.lane());
        for (std::uint64_t time = 1; time <= 5; time++)
            rings[time % count].write(time);
        EXPECT_EQ(drained(lanes, 2), (Times{1, 2}));
        std::uint64_t unread = 0;
        for (const RingLane& lane : lanes)
            unread += lane.count_unread();
        EXPECT_EQ(unread, 3u);
        EXPECT_EQ(drained(lanes, 3), (Times{3, 4, 5}));
        EXPECT_EQ(drained(lanes, 1), Times{});
    }
}

TEST(Transport, WhatIsStillWrittenWaitsAndWhatWasDiscardedIsPassed)
{
    Ring ring, other;
    std::vector<RingLane> lanes = {ring.lane(), other.lane()};
    ring.write(1, 8, BPF_RINGBUF_DISCARD_BIT);
    ring.write(2, 8, BPF_RINGBUF_BUSY_BIT);
    other.write(3);
    EXPECT_EQ(lanes[0].count_unread(), 0u);
    EXPECT_EQ(drained(lanes), Times{3});
    ring.commit_last(8);
    ring.write(4, 8, BPF_RINGBUF_DISCARD_BIT);
    EXPECT_EQ(lanes[0].count_unread(), 1u);
    EXPECT_EQ(drained(lanes), Times{2});
    EXPECT_EQ(ring.consumed, ring.produced);
}

TEST(Transport, ARingGoesRoundManyTimes)
{
    Ring ring;
    ring.consumed = ring.produced = 0ul - 8 * Ring::kBytes; // positions that overflow on the way
    std::vector<RingLane> lanes = {ring.lane()};
    for (std::uint64_t time = 1; time <= 2000; time++) {
        ring.write(time, std::uint32_t(8 + time % 90));
        ASSERT_EQ(drained(lanes), Times{time});
    }
    ring.write(2001, 4); // too short for a time
    EXPECT_EQ(drained(lanes).size(), 1u);
}

// The data of a sample begins at 4 modulo 8 and may be in two pieces.
TEST(Transport, SamplesAreAlignedAndInOnePiece)
{
    constexpr std::size_t kBytes = 4096;
    alignas(8) std::array<std::byte, kBytes> data{};
    std::uint64_t head = 0, tail = 0;
    std::vector<PerfLane> lanes;
    lanes.emplace_back(&head, &tail, data.data(), kBytes);
    const auto put = [&](std::uint64_t at, const void* from, std::size_t size) {
        for (std::size_t i = 0; i < size; i++)
            data[(at + i) % kBytes] = static_cast<const std::byte*>(from)[i];
    };
    for (std::uint32_t n = 1; n <= 300; n++) {
        const std::uint64_t lost[3] = {0, 0, 0};
        perf_event_header header{.type = PERF_RECORD_LOST, .misc = 0, .size = sizeof lost};
        put(head, lost, sizeof lost);
        put(head, &header, sizeof header);
        head += sizeof lost;
        // As the kernel pads it: 4 modulo 8.
        const std::uint32_t size = 4 + 8 * (1 + n % 9);
        header = {.type = PERF_RECORD_SAMPLE,
                  .misc = 0,
                  .size = std::uint16_t(sizeof header + sizeof size + size)};
        std::vector<std::byte> bytes(size, std::byte(n));
        put(head, &header, sizeof header);
        put(head + sizeof header, &size, sizeof size);
        put(head + sizeof header + sizeof size, bytes.data(), size);
        head += header.size;
        EXPECT_EQ(lanes[0].count_unread(), 1u);
        std::vector<LaneHead> heads;
        drain(std::span(lanes), heads, 10, [&](const Record& record) {
            EXPECT_EQ(reinterpret_cast<std::uintptr_t>(record.data) % 8, 0u);
            ASSERT_EQ(record.size, size);
            EXPECT_EQ(std::memcmp(record.data, bytes.data(), size), 0);
        });
        ASSERT_EQ(tail, head);
    }
}

TEST(Transport, RingsForTheCpus)
{
    constexpr std::uint32_t K = 1024, M = K * K;
    const auto plan = [](std::uint32_t asked, std::uint32_t cpus, std::uint32_t forced = 0) {
        return plan_event_rings(asked, cpus, forced);
    };
    for (const std::uint32_t cpus : {1u, 2u, 4u})
        EXPECT_EQ(plan(0, cpus), (EventRings{1, 2 * M}));
    EXPECT_EQ(plan(0, 5), (EventRings{5, 512 * K}));
    EXPECT_EQ(plan(0, 16), (EventRings{16, 512 * K}));
    EXPECT_EQ(plan(0, 192), (EventRings{64, 512 * K}));
    // What the user asks for is the sum.
    EXPECT_EQ(plan(4 * K, 2), (EventRings{1, 4 * K}));
    EXPECT_EQ(plan(5 * K, 2), (EventRings{1, 8 * K}));
    EXPECT_EQ(plan(64 * K, 64), (EventRings{1, 64 * K}));
    EXPECT_EQ(plan(2 * M, 64), (EventRings{4, 512 * K}));
    EXPECT_EQ(plan(64 * M, 64), (EventRings{64, M}));
    EXPECT_EQ(plan(64 * M, 24), (EventRings{24, 2 * M}));
    // Forced, as small as may be.
    EXPECT_EQ(plan(0, 2, 2), (EventRings{2, M}));
    EXPECT_EQ(plan(4 * K, 2, 2), (EventRings{2, 4 * K}));
    EXPECT_EQ(plan(0, 64, 1), (EventRings{1, 2 * M}));
}

} // namespace
} // namespace corebox
