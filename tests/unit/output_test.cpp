// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Rows as text, JSON and CSV, against what they must look like to the byte.
#include "base/error.hpp"
#include "base/text.hpp"
#include "output/output.hpp"
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <sys/mman.h>

namespace corebox
{
namespace
{

struct Row {
    std::uint64_t time_ns = 0;
    std::uint32_t pid = 0;
    std::int32_t ret = 0;
    std::uint64_t lat_us = 0;
    char comm[16] = {};
    std::string_view path;
};

constexpr Column kColumns[] = {
    col<[](const Row& r) { return SinceFirst{r.time_ns}; }>("since_s", "TIME(s)", 12,
                                                            "Since the first", with("timestamp")),
    col<[](const Row& r) { return WallTime{r.time_ns}; }>("time_ns", "TIME", 8, "When", kJsonOnly),
    col<&Row::pid>("pid", "PID", 7, "Process ID", without("tid")),
    col<[](const Row& r) -> Value { return r.comm; }>("comm", "COMM", 8, "Command"),
    col<&Row::ret>("ret", "RET", -4, "Result"),
    col<[](const Row& r) { return Errno{r.ret < 0 ? -r.ret : 0}; }>("error", "ERR", 7, "Name"),
    col<[](const Row& r) {
        return Fixed{r.lat_us, 3};
    }>("lat_ms", "LAT(ms)", -8, "Latency"),
    col<[](const Row& r) {
        return Octal{r.pid, 4};
    }>("mode", "MODE", 5, "Mode", costly("mode")),
    col<&Row::path>("path", "PATH", 0, "Path"),
};

Row sample()
{
    Row row{.time_ns = 5'000'000'000, .pid = 42, .ret = -2, .lat_us = 1234, .path = "/tmp/a file"};
    std::ranges::copy(std::string_view("my prog"), row.comm);
    return row;
}

struct Rendered {
    std::vector<std::string> given;
    Format format = Format::text;
    std::string columns{};
    bool header = true;

    std::string operator()(std::span<const Row> rows,
                           std::span<const Column> table = kColumns) const
    {
        const int fd = ::memfd_create("rows", MFD_CLOEXEC);
        {
            Output out({.format = format,
                        .utc = true,
                        .fd = fd,
                        .choice = {.columns = columns,
                                   .given =
                                       [this](std::string_view name) {
                                           return std::ranges::find(given, name) != given.end();
                                       }}},
                       table);
            if (header)
                out.header();
            for (const Row& row : rows)
                out.row(&row);
            out.flush();
        }
        std::string text(std::size_t(::lseek(fd, 0, SEEK_END)), '\0');
        EXPECT_EQ(::pread(fd, text.data(), text.size(), 0), ssize_t(text.size()));
        ::close(fd);
        return text;
    }
    std::string operator()(const Row& row) const { return (*this)({&row, 1}); }
};

TEST(OutputText, AlignsAndEscapes)
{
    EXPECT_EQ(Rendered{}(sample()), "PID     COMM      RET ERR      LAT(ms) PATH\n"
                                    "42      my\\x20prog   -2 ENOENT     1.234 /tmp/a file\n");
}

TEST(OutputText, ColumnsComeAndGoWithOptions)
{
    EXPECT_EQ((Rendered{.given = {"timestamp", "tid", "mode"}}(sample())),
              "TIME(s)      COMM      RET ERR      LAT(ms) MODE  PATH\n"
              "0.000000000  my\\x20prog   -2 ENOENT     1.234 0052  /tmp/a file\n");
}

TEST(OutputText, SinceTheFirstRow)
{
    Row second = sample();
    second.time_ns += 1'500'000'001;
    const Row rows[] = {sample(), second};
    EXPECT_EQ((Rendered{.columns = "since_s,pid", .header = false}(rows)), "0.000000000  42\n"
                                                                           "1.500000001  42\n");
}

TEST(OutputText, ChosenColumnsInTheirOrder)
{
    EXPECT_EQ((Rendered{.columns = "path,pid,error"}(sample())),
              "PATH PID     ERR\n"
              "/tmp/a\\x20file 42      ENOENT\n");
    EXPECT_EQ((Rendered{.columns = "pid"}(sample())), "PID\n42\n");
    EXPECT_THROW((Rendered{.columns = "pid,nosuch"}(sample())), Failure);
}

TEST(OutputText, WideCharactersTakeTheirCellsNotTheirBytes)
{
    Row row = sample();
    std::ranges::fill(row.comm, '\0');
    std::ranges::copy(std::string_view("caf\u00e9"), row.comm);
    EXPECT_EQ((Rendered{.columns = "comm,pid", .header = false}(row)), "caf\u00e9     42\n");
}

TEST(OutputText, NoNameForgesALine)
{
    Row row = sample();
    row.path = "/tmp/x\n1       init      0         0.000 /etc/shadow\x1b[2J";
    EXPECT_EQ((Rendered{.columns = "pid,path", .header = false}(row)),
              "42      /tmp/x\\n1       init      0         0.000 /etc/shadow\\x1b[2J\n");
}

TEST(OutputJson, KeysUnitsAndTypes)
{
    const std::string text = Rendered{.format = Format::json}(sample());
    ASSERT_EQ(text.find('\n'), text.size() - 1);
    auto json = nlohmann::json::parse(text);
    const auto clock = json["time_ns"].get<std::uint64_t>();
    EXPECT_GT(clock, 1'600'000'000'000'000'000u); // wall clock, not since boot
    json.erase("time_ns");
    EXPECT_EQ(json, nlohmann::json::parse(R"({"since_s":0.0,"pid":42,"comm":"my prog","ret":-2,
        "error":"ENOENT","lat_ms":1.234,"path":"/tmp/a file"})"));
    EXPECT_TRUE(text.starts_with("{\"since_s\":0.000000000,\"time_ns\":"));
    EXPECT_TRUE(text.ends_with(",\"pid\":42,\"comm\":\"my prog\",\"ret\":-2,\"error\":\"ENOENT\","
                               "\"lat_ms\":1.234,\"path\":\"/tmp/a file\"}\n"));
}

TEST(OutputJson, CostlyColumnsOnlyWhenAsked)
{
    EXPECT_EQ((Rendered{.format = Format::json}(sample())).find("\"mode\""), std::string::npos);
    EXPECT_NE((Rendered{.given = {"mode"}, .format = Format::json}(sample())).find("\"mode\":42"),
              std::string::npos);
}

TEST(OutputJson, InvalidUtf8KeepsItsBytes)
{
    Row row = sample();
    row.path = "/tmp/\xff\n";
    EXPECT_EQ((Rendered{.format = Format::json, .columns = "path"}(row)),
              "{\"path\":\"/tmp/\\ufffd\\u000a\",\"path_hex\":\"2f746d702fff0a\"}\n");
}

TEST(OutputJson, EveryRowOfRandomBytesIsOneObject)
{
    std::mt19937 random(7);
    std::string bytes;
    for (int i = 0; i < 3000; i++) {
        bytes.clear();
        for (unsigned n = random() % 40; n > 0; n--)
            bytes += char(random());
        Row row = sample();
        row.path = bytes;
        const std::string text = Rendered{.format = Format::json, .columns = "path"}(row);
        ASSERT_EQ(text.find('\n'), text.size() - 1);
        const auto json = nlohmann::json::parse(text);
        if (json.contains("path_hex")) {
            std::string back;
            const auto hex = json["path_hex"].get<std::string>();
            for (std::size_t k = 0; k < hex.size(); k += 2)
                back += char(std::stoi(hex.substr(k, 2), nullptr, 16));
            ASSERT_EQ(back, bytes);
        } else {
            ASSERT_EQ(json["path"].get<std::string>(), bytes);
        }
    }
}

TEST(OutputCsv, KeysAsHeaderRawTimesQuotedText)
{
    Row row = sample();
    row.path = "a,\"b\"\n";
    EXPECT_EQ((Rendered{.format = Format::csv, .columns = "pid,comm,path,lat_ms"}(row)),
              "pid,comm,path,lat_ms\n42,\"my prog\",\"a,\"\"b\"\"\\n\",1.234\n");
}

constexpr Column kKinds[] = {
    col<[](const Row&) { return true; }>("yes", "YES", 4, "x"),
    col<[](const Row&) -> Value { return Absent{}; }>("none", "NONE", 5, "x"),
    col<[](const Row&) { return Hex{0xbeef}; }>("hex", "HEX", 7, "x"),
    col<[](const Row&) { return Trusted{"a b"}; }>("trusted", "TRUSTED", 8, "x"),
    col<[](const Row&) { return Errno{0}; }>("err", "ERR", 4, "x"),
    col<[](const Row&) { return Errno{512}; }>("kern", "KERN", 5, "x"),
    col<[](const Row&) {
        return Fixed{5, 3};
    }>("fixed", "FIXED", -6, "x"),
    col<[](const Row&) {
        return Octal{0644, 4};
    }>("octal", "OCTAL", 6, "x"),
    col<[](const Row&) { return std::int64_t(-9223372036854775807 - 1); }>("least", "LEAST", 0,
                                                                           "x"),
};

TEST(Output, EveryKindOfValue)
{
    const Row row{};
    EXPECT_EQ((Rendered{.header = false}({&row, 1}, kKinds)),
              "yes  -     0xbeef  a b           E512   0.005 0644   -9223372036854775808\n");
    EXPECT_EQ((Rendered{.format = Format::json}({&row, 1}, kKinds)),
              "{\"yes\":true,\"none\":null,\"hex\":48879,\"trusted\":\"a b\",\"err\":\"\","
              "\"kern\":\"E512\",\"fixed\":0.005,\"octal\":420,\"least\":-9223372036854775808}\n");
    EXPECT_EQ((Rendered{.format = Format::csv, .header = false}({&row, 1}, kKinds)),
              "yes,,0xbeef,\"a b\",,E512,0.005,0644,-9223372036854775808\n");
}

TEST(Output, ValuesOrder)
{
    EXPECT_TRUE(Value(1u) < Value(2u));
    EXPECT_TRUE(Value(-1) < Value(1));
    EXPECT_TRUE(Value(std::string_view("a")) < Value(std::string_view("b")));
    EXPECT_FALSE(Value(2u) < Value(2u));
}

TEST(Output, ManyRowsInFewWrites)
{
    const std::vector<Row> rows(5000, sample());
    const std::string text = Rendered{.columns = "pid", .header = false}(rows);
    EXPECT_EQ(text.size(), 5000 * 3u);
}

TEST(Output, LinesFitTheTerminal)
{
    Row row = sample();
    row.path = "/a/gr\u00fc\u00dfe/b";
    const auto lines = [&](std::size_t width) {
        const int fd = ::memfd_create("rows", MFD_CLOEXEC);
        Output out({.fd = fd, .choice = {.columns = "pid,path"}}, kColumns);
        out.fit(width);
        out.header();
        out.row(&row);
        out.flush();
        std::string text(200, '\0');
        text.resize(std::size_t(::pread(fd, text.data(), text.size(), 0)));
        ::close(fd);
        return text;
    };
    EXPECT_EQ(lines(0), "PID     PATH\n42      /a/gr\u00fc\u00dfe/b\n");
    EXPECT_EQ(lines(18), lines(0)); // as wide as the row
    EXPECT_EQ(lines(17), "PID     PATH\n42      /a/gr\u00fc\u00dfe>\n");
    EXPECT_EQ(lines(14), "PID     PATH\n42      /a/gr>\n");
    EXPECT_EQ(lines(10), "PID     P>\n42      />\n");
}

TEST(Output, ClosedPipeAndFullDiskAreTold)
{
    ::signal(SIGPIPE, SIG_IGN);
    const auto state = [](int fd) {
        Output out({.fd = fd}, kColumns);
        out.header();
        out.flush();
        return std::pair(out.state(), out.error());
    };
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    ::close(ends[0]);
    EXPECT_EQ(state(ends[1]), std::pair(Output::State::closed, EPIPE));
    ::close(ends[1]);
    const int full = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
    EXPECT_EQ(state(full), std::pair(Output::State::failed, ENOSPC));
    ::close(full);
    EXPECT_EQ(state(-1).first, Output::State::failed);
}

TEST(Clock, TimesOfDay)
{
    Clock clock(true);
    EXPECT_EQ(clock.time_of_day(0), "00:00:00");
    EXPECT_EQ(clock.time_of_day(1'704'112'496'999'999'999), "12:34:56");
    EXPECT_EQ(clock.time_of_day(1'704'112'497'000'000'000), "12:34:57");
}

TEST(Clock, MonotonicBecomesWall)
{
    const Clock clock(true);
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    const auto wall = std::int64_t(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
    const auto difference = std::int64_t(clock.wall_ns(monotonic_ns())) - wall;
    EXPECT_LT(std::abs(difference), 1'000'000'000);
}

TEST(Output, AddressesAreThoseOfInetNtop)
{
    std::mt19937 random(17);
    Renderer renderer(true);
    for (int i = 0; i < 20'000; i++) {
        std::uint8_t bytes[16];
        for (int group = 0; group < 8; group++) {
            const auto value = random() % 3 ? 0u : unsigned(random()) >> random() % 16;
            bytes[2 * group] = std::uint8_t(value >> 8);
            bytes[2 * group + 1] = std::uint8_t(value);
        }
        for (const bool v6 : {false, true}) {
            char expected[INET6_ADDRSTRLEN];
            ::inet_ntop(v6 ? AF_INET6 : AF_INET, bytes, expected, sizeof expected);
            std::string text;
            renderer.append<Format::text>(text, Address{bytes, v6}, false);
            ASSERT_EQ(text, expected);
        }
    }
}

} // namespace
} // namespace corebox
