// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "output/output.hpp"
#include "base/error.hpp"
#include "base/signals.hpp"
#include "base/text.hpp"
#include "output/escape.hpp"
#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
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

void put_hex(std::string& out, std::string_view bytes)
{
    constexpr char kHex[] = "0123456789abcdef";
    out += '"';
    for (const char byte : bytes) {
        out += kHex[std::uint8_t(byte) >> 4];
        out += kHex[std::uint8_t(byte) & 15];
    }
    out += '"';
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

namespace
{
// Between members: not at the start of an object or array, not twice.
void put_json_comma(std::string& out)
{
    if (!out.empty() && std::string_view("{[,").find(out.back()) == std::string_view::npos)
        out += ',';
}
} // namespace

void put_json_key(std::string& out, std::string_view key)
{
    put_json_comma(out);
    out += '"';
    out += key;
    out += "\":";
}

namespace
{

// Whether writing may wait for a reader: poll(2) then tells of PIPE_BUF bytes of room at least. Not
// of one that cannot be written to at all.
bool may_block(int fd)
{
    struct stat st {
    };
    return ::fstat(fd, &st) == 0 &&
           (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode) || S_ISCHR(st.st_mode)) &&
           (::fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY;
}

} // namespace

Output::Output(const OutputOptions& options, std::span<const Column> columns)
    : options_(options), may_block_(may_block(options.fd)), clock_(options.utc)
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
        make_keys();
        return;
    }
    using When = Show::When;
    const bool json = options.format != Format::text;
    for (const Column& c : columns) {
        const bool given = std::ranges::any_of(split(c.show.option, '|'), options.given);
        const bool shown = c.show.when == When::always || (c.show.when == When::with && given) ||
                           (c.show.when == When::without && !given) ||
                           (c.show.when == When::costly && given) ||
                           (json && c.show.when != When::costly &&
                            (c.show.when != When::json || c.show.option.empty() || given));
        if (shown)
            visible_.push_back(&c);
    }
    make_keys();
}

void Output::make_keys()
{
    for (const Column* c : visible_)
        json_keys_.push_back(cat('"', c->key, "\":"));
    grow(line_.data(), kNumberBytes);
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
            const auto width = std::size_t(std::abs(c.width));
            const std::size_t pad = c.header.size() < width ? width - c.header.size() : 0;
            const bool last = i + 1 == visible_.size();
            buffer_.append(c.width < 0 ? pad : 0, ' ');
            buffer_ += c.header;
            buffer_.append(c.width > 0 && !last ? pad : 0, ' ');
            buffer_ += last ? "" : " ";
        }
    }
    buffer_ += '\n';
}

// The common kinds go through memory by hand, a few hundred instructions a row; what is rare goes
// through the string functions below.
char* Output::grow(char* at, std::size_t bytes)
{
    const auto used = std::size_t(at - line_.data());
    line_.resize((used + bytes) * 2);
    line_end_ = line_.data() + line_.size();
    return line_.data() + used;
}

// The same as put_fixed(), for up to 9 decimals: kNumberBytes are enough.
static char* put_fixed(char* at, char* end, std::uint64_t n, unsigned decimals)
{
    constexpr std::uint64_t kUnits[] = {1,       10,        100,        1'000,       10'000,
                                        100'000, 1'000'000, 10'000'000, 100'000'000, 1'000'000'000};
    const std::uint64_t unit = kUnits[decimals];
    at = std::to_chars(at, end, n / unit).ptr;
    if (decimals == 0)
        return at;
    *at = '.';
    auto rest = std::uint32_t(n % unit);
    for (unsigned i = decimals; i > 0; i--, rest /= 10)
        at[i] = char('0' + rest % 10);
    return at + decimals + 1;
}

