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

// What the BPF side does (bpf/hist.bpf.h).
unsigned slot_for(std::uint64_t v, std::uint64_t unit)
{
    std::uint64_t n = unit == 1 ? v : std::uint64_t(static_cast<unsigned __int128>(v) * 32 / unit);
    unsigned shift = 0;
    for (; n >= 8; n >>= 1)
        shift++;
    return shift * 4 + unsigned(n);
}

void count(hist& h, unsigned slot, std::uint64_t v)
{
    h.slots[slot]++;
    h.totals.sum += v;
    h.totals.max = std::max<std::uint64_t>(h.totals.max, v);
    h.totals.min_inv = std::max<std::uint64_t>(h.totals.min_inv, ~v);
}

hist counted(const std::vector<std::uint64_t>& raw, std::uint64_t unit)
{
    hist h{};
    for (const std::uint64_t v : raw)
        count(h, slot_for(v, unit), v);
    return h;
}

Distribution distribution(const std::vector<std::uint64_t>& raw, std::uint64_t unit = 1)
{
    Distribution d;
    d.add(counted(raw, unit));
    return d;
}

using Rows = std::vector<std::uint64_t>;

TEST(Buckets, CoverEveryValueOnce)
{
    const Buckets log2;
    EXPECT_EQ(log2.from(0), 0u);
    EXPECT_EQ(log2.to(0), 1u);
    for (unsigned i = 1; i < HIST_ROWS; i++)
        EXPECT_EQ(log2.from(i), log2.to(i - 1) + 1) << i;
    EXPECT_EQ(log2.to(HIST_ROWS - 1), ~0ull);

    const Buckets linear{5};
    EXPECT_EQ(linear.from(0), 0u);
    EXPECT_EQ(linear.to(0), 4u);
    EXPECT_EQ(linear.from(3), 15u);
    EXPECT_EQ(linear.to(3), 19u);
}

// Each slot of each kind follows the one before, lies in one row, and is narrow.
void expect_slots(const Buckets& buckets, const Unit& unit, unsigned slots, double widest)
{
    std::uint64_t next = 0;
    for (unsigned i = 0; i < slots; i++) {
        const RawRange values = buckets.values(i, unit);
        if (values.to + 1 == values.from)
            continue; // no value has this slot: a step of fewer than four
        EXPECT_EQ(values.from, next) << i;
        EXPECT_LE(values.from, values.to) << i;
        const unsigned row = buckets.row(i, unit);
        EXPECT_GE(values.from / unit.raw, buckets.from(row)) << i;
        EXPECT_LE(values.to / unit.raw, buckets.to(row)) << i;
        if (widest < 1 && values.from >= unit.raw / 8) {
            EXPECT_LE(double(values.to - values.from) / 2, widest * double(values.from)) << i;
        }
        next = values.to + 1;
        if (next == 0)
            break;
    }
    EXPECT_EQ(next, 0u); // past the greatest value
}

TEST(Buckets, SlotsCoverEveryValueOnceWithAnEighthOfError)
{
    for (const std::uint64_t raw : {1, 1000, 1024, 1'000'000})
        expect_slots({}, {"", raw}, 252, 0.125);
    expect_slots({.step = 200, .last = 63}, {"MHz", 1}, 253, 1e9);
    expect_slots({.step = 1, .last = 63}, {"tasks", 1}, 253, 1e9);
    expect_slots({.step = 5, .low = 10, .last = 8}, kMicroseconds, 33, 1e9);
}

TEST(Buckets, ValuesAreInTheirSlots)
{
    std::mt19937_64 random(2);
    for (int i = 0; i < 20'000; i++) {
        const std::uint64_t v = random() >> (random() % 64);
        for (const std::uint64_t raw : {1, 1000, 1024, 1'000'000}) {
            const Unit unit{"", raw};
            const RawRange values = Buckets{}.values(slot_for(v, raw), unit);
            EXPECT_LE(values.from, v);
            EXPECT_GE(values.to, v);
            EXPECT_EQ(Buckets{}.row(slot_for(v, raw), unit), std::bit_width(v / raw | 1) - 1);
        }
    }
}

TEST(LogLinear, NumbersSlots)
{
    EXPECT_EQ(log_linear_from(255, 7), 255u);
    EXPECT_EQ(log_linear_from(256, 7), 256u);
    EXPECT_EQ(log_linear_from(257, 7), 258u);
    EXPECT_EQ(log_linear_from(8, 2), 8u);
    EXPECT_EQ(log_linear_from(9, 2), 10u);
    EXPECT_EQ(log_linear_from(251, 2), 7ull << 61);
    EXPECT_EQ(log_linear_from(252, 2), ~0ull);
}

TEST(Distribution, IsExactInAllButThePercentiles)
{
    const Distribution d = distribution({0, 1, 2, 3, 4, 1000});
    EXPECT_EQ(d.count(), 6u);
    EXPECT_EQ(d.sum(), 1010u);
    EXPECT_EQ(d.min(), 0u);
    EXPECT_EQ(d.max(), 1000u);
    EXPECT_EQ(d.rows({}, {}), Rows({2, 2, 1, 0, 0, 0, 0, 0, 0, 1})); // 512 -> 1023
}

