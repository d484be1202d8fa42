// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "output/output.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "output/escape.hpp"
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <unistd.h>

namespace corebox
{
namespace
{

constexpr std::uint64_t kSecond = 1'000'000'000;

std::uint64_t now(clockid_t clock)
{
    timespec t{};
    clock_gettime(clock, &t);
    return std::uint64_t(t.tv_sec) * kSecond + std::uint64_t(t.tv_nsec);
}

void put_signed(std::string& out, std::int64_t n)
{
    char digits[24];
    out.append(digits, std::to_chars(digits, digits + sizeof digits, n).ptr);
}

void put_padded(std::string& out, std::uint64_t n, unsigned digits, int base)
{
    char text[24];
    char* end = std::to_chars(text, text + sizeof text, n, base).ptr;
    for (auto have = unsigned(end - text); have < digits; have++)
        out += '0';
    out.append(text, end);
}

// n * 10^-decimals.
void put_fixed(std::string& out, std::uint64_t n, unsigned decimals)
{
    std::uint64_t unit = 1;
    for (unsigned i = 0; i < decimals; i++)
        unit *= 10;
    put_number(out, n / unit);
    if (decimals) {
        out += '.';
        put_padded(out, n % unit, decimals, 10);
    }
}

// Terminal cells, as far as that can be told without a table: code points.
std::size_t cells(std::string_view s)
{
    std::size_t n = 0;
    for (const char c : s)
        n += (std::uint8_t(c) & 0xc0) != 0x80;
    return n;
}

} // namespace

std::uint64_t monotonic_ns() { return now(CLOCK_MONOTONIC); }

void Clock::synchronise() { offset_ = now(CLOCK_REALTIME) - now(CLOCK_MONOTONIC); }

std::string_view Clock::time_of_day(std::uint64_t wall_ns)
{
    if (const std::uint64_t second = wall_ns / kSecond; second != second_) {
        const auto t = time_t(second);
        tm parts{};
        utc_ ? gmtime_r(&t, &parts) : localtime_r(&t, &parts);
        strftime(text_, sizeof text_, "%H:%M:%S", &parts);
        second_ = second;
    }
    return {text_, sizeof text_ - 1};
}

void put_number(std::string& out, std::uint64_t n)
{
    char digits[24];
    out.append(digits, std::to_chars(digits, digits + sizeof digits, n).ptr);
}

void put_json_string(std::string& out, std::string_view s)
{
    out += '"';
    escape_json(out, s);
    out += '"';
}

void put_json_key(std::string& out, std::string_view key)
{
    if (!out.empty() && out.back() != '{' && out.back() != '[')
        out += ',';
    out += '"';
    out += key;
    out += "\":";
}

Output::Output(const OutputOptions& options, std::span<const Column> columns)
    : options_(options), clock_(options.utc)
{
    buffer_.reserve(kFlushBytes + 8192);
    if (!options.columns.empty()) {
        for (const std::string_view key : split(options.columns, ',')) {
            const auto c = std::ranges::find(columns, key, &Column::key);
            if (c == columns.end()) {
                std::string keys;
                for (const Column& known : columns)
                    keys += cat(keys.empty() ? "" : ",", known.key);
                fail_usage(cat("--columns: no column '", key, "'; there are ", keys));
            }
            visible_.push_back(&*c);
        }
        return;
    }
    using When = Show::When;
    const bool json = options.format != Format::text;
    for (const Column& c : columns) {
        const bool given = !c.show.option.empty() && options.given(c.show.option);
        const bool shown = c.show.when == When::always || (c.show.when == When::with && given) ||
                           (c.show.when == When::without && !given) ||
                           (c.show.when == When::costly && given) ||
                           (json && c.show.when != When::costly);
        if (shown)
            visible_.push_back(&c);
    }
}

void Output::header()
{
    if (options_.format == Format::json)
        return;
    for (std::size_t i = 0; i < visible_.size(); i++) {
        const Column& c = *visible_[i];
        if (options_.format == Format::csv) {
            buffer_ += i ? "," : "";
            buffer_ += c.key;
        } else {
            put_text(Trusted{c.header}, c, i + 1 == visible_.size());
        }
    }
    buffer_ += '\n';
}

void Output::fields(const void* row)
{
    for (std::size_t i = 0; i < visible_.size(); i++) {
        const Column& c = *visible_[i];
        const Value v = c.get(row);
        switch (options_.format) {
        case Format::text:
            put_text(v, c, i + 1 == visible_.size());
            break;
        case Format::json:
            put_json(v, c);
            break;
        case Format::csv:
            if (i)
                buffer_ += ',';
            put_csv(v);
            break;
        }
    }
}

void Output::row(const void* row)
{
    if (options_.format == Format::json) {
        buffer_ += '{';
        fields(row);
        buffer_ += "}\n";
    } else {
        fields(row);
        buffer_ += '\n';
    }
    end_record();
}

void Output::put_plain(std::string& out, const Value& v, bool column)
{
    switch (v.kind) {
    case Value::Kind::signed_int:
        put_signed(out, v.i);
        break;
    case Value::Kind::unsigned_int:
        put_number(out, v.u);
        break;
    case Value::Kind::octal:
        put_padded(out, v.u, v.digits, 8);
        break;
    case Value::Kind::fixed:
        put_fixed(out, v.u, v.digits);
        break;
    case Value::Kind::hex:
        out += "0x";
        put_padded(out, v.u, 1, 16);
        break;
    case Value::Kind::text:
        escape_text(out, v.str(), column);
        break;
    case Value::Kind::trusted:
    case Value::Kind::absent:
        out += v.str();
        break;
    case Value::Kind::error:
        if (v.i != 0)
            out += errno_name(int(v.i));
        break;
    case Value::Kind::wall_time:
        out += clock_.time_of_day(clock_.wall_ns(v.u));
        break;
    case Value::Kind::since_first: {
        if (first_ns_ == 0)
            first_ns_ = v.u;
        std::uint64_t unit = kSecond;
        for (unsigned i = 0; i < v.digits; i++)
            unit /= 10;
        put_fixed(out, (v.u - std::min(first_ns_, v.u)) / unit, v.digits);
        break;
    }
    case Value::Kind::boolean:
        out += v.u ? "yes" : "no";
        break;
    case Value::Kind::list:
        for (std::size_t i = 0; i < v.size; i++) {
            out += i ? ";" : "";
            escape_text(out, v.items[i], column);
        }
        break;
    }
}

void Output::put_text(const Value& v, const Column& c, bool last)
{
    const std::size_t start = buffer_.size();
    const auto width = std::size_t(std::abs(c.width));
    put_plain(buffer_, v, !last);
    std::size_t size = buffer_.size() - start;
    if (v.kind == Value::Kind::text && !last)
        size = cells({buffer_.data() + start, size});
    if (c.width < 0 && size < width)
        buffer_.insert(start, width - size, ' ');
    if (last)
        return;
    if (c.width > 0 && size < width)
        buffer_.append(width - size, ' ');
    buffer_ += ' ';
}

void Output::put_json(const Value& v, const Column& c)
{
    put_json_key(buffer_, c.key);
    switch (v.kind) {
    case Value::Kind::signed_int:
        put_signed(buffer_, v.i);
        break;
    case Value::Kind::unsigned_int:
    case Value::Kind::octal:
    case Value::Kind::hex:
        put_number(buffer_, v.u);
        break;
    case Value::Kind::fixed:
        put_fixed(buffer_, v.u, v.digits);
        break;
    case Value::Kind::wall_time:
        put_number(buffer_, clock_.wall_ns(v.u));
        break;
    case Value::Kind::text: {
        buffer_ += '"';
        const bool lossy = escape_json(buffer_, v.str());
        buffer_ += '"';
        if (lossy) {
            constexpr char kHex[] = "0123456789abcdef";
            put_json_key(buffer_, cat(c.key, "_hex"));
            buffer_ += '"';
            for (const char byte : v.str()) {
                buffer_ += kHex[std::uint8_t(byte) >> 4];
                buffer_ += kHex[std::uint8_t(byte) & 15];
            }
            buffer_ += '"';
        }
        break;
    }
    case Value::Kind::absent:
        buffer_ += "null";
        break;
    case Value::Kind::boolean:
        buffer_ += v.u ? "true" : "false";
        break;
    case Value::Kind::since_first:
        put_plain(buffer_, v, false);
        break;
    case Value::Kind::list:
        buffer_ += '[';
        for (std::size_t i = 0; i < v.size; i++) {
            buffer_ += i ? "," : "";
            put_json_string(buffer_, v.items[i]);
        }
        buffer_ += ']';
        break;
    case Value::Kind::trusted:
    case Value::Kind::error:
        buffer_ += '"';
        put_plain(buffer_, v, false);
        buffer_ += '"';
        break;
    }
}

void Output::put_csv(const Value& v)
{
    cell_.clear();
    if (v.kind == Value::Kind::wall_time)
        put_number(cell_, clock_.wall_ns(v.u));
    else if (v.kind != Value::Kind::absent)
        put_plain(cell_, v, false);
    quote_csv(buffer_, cell_);
}

void Output::flush()
{
    const char* at = buffer_.data();
    std::size_t left = buffer_.size();
    while (left > 0 && state_ == State::open) {
        const ssize_t n = ::write(options_.fd, at, left);
        if (n >= 0) {
            at += n;
            left -= std::size_t(n);
        } else if (errno != EINTR && errno != EAGAIN) {
            state_ = errno == EPIPE ? State::closed : State::failed;
            error_ = errno;
        }
    }
    buffer_.clear();
    clock_.synchronise();
}

} // namespace corebox