char* Output::put_cell(char* at, const Value& v, bool column, bool& plain)
{
    switch (v.kind) {
    case Value::Kind::fixed:
        if (v.digits <= 9)
            return put_fixed(at, at + kNumberBytes, v.u, v.digits);
        [[fallthrough]];
    default:
        cell_.clear();
        put_plain(cell_, v, column);
        plain = cells(cell_) == cell_.size();
        at = reserve(at, cell_.size() + kNumberBytes + kMaxWidth);
        std::memcpy(at, cell_.data(), cell_.size());
        return at + cell_.size();
    case Value::Kind::since_first: {
        if (first_ns_ == 0)
            first_ns_ = v.u;
        std::uint64_t since = v.u - std::min(first_ns_, v.u);
        for (unsigned i = v.digits; i < 9; i++)
            since /= 10;
        return put_fixed(at, at + kNumberBytes, since, v.digits);
    }
    case Value::Kind::trusted:
    case Value::Kind::absent:
        plain = cells(v.str()) == v.size;
        at = reserve(at, v.size + kNumberBytes + kMaxWidth);
        std::memcpy(at, v.s, v.size);
        return at + v.size;
    case Value::Kind::unsigned_int:
        return std::to_chars(at, at + kNumberBytes, v.u).ptr;
    case Value::Kind::signed_int:
        return std::to_chars(at, at + kNumberBytes, v.i).ptr;
    case Value::Kind::text:
        return escape_text(at, v.str(), column, plain);
    }
}

void Output::text_fields(const void* row)
{
    char* at = line_.data();
    const std::size_t n = visible_.size();
    for (std::size_t i = 0; i < n; i++) {
        const Column& c = *visible_[i];
        const bool last = i + 1 == n;
        const Value v = c.get(row);
        const auto width = std::size_t(c.width < 0 ? -c.width : c.width);
        const std::size_t text = v.kind == Value::Kind::text ? v.size * kEscapeGrowth : 0;
        at = reserve(at, text + kMaxWidth + kNumberBytes);
        const auto before = at - line_.data();
        bool plain = true;
        at = put_cell(at, v, !last, plain);
        if (last && c.width >= 0)
            break;
        char* const start = line_.data() + before; // the line may have moved
        const auto bytes = std::size_t(at - start);
        const std::size_t size = plain ? bytes : cells({start, bytes});
        if (size < width) {
            const std::size_t pad = width - size;
            if (c.width < 0) {
                std::memmove(start + pad, start, bytes);
                std::memset(start, ' ', pad);
            } else {
                // In words: the line has room beyond the cell.
                constexpr std::uint64_t kBlanks = 0x2020202020202020;
                for (std::size_t done = 0; done < pad; done += 8)
                    std::memcpy(at + done, &kBlanks, 8);
            }
            at += pad;
        }
        if (!last)
            *at++ = ' ';
    }
    buffer_.append(line_.data(), std::size_t(at - line_.data()));
}

void Output::json_fields(const void* row)
{
    put_json_comma(buffer_);
    char* at = line_.data();
    const auto drain = [&] {
        buffer_.append(line_.data(), std::size_t(at - line_.data()));
        at = line_.data();
    };
    for (std::size_t i = 0; i < visible_.size(); i++) {
        const Column& c = *visible_[i];
        const Value v = c.get(row);
        const std::string& key = json_keys_[i];
        const std::size_t text = v.kind == Value::Kind::text ? v.size * kEscapeGrowth : 0;
        at = reserve(at, key.size() + text + kNumberBytes);
        const auto put_key = [&] {
            std::memcpy(at, key.data(), key.size());
            at += key.size();
        };
        switch (v.kind) {
        case Value::Kind::unsigned_int:
        case Value::Kind::octal:
        case Value::Kind::hex:
            put_key();
            at = std::to_chars(at, at + kNumberBytes, v.u).ptr;
            break;
        case Value::Kind::signed_int:
            put_key();
            at = std::to_chars(at, at + kNumberBytes, v.i).ptr;
            break;
        case Value::Kind::fixed:
        case Value::Kind::since_first: {
            put_key();
            bool plain = true;
            at = put_cell(at, v, true, plain);
            break;
        }
        case Value::Kind::wall_time:
            put_key();
            at = std::to_chars(at, at + kNumberBytes, clock_.wall_ns(v.u)).ptr;
            break;
        case Value::Kind::text: {
            char* const start = at;
            bool lossy = false;
            put_key();
            *at++ = '"';
            at = escape_json(at, v.str(), lossy);
            *at++ = '"';
            if (!lossy)
                break;
            at = start;
            [[fallthrough]];
        }
        default:
            drain();
            put_json(v, c);
        }
        if (i + 1 < visible_.size()) {
            at = reserve(at, 1);
            *at++ = ',';
        }
    }
    drain();
}