TEST(Distribution, AddsUpOthersAndTellsHowFarTheLastLinearRowGoes)
{
    hist h{};
    for (const unsigned v : {3u, 3u, 63u, 117u})
        count(h, std::min(v * HIST_ROW, 252u), v);
    Distribution d, other, none;
    d.add(h);
    other.add(d);
    other.add(none);
    EXPECT_EQ(other.count(), 4u);
    EXPECT_EQ(other.min(), 3u);
    EXPECT_EQ(other.max(), 117u);
    const Buckets linear{.step = 1, .last = HIST_ROWS - 1};
    const Unit one{"tasks", 1};
    EXPECT_EQ(other.rows(linear, one).at(63), 2u);
    EXPECT_EQ(other.to(3, linear, one), 3u);
    EXPECT_EQ(other.to(HIST_ROWS - 1, linear, one), 117u);
    const Percentile p50 = other.percentile(50, linear, one);
    EXPECT_TRUE(p50.is_exact());
    EXPECT_EQ(p50.value(), 3u);
    const Percentile p75 = other.percentile(75, linear, one);
    EXPECT_EQ(p75.from, 63u);
    EXPECT_EQ(p75.to, 117u);
    EXPECT_EQ(other.to(HIST_ROWS - 1, Buckets{}, one), ~0ull);
}

TEST(Distribution, AddsUpCpusAndParts)
{
    Distribution d;
    d.add(counted({10}, 1));
    d.add(hist{}); // a CPU that counted nothing has no minimum
    d.add(counted({3, 7000}, 1));
    const hist whole = counted({12}, 1);
    hist_part part{.slots = {}, .totals = whole.totals};
    std::copy_n(whole.slots + 8, HIST_ROW, part.slots); // 8 -> 15
    d.add(part, 2);
    EXPECT_EQ(d.count(), 4u);
    EXPECT_EQ(d.sum(), 7025u);
    EXPECT_EQ(d.min(), 3u);
    EXPECT_EQ(d.max(), 7000u);
    EXPECT_EQ(d.rows({}, {}).at(3), 2u);
}

TEST(Distribution, EmptyHasNothing)
{
    const Distribution d;
    EXPECT_EQ(d.rows({}, {}).size(), 0u);
    EXPECT_EQ(d.min(), 0u);
    EXPECT_EQ(d.max(), 0u);
    EXPECT_EQ(d.percentile(50, {}, {}).value(), 0u);
}

TEST(Distribution, TheGreatestValuesHaveASlot)
{
    const Distribution d = distribution({~0ull, ~0ull / 2, ~0ull / 2 - 1, 0});
    EXPECT_EQ(d.rows({}, {}).at(63), 1u);
    EXPECT_EQ(d.rows({}, {}).at(62), 2u);
    const Percentile p = d.percentile(50, {}, {});
    EXPECT_EQ(p.from, 7ull << 60);
    EXPECT_EQ(p.to, ~0ull / 2);
    EXPECT_EQ(d.percentile(99, {}, {}).value(), ~0ull);
}

// The true one lies between, the estimate is at most an eighth away (of what is below an eighth of
// the unit, that much of it: 1/64), and no percentile is below the least or above the greatest.
TEST(Distribution, PercentilesAreWithinAnEighthOfTheTrueOne)
{
    std::mt19937_64 random(1);
    for (int round = 0; round < 200; round++) {
        std::vector<std::uint64_t> values(1 + random() % 500);
        for (auto& v : values)
            v = random() >> (random() % 54 + 10);
        for (const Unit unit : {Unit{"bytes", 1}, kMicroseconds, Unit{"msecs", 1'000'000}}) {
            const Distribution d = distribution(values, unit.raw);
            std::ranges::sort(values);
            std::uint64_t before = 0;
            for (const unsigned p : {1u, 50u, 90u, 99u, 100u}) {
                const std::size_t rank = std::max<std::size_t>(1, (values.size() * p + 99) / 100);
                const std::uint64_t exact = values[rank - 1];
                const Percentile found = d.percentile(p, {}, unit);
                EXPECT_LE(found.from, exact);
                EXPECT_GE(found.to, exact);
                const double error = std::abs(double(found.value()) - double(exact));
                EXPECT_LE(error, std::max(0.125 * double(exact), double(unit.raw) / 64));
                EXPECT_GE(found.from, values.front());
                EXPECT_LE(found.to, values.back());
                EXPECT_GE(found.value(), before);
                before = found.value();
            }
        }
    }
}

// Issue 12: average 1527, greatest 2586, none below 1000, and yet "p50 1664".
TEST(Distribution, PercentileOfFiveValues)
{
    const Distribution d =
        distribution({1'000'000, 1'101'000, 1'205'000, 1'743'000, 2'586'000}, 1000);
    const Percentile p50 = d.percentile(50, {}, kMicroseconds);
    EXPECT_FALSE(p50.is_exact());
    EXPECT_EQ(p50.from, 1'024'000u);
    EXPECT_EQ(p50.to, 1'279'999u);
    for (const unsigned p : {90u, 99u}) {
        EXPECT_TRUE(d.percentile(p, {}, kMicroseconds).is_exact());
        EXPECT_EQ(d.percentile(p, {}, kMicroseconds).value(), 2'586'000u);
    }
}

