// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "shape/histogram.hpp"
#include <fcntl.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <random>
#include <sys/mman.h>

namespace corebox
{
namespace
{

constexpr Unit kMicroseconds{"usecs", 1000};

// What the BPF side does (bpf/hist.bpf.h), in the unit of the histogram.
hist counted(const std::vector<std::uint64_t>& raw, std::uint64_t unit)
{
    hist h{};
    for (const std::uint64_t v : raw) {
        const std::uint64_t n = v / unit;
        h.slots[n ? 63 - std::countl_zero(n) : 0]++;
        h.sum += v;
        h.max = std::max<std::uint64_t>(h.max, v);
        h.min_inv = std::max<std::uint64_t>(h.min_inv, ~v);
    }
    return h;
}

Distribution distribution(const std::vector<std::uint64_t>& raw, std::uint64_t unit = 1)
{
    Distribution d;
    d.add(counted(raw, unit));
    return d;
}

TEST(Buckets, CoverEveryValueOnce)
{
    const Buckets log2;
    EXPECT_EQ(log2.from(0), 0u);
    EXPECT_EQ(log2.to(0), 1u);
    for (unsigned i = 1; i < HIST_SLOTS; i++)
        EXPECT_EQ(log2.from(i), log2.to(i - 1) + 1) << i;
    EXPECT_EQ(log2.to(HIST_SLOTS - 1), ~0ull);

    const Buckets linear{5};
    EXPECT_EQ(linear.from(0), 0u);
    EXPECT_EQ(linear.to(0), 4u);
    EXPECT_EQ(linear.from(3), 15u);
    EXPECT_EQ(linear.to(3), 19u);
}

TEST(Distribution, IsExactInAllButThePercentiles)
{
    const Distribution d = distribution({0, 1, 2, 3, 4, 1000});
    EXPECT_EQ(d.count(), 6u);
    EXPECT_EQ(d.sum(), 1010u);
    EXPECT_EQ(d.min(), 0u);
    EXPECT_EQ(d.max(), 1000u);
    EXPECT_EQ(d.average(), 168u);
    EXPECT_EQ(d.slot(0), 2u);
    EXPECT_EQ(d.slot(1), 2u);
    EXPECT_EQ(d.slot(2), 1u);
    EXPECT_EQ(d.used(), 10u); // 512 -> 1023
}

TEST(Distribution, AddsUpOthersAndTellsHowFarTheLastLinearSlotGoes)
{
    hist h{};
    h.slots[3] = 2;
    h.slots[HIST_SLOTS - 1] = 2; // 63 and 117
    h.sum = 3 + 3 + 63 + 117;
    h.max = 117;
    h.min_inv = ~3ull;
    Distribution d, other, none;
    d.add(h);
    other.add(d);
    other.add(none);
    EXPECT_EQ(other.count(), 4u);
    EXPECT_EQ(other.min(), 3u);
    EXPECT_EQ(other.max(), 117u);
    const Buckets linear{.step = 1, .last = HIST_SLOTS - 1};
    const Unit one{"tasks", 1};
    EXPECT_EQ(other.to(3, linear, one), 3u);
    EXPECT_EQ(other.to(HIST_SLOTS - 1, linear, one), 117u);
    EXPECT_EQ(other.percentile(50, linear, one), 3u);
    EXPECT_GT(other.percentile(99, linear, one), 63u);
    EXPECT_EQ(other.to(HIST_SLOTS - 1, Buckets{}, one), ~0ull);
}

TEST(Distribution, AddsUpCpus)
{
    Distribution d;
    d.add(counted({10}, 1));
    d.add(hist{}); // a CPU that counted nothing has no minimum
    d.add(counted({3, 7000}, 1));
    EXPECT_EQ(d.count(), 3u);
    EXPECT_EQ(d.min(), 3u);
    EXPECT_EQ(d.max(), 7000u);
}

TEST(Distribution, EmptyHasNothing)
{
    const Distribution d;
    EXPECT_EQ(d.used(), 0u);
    EXPECT_EQ(d.min(), 0u);
    EXPECT_EQ(d.max(), 0u);
    EXPECT_EQ(d.average(), 0u);
    EXPECT_EQ(d.percentile(50, {}, {}), 0u);
}

TEST(Distribution, TheGreatestValuesHaveASlot)
{
    const Distribution d = distribution({~0ull, ~0ull / 2});
    EXPECT_EQ(d.slot(63), 1u);
    EXPECT_EQ(d.slot(62), 1u);
    EXPECT_EQ(d.percentile(99, {}, {}), ~0ull / 2 + 1 + (~0ull / 4 + 1)); // middle of the slot
}

TEST(Distribution, PercentilesAreInTheSlotOfTheTrueOne)
{
    std::mt19937_64 random(1);
    for (int round = 0; round < 200; round++) {
        std::vector<std::uint64_t> values(1 + random() % 500);
        for (auto& v : values)
            v = random() >> (random() % 40 + 10);
        const Distribution d = distribution(values, kMicroseconds.raw);
        std::ranges::sort(values);
        for (const unsigned p : {1u, 50u, 90u, 99u, 100u}) {
            const std::size_t rank = std::max<std::size_t>(1, (values.size() * p + 99) / 100);
            const std::uint64_t exact = values[rank - 1];
            const std::uint64_t estimate = d.percentile(p, {}, kMicroseconds);
            const std::uint64_t a = exact / 1000, b = estimate / 1000;
            EXPECT_EQ(std::bit_width(a | 1), std::bit_width(b | 1)) << exact << " " << estimate;
            EXPECT_GE(estimate, values.front());
            EXPECT_LE(estimate, values.back());
        }
        EXPECT_LE(d.percentile(50, {}, kMicroseconds), d.percentile(90, {}, kMicroseconds));
        EXPECT_LE(d.percentile(90, {}, kMicroseconds), d.percentile(99, {}, kMicroseconds));
        EXPECT_LE(d.percentile(99, {}, kMicroseconds), d.max());
    }
}

TEST(Distribution, OneValueIsAllItsPercentiles)
{
    const Distribution d = distribution({3'000'123}, 1000);
    for (const unsigned p : {1u, 50u, 99u, 100u})
        EXPECT_EQ(d.percentile(p, {}, kMicroseconds), 3'000'123u);
}

TEST(Stars, AreInProportion)
{
    EXPECT_EQ(stars(0, 100, 40), "");
    EXPECT_EQ(stars(100, 100, 40).size(), 40u);
    EXPECT_EQ(stars(50, 100, 40).size(), 20u);
    EXPECT_EQ(stars(1, 100, 40).size(), 0u); // BCC rounds down
    EXPECT_EQ(stars(3, 100, 40).size(), 1u);
    EXPECT_EQ(stars(~0ull, ~0ull, 40).size(), 40u);
    EXPECT_EQ(stars(0, 0, 40), "");
}

// --- The three formats.

struct Row {
    const char* name;
};
constexpr Column kColumns[] = {
    col<[](const Row& r) { return Value(std::string_view(r.name)); }>("disk", "DISK", 8, "Name"),
};
constexpr Tool kTool{.about = {.name = "tool", .area = "test", .summary = "-", .details = "-"},
                     .options = {},
                     .positionals = {},
                     .letters = {},
                     .columns = kColumns,
                     .needs = {},
                     .shared = Shared::interval,
                     .interval = {},
                     .make_options = nullptr,
                     .open = nullptr,
                     .inspect = nullptr};

std::string written(Format format, const Row* row, const Distribution& d,
                    std::set<std::string_view> given = {}, Unit unit = kMicroseconds)
{
    Session session(kTool);
    session.given_names = std::move(given);
    session.format = format;
    session.utc = true;
    OutputOptions options = session.output_options();
    const Fd file(memfd_create("out", 0));
    options.fd = file.get();
    Output output(options, kColumns);
    HistogramWriter writer(session, output, unit);
    writer.header();
    writer.begin(monotonic_ns());
    writer.write(row, d);
    output.flush();
    std::string text(std::size_t(lseek(file.get(), 0, SEEK_END)), '\0');
    EXPECT_EQ(pread(file.get(), text.data(), text.size(), 0), ssize_t(text.size()));
    return text;
}

TEST(HistogramWriter, TextIsLikeBccs)
{
    const Distribution d = distribution({1'000, 2'000, 3'000, 4'000, 4'100, 7'900}, 1000);
    EXPECT_EQ(written(Format::text, nullptr, d),
              "\n"
              "     usecs               : count     distribution\n"
              "         0 -> 1          : 1        |*************                           |\n"
              "         2 -> 3          : 2        |**************************              |\n"
              "         4 -> 7          : 3        |****************************************|\n"
              "count 6, avg 3 usecs, p50 3, p90 7, p99 7, max 7\n");
    EXPECT_TRUE(written(Format::text, nullptr, d, {"extension"})
                    .ends_with("max 7\navg = 3 usecs, total: 22 usecs, count: 6\n"));
}

TEST(HistogramWriter, TextNamesTheKey)
{
    const Row row{"nvme\n0"};
    const std::string text = written(Format::text, &row, distribution({5}));
    EXPECT_TRUE(text.starts_with("\ndisk = nvme\\n0\n     usecs  ")) << text;
}

TEST(HistogramWriter, TextHasTheTimeOfDay)
{
    const std::string text = written(Format::text, nullptr, distribution({5}), {"timestamp"});
    ASSERT_GT(text.size(), 10u);
    EXPECT_EQ(text[0], '\n');
    EXPECT_EQ(text[3], ':');
    EXPECT_EQ(text[6], ':');
    EXPECT_EQ(text.substr(9, 6), "\n     ");
}

TEST(HistogramWriter, WideValuesWidenTheColumns)
{
    const std::string text =
        written(Format::text, nullptr, distribution({1ull << 33}), {}, {"bytes", 1});
    EXPECT_TRUE(
        text.starts_with("\n               bytes                         : count     dist"));
    EXPECT_NE(text.find("\n          8589934592 -> 17179869183          : 1        "
                        "|********************|\n"),
              std::string::npos)
        << text;
}

TEST(HistogramWriter, JsonIsExact)
{
    const Row row{"sd\"a"};
    const auto json = nlohmann::json::parse(
        written(Format::json, &row, distribution({1'001, 2'500, 4'000, 70'000}, 1000)));
    EXPECT_EQ(json.at("disk"), "sd\"a");
    EXPECT_EQ(json.at("unit"), "usecs");
    EXPECT_GT(json.at("time_ns"), 1'000'000'000'000'000'000);
    EXPECT_EQ(json.at("count"), 4);
    EXPECT_DOUBLE_EQ(json.at("sum").get<double>(), 77.501);
    EXPECT_DOUBLE_EQ(json.at("avg").get<double>(), 19.375);
    EXPECT_DOUBLE_EQ(json.at("min").get<double>(), 1.001);
    EXPECT_DOUBLE_EQ(json.at("max").get<double>(), 70.0);
    ASSERT_EQ(json.at("buckets").size(), 7u);
    EXPECT_EQ(json.at("buckets")[6], (nlohmann::json{{"from", 64}, {"to", 127}, {"count", 1}}));
    std::uint64_t count = 0;
    for (const auto& bucket : json.at("buckets"))
        count += bucket.at("count").get<std::uint64_t>();
    EXPECT_EQ(count, 4u);
}

TEST(HistogramWriter, JsonOfPlainNumbersHasNoDecimals)
{
    const std::string text = written(Format::json, nullptr, distribution({3}), {}, {"bytes", 1});
    EXPECT_NE(text.find("\"sum\":3,\"avg\":3,\"min\":3,"), std::string::npos) << text;
    EXPECT_EQ(text.find("\"disk\""), std::string::npos);
}

TEST(HistogramWriter, CsvIsALineABucket)
{
    const Row row{"a,b"};
    const std::string text = written(Format::csv, &row, distribution({0, 2, 2}));
    const auto lines = split(text, '\n');
    ASSERT_EQ(lines.size(), 3u);
    EXPECT_EQ(lines[0], "time_ns,disk,unit,from,to,count");
    EXPECT_TRUE(lines[1].ends_with(",\"a,b\",usecs,0,1,1")) << lines[1];
    EXPECT_TRUE(lines[2].ends_with(",\"a,b\",usecs,2,3,2")) << lines[2];
}

TEST(HistogramWriter, NothingCountedIsNothingWritten)
{
    EXPECT_EQ(written(Format::json, nullptr, {}), "");
    EXPECT_EQ(written(Format::text, nullptr, {}), "");
}

TEST(RowBefore, OrdersByTheShownColumns)
{
    const Column* columns[] = {&kColumns[0]};
    const Row a{"sda"}, b{"sdb"};
    EXPECT_TRUE(row_before(columns, &a, &b));
    EXPECT_FALSE(row_before(columns, &b, &a));
    EXPECT_FALSE(row_before(columns, &a, &a));
    EXPECT_FALSE(row_before({}, &a, &b));
}

} // namespace
} // namespace corebox