void Output::fields(const void* row)
{
    switch (options_.format) {
    case Format::text:
        return text_fields(row);
    case Format::json:
        return json_fields(row);
    case Format::csv:
        break;
    }
    for (std::size_t i = 0; i < visible_.size(); i++) {
        if (i)
            buffer_ += ',';
        put_csv(visible_[i]->get(row));
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
        if (v.digits) {
            const std::string fraction = cat(kSecond + clock_.wall_ns(v.u) % kSecond);
            out += '.';
            out.append(fraction, 1, v.digits); // behind the 1 of kSecond
        }
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
            if (i)
                escape_text(out, v.join() == List::Join::semicolon ? ";" : " ", column);
            if (v.join() == List::Join::quoted)
                escape_quoted(out, v.items[i], column);
            else
                escape_text(out, v.items[i], column);
        }
        if (v.more())
            escape_text(out, " ...", column);
        break;
    }
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
            put_json_key(buffer_, cat(c.key, "_hex"));
            put_hex(buffer_, v.str());
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
    case Value::Kind::list: {
        bool lossy = false;
        buffer_ += '[';
        for (std::size_t i = 0; i < v.size; i++) {
            buffer_ += i ? ",\"" : "\"";
            lossy |= escape_json(buffer_, v.items[i]);
            buffer_ += '"';
        }
        buffer_ += ']';
        if (!lossy)
            break;
        put_json_key(buffer_, cat(c.key, "_hex"));
        buffer_ += '[';
        for (std::size_t i = 0; i < v.size; i++) {
            buffer_ += i ? "," : "";
            put_hex(buffer_, v.items[i]);
        }
        buffer_ += ']';
        break;
    }
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

// Waits until it takes output. A run that was told to end (the signals for that are blocked, and
// wait until the loop takes them) waits for two seconds more: false.
bool Output::wait_for_room() const
{
    constexpr int kStepMs = 100, kGraceMs = 2000;
    for (int told_ms = 0; told_ms < kGraceMs;) {
        pollfd p{options_.fd, POLLOUT, 0};
        if (const int n = ::poll(&p, 1, kStepMs); n > 0 || (n < 0 && errno != EINTR))
            return true;
        sigset_t pending;
        ::sigpending(&pending);
        if (std::ranges::any_of(kEndingSignals,
                                [&](int signal) { return ::sigismember(&pending, signal) == 1; }))
            told_ms += kStepMs;
    }
    return false;
}

void Output::flush()
{
    const char* at = buffer_.data();
    std::size_t left = buffer_.size();
    while (left > 0 && state_ == State::open) {
        if (may_block_ && !wait_for_room()) {
            state_ = State::failed;
            error_ = EAGAIN;
            break;
        }
        const std::size_t most = may_block_ ? std::min<std::size_t>(left, PIPE_BUF) : left;
        const ssize_t n = ::write(options_.fd, at, most);
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

void Output::notice_closed()
{
    pollfd p{options_.fd, 0, 0};
    if (state_ == State::open && ::poll(&p, 1, 0) == 1 && (p.revents & POLLERR))
        state_ = State::closed;
}

} // namespace corebox
