// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "base/difference.hpp"
#include "shape/counters.hpp"
#include "shape/top.hpp"
#include <gtest/gtest.h>

namespace corebox
{
namespace
{

std::vector<std::size_t> order(std::vector<Ranked> entries)
{
    rank(entries);
    std::vector<std::size_t> places;
    for (const Ranked& r : entries)
        places.push_back(r.entry);
    return places;
}

using Places = std::vector<std::size_t>;

TEST(Rank, PutsTheHeaviestFirst)
{
    EXPECT_EQ(order({{1, {}, 0}, {3, {}, 1}, {2, {}, 2}}), (Places{1, 2, 0}));
    EXPECT_EQ(order({}), Places{});
}

// Differences that do not fit an int: what BCC's libbpf tool subtracts and returns as one.
TEST(Rank, ComparesAll64Bits)
{
    EXPECT_EQ(order({{1, {}, 0}, {1ull << 32, {}, 1}, {1ull << 31, {}, 2}, {~0ull, {}, 3}}),
              (Places{3, 1, 2, 0}));
}

TEST(Rank, OrdersEqualWeightsByKeyWhateverTheirOrderWas)
{
    const std::byte a[2] = {std::byte(1), std::byte(9)}, b[2] = {std::byte(2), std::byte(0)},
                    c[2] = {std::byte(200), std::byte(0)};
    EXPECT_EQ(order({{5, c, 0}, {5, a, 1}, {5, b, 2}}), (Places{1, 2, 0}));
    EXPECT_EQ(order({{5, b, 2}, {5, c, 0}, {5, a, 1}}), (Places{1, 2, 0}));
}

TEST(TopView, KeysTurnItRoundAndMoveTheColumn)
{
    constexpr Column kTwo[] = {
        col<[](const std::uint64_t& n) { return n; }>("n", "N", -4, "Number"),
        col<[](const std::uint64_t&) { return Trusted{"t"}; }>("t", "TEXT", 0, "Text"),
    };
    const Column* const columns[] = {&kTwo[0], &kTwo[1]};
    const auto after = [&](std::string_view keys) {
        TopView view;
        for (const char key : keys)
            EXPECT_TRUE(view.press(key, 2)) << key;
        return view.told(columns);
    };
    EXPECT_EQ(after(""), "");
    EXPECT_EQ(after("r"), " reversed");
    EXPECT_EQ(after("rr"), "");
    EXPECT_EQ(after(">"), " by N");
    EXPECT_EQ(after(">>r"), " by TEXT, reversed");
    EXPECT_EQ(after("<"), " by TEXT");
    EXPECT_EQ(after(">>>"), "");
    TopView view;
    for (const char key : {'q', 'x', '\n', '\x1b'})
        EXPECT_FALSE(view.press(key, 2));
}

TEST(RankBy, NumbersTheLargestFirstTextInItsOrderAndWhatIsNotThereLast)
{
    struct R {
        std::uint64_t n;
        std::string_view text;
    };
    constexpr Column kNumber =
        col<[](const R& r) { return r.n ? Value(r.n) : Absent{}; }>("n", "N", -4, "Number");
    constexpr Column kText =
        col<[](const R& r) -> Value { return r.text; }>("text", "TEXT", 0, "Text");
    const R rows[] = {{3, "b"}, {0, "c"}, {~0ull, "a"}, {3, "a"}};
    const void* const pointers[] = {&rows[0], &rows[1], &rows[2], &rows[3]};
    const auto ranked = [&](const Column& column) {
        Places order{3, 2, 1, 0};
        rank_by(column, pointers, order);
        return order;
    };
    EXPECT_EQ(ranked(kNumber), (Places{2, 3, 0, 1}));
    EXPECT_EQ(ranked(kText), (Places{3, 2, 0, 1})); // equal ones stay as they were
}

TEST(RowLimit, Is20ForPeopleAndNoneForPrograms)
{
    const Tool tool{};
    Session session(tool);
    EXPECT_EQ(row_limit(session, 0), 20u);
    EXPECT_EQ(row_limit(session, 24), 20u);
    EXPECT_EQ(row_limit(session, 10), 7u); // load, header, rows, and the cursor's line
    EXPECT_EQ(row_limit(session, 1), 1u);
    session.format = Format::json;
    EXPECT_EQ(row_limit(session, 0), ~std::size_t(0));
    session.rows = 3;
    EXPECT_EQ(row_limit(session, 0), 3u);
    session.format = Format::text;
    EXPECT_EQ(row_limit(session, 10), 3u); // who names a number gets it
}

TEST(CounterIntervals, AreDifferencesOverAllCpusWithoutTheToolsOwn)
{
    std::vector<counters> slots(4);
    slots[0].n[2] = 100;
    slots[3].n[2] = 20;
    counters own{};
    own.n[2] = 10;
    CounterIntervals intervals(slots, 1'000'000'000, own, {});
    slots[1].n[2] = 7;
    slots[3].n[2] = 25;
    slots[0].n[0] = 3;
    own.n[2] = 14;
    CounterRow row = intervals.next(3'000'000'000, own, {{0, 0, 100}});
    EXPECT_EQ(row.count.n[2], 108u); // 7 + 5 - 4 + 100 skipped by the kernel
    EXPECT_EQ(row.count.n[0], 3u);
    EXPECT_EQ(row.interval_ns, 2'000'000'000u);
    EXPECT_EQ(row.time_ns, 3'000'000'000u);
    EXPECT_EQ(row.rate(2), 54u);
    EXPECT_EQ(row.rate(0), 2u); // 1.5, rounded
    row = intervals.next(3'000'000'000, own, {{0, 0, 100}});
    EXPECT_EQ(row.count.n[2], 0u);
    EXPECT_EQ(row.rate(2), 0u); // no time has passed
}

// Issue 12: ftrace was switched off, and vfsstat printed 9223372036854775808 calls a second.
TEST(CounterIntervals, CountNothingWhereTheProbesFellSilent)
{
    std::vector<counters> slots(2);
    counters own{{500}}; // before the probes were attached
    CounterIntervals intervals(slots, 1'000'000'000, own, {});
    slots[0].n[0] = 10;
    own.n[0] = 503;
    EXPECT_EQ(intervals.next(2'000'000'000, own, {}).count.n[0], 7u);
    own.n[0] = 510; // not counted any more
    EXPECT_EQ(intervals.next(3'000'000'000, own, {}).count.n[0], 0u);
    slots[1].n[0] = 20; // and again: 7 of these stand for what the tool caused before
    const CounterRow row = intervals.next(4'000'000'000, own, {});
    EXPECT_EQ(row.count.n[0], 13u);
    EXPECT_EQ(row.rate(0), 13u);
    EXPECT_EQ(intervals.next(3'500'000'000, own, {}).interval_ns, 0u);
}

TEST(Difference, IsNeverBelowZero)
{
    EXPECT_EQ(difference(std::uint64_t(7), 3), 4u);
    EXPECT_EQ(difference(std::uint64_t(3), 7), 0u);
    EXPECT_EQ(difference(std::uint32_t(0), ~0u), 0u);
    EXPECT_EQ(difference(~0ull, 0), ~0ull);
}

TEST(CounterIntervals, RatesOfShortIntervalsAreNotCut)
{
    const CounterRow row{.time_ns = 0, .interval_ns = 250'000'000, .count = {{1, 1000}}};
    EXPECT_EQ(row.rate(0), 4u);
    EXPECT_EQ(row.rate(1), 4000u);
}

} // namespace
} // namespace corebox