TEST(Distribution, OneValueIsAllItsPercentiles)
{
    const Distribution d = distribution({3'000'123, 3'000'123, 3'000'123}, 1000);
    for (const unsigned p : {1u, 50u, 99u, 100u}) {
        EXPECT_TRUE(d.percentile(p, {}, kMicroseconds).is_exact());
        EXPECT_EQ(d.percentile(p, {}, kMicroseconds).value(), 3'000'123u);
    }
}

std::string quotient(std::uint64_t n, std::uint64_t divisor, unsigned decimals)
{
    std::string text;
    put_quotient(text, n, divisor, decimals);
    return text;
}

TEST(Quotient, IsRoundedAndHasNoZerosAtTheEnd)
{
    EXPECT_EQ(quotient(7, 2, 3), "3.5");
    EXPECT_EQ(quotient(2, 3, 3), "0.667");
    EXPECT_EQ(quotient(1999, 1000, 2), "2");
    EXPECT_EQ(quotient(1'000'010, 1000, 3), "1000.01");
    EXPECT_EQ(quotient(5, 1, 3), "5");
    EXPECT_EQ(quotient(0, 7, 3), "0");
    EXPECT_EQ(quotient(~0ull, 1, 3), "18446744073709551615");
    EXPECT_EQ(quotient(512, 1024, 10), "0.5");
    EXPECT_EQ(decimals_of({"bytes", 1}), 0u);
    EXPECT_EQ(decimals_of(kMicroseconds), 3u);
    EXPECT_EQ(decimals_of({"kbytes", 1024}), 10u);
}

std::string shown(Percentile p, Unit unit)
{
    std::string text;
    put_percentile(text, p, unit, 3);
    return text;
}

TEST(Percentile, ShowsThatItIsAnEstimateAndLiesWhereItCan)
{
    EXPECT_EQ(shown({1'024'000, 1'279'999}, kMicroseconds), "~1152");
    EXPECT_EQ(shown({3'000, 3'249}, kMicroseconds), "~3");
    EXPECT_EQ(shown({1'000, 1'249}, kMicroseconds), "~1.1"); // 1 is a fifth less than 1.249
    EXPECT_EQ(shown({3'100, 3'110}, kMicroseconds), "~3.1");
    EXPECT_EQ(shown({2'700, 2'700}, kMicroseconds), "2.7");
    EXPECT_EQ(shown({8, 9}, {"bytes", 1}), "~8");
    EXPECT_EQ(shown({5, 5}, {"bytes", 1}), "5");
    EXPECT_EQ(shown({100, 250}, {"msecs", 1'000'000}), "~0");
    // Rows of linear histograms, the last of which is as wide as its values want.
    EXPECT_EQ(shown({7'500, 14'999}, kMicroseconds), "~11");
    EXPECT_EQ(shown({40'000, 3'892'794}, kMicroseconds), "~1966");
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
              "count 6, avg 3.667 usecs, min 1, p50 ~3.2, p90 7.9, p99 7.9, max 7.9\n");
    EXPECT_TRUE(written(Format::text, nullptr, d, {"extension"})
                    .ends_with("max 7.9\navg = 3 usecs, total: 22 usecs, count: 6\n"));
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
    EXPECT_DOUBLE_EQ(json.at("p50_from").get<double>(), 2.5);
    EXPECT_DOUBLE_EQ(json.at("p50_to").get<double>(), 2.999);
    EXPECT_DOUBLE_EQ(json.at("p50").get<double>(), 2.749);
    EXPECT_DOUBLE_EQ(json.at("p90_from").get<double>(), 70.0);
    EXPECT_DOUBLE_EQ(json.at("p90_to").get<double>(), 70.0);
    EXPECT_DOUBLE_EQ(json.at("min").get<double>(), 1.001);
    EXPECT_DOUBLE_EQ(json.at("max").get<double>(), 70.0);
    ASSERT_EQ(json.at("buckets").size(), 7u);
    EXPECT_EQ(json.at("buckets")[6], (nlohmann::json{{"from", 64}, {"to", 127}, {"count", 1}}));
    std::uint64_t count = 0;
    for (const auto& bucket : json.at("buckets"))
        count += bucket.at("count").get<std::uint64_t>();
    EXPECT_EQ(count, 4u);
}

TEST(HistogramWriter, JsonOfPlainNumbersHasDecimalsInTheAverageOnly)
{
    const std::string text =
        written(Format::json, nullptr, distribution({3, 3, 4}), {}, {"bytes", 1});
    EXPECT_NE(text.find("\"sum\":10,\"avg\":3.333,\"min\":3,\"p50\":3,"), std::string::npos)
        << text;
    EXPECT_EQ(text.find("\"disk\""), std::string::npos);
}

TEST(HistogramWriter, CsvIsALineABucket)
{
    const Row row{"a,b"};
    const std::string text = written(Format::csv, &row, distribution({0, 2'000, 2'000}, 1000));
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
