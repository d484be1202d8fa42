// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "output/output.hpp"
#include "base/text.hpp"
#include "output/escape.hpp"
#include "output/histogram.hpp"
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace corebox
{
namespace
{

constexpr std::size_t kMaxWidth = 256; // of a column

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

// Behind a value that had bytes which are no UTF-8: those bytes.
void put_json_bytes(std::string& out, std::string_view key, const Value& v)
{
    put_json_key(out, cat(key, "_hex"));
    if (v.kind != Value::Kind::list)
        return put_hex(out, v.str());
    out += '[';
    for (std::size_t i = 0; i < v.size; i++) {
        out += i ? "," : "";
        put_hex(out, v.items[i]);
    }
    out += ']';
}

// Between members: not at the start of an object or array, not twice.
void put_json_comma(std::string& out)
{
    if (!out.empty() && std::string_view("{[,").find(out.back()) == std::string_view::npos)
        out += ',';
}

void put_json_lost(std::string& out, const Lost& lost)
{
    const auto number = [&](std::string_view key, std::uint64_t n) {
        put_json_key(out, key);
        put_number(out, n);
    };
    number("lost", lost.total());
    number("lost_buffer", lost.ring);
    number("lost_map", lost.map);
    number("lost_stack", lost.stack);
    number("lost_nested", lost.skipped);
    number("lost_return", lost.returns);
    number("lost_unread", lost.unread);
}

} // namespace

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
    put_json_comma(out);
    out += '"';
    out += key;
    out += "\":";
}

Output* text_output(Sink& sink)
{
    Output* const output = sink.output();
    return output && output->format() == Format::text ? output : nullptr;
}

Output::Output(const OutputOptions& options, std::span<const Column> columns)
    : Sink(choose_columns({.columns = options.choice.columns,
                           .all_but_costly = options.format != Format::text,
                           .given = options.choice.given},
                          columns)),
      format_(options.format), writer_(options.fd), renderer_(options.utc)
{
    for (const Column* c : this->columns())
        json_keys_.push_back(cat('"', c->key, "\":"));
}

// "TIME-UTC" of "TIME-ZONE".
static std::string title_of(const Column& c, bool utc)
{
    constexpr std::string_view kZone = "-ZONE";
    if (!c.header.ends_with(kZone))
        return std::string(c.header);
    const time_t now = ::time(nullptr);
    tm parts{};
    localtime_r(&now, &parts);
    return cat(c.header.substr(0, c.header.size() - kZone.size()), "-",
               utc ? "UTC" : parts.tm_zone);
}

// The line that begins at `from`.
void Output::cut_line(std::size_t from)
{
    std::string& out = text();
    if (width_ == 0 || out.size() - from <= width_)
        return;
    const auto is_start = [](char c) { return (std::uint8_t(c) & 0xc0) != 0x80; };
    std::size_t cells = 0, cut = out.size();
    for (std::size_t at = from; at < out.size(); at++) {
        if (!is_start(out[at]))
            continue;
        if (cells == width_ - 1)
            cut = at;
        cells++;
    }
    if (cells <= width_)
        return;
    out.resize(cut);
    out += '>';
}

void Output::header()
{
    if (format_ == Format::json)
        return;
    std::string& out = text();
    const std::size_t from = out.size();
    for (std::size_t i = 0; i < columns().size(); i++) {
        const Column& c = *columns()[i];
        if (format_ == Format::csv) {
            out += i ? "," : "";
            out += c.key;
            continue;
        }
        const auto width = std::size_t(std::abs(c.width));
        const std::string title = title_of(c, renderer_.clock().utc());
        const std::size_t pad = title.size() < width ? width - title.size() : 0;
        const bool last = i + 1 == columns().size();
        out.append(c.width < 0 ? pad : 0, ' ');
        out += title;
        out.append(c.width > 0 && !last ? pad : 0, ' ');
        out += last ? "" : " ";
    }
    if (format_ == Format::text)
        cut_line(from);
    out += '\n';
}

void Output::text_fields(const void* row)
{
    char* at = line_.begin();
    const std::size_t n = columns().size();
    for (std::size_t i = 0; i < n; i++) {
        const Column& c = *columns()[i];
        const bool last = i + 1 == n;
        const auto width = std::size_t(std::abs(c.width));
        const auto before = at - line_.begin();
        Renderer::Cell cell;
        at = renderer_.put<Format::text>(line_, at, c.get(row), !last, kMaxWidth, cell);
        if (last && c.width >= 0)
            break;
        char* const start = line_.begin() + before; // the line may have moved
        const auto bytes = std::size_t(at - start);
        const std::size_t size = cell.plain ? bytes : count_cells({start, bytes});
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
    text().append(line_.begin(), std::size_t(at - line_.begin()));
}

void Output::json_fields(const void* row)
{
    std::string& out = text();
    put_json_comma(out);
    char* at = line_.begin();
    for (std::size_t i = 0; i < columns().size(); i++) {
        const Column& c = *columns()[i];
        const std::string& key = json_keys_[i];
        at = line_.reserve(at, key.size() + 1);
        if (i)
            *at++ = ',';
        std::memcpy(at, key.data(), key.size());
        at += key.size();
        const Value v = c.get(row);
        Renderer::Cell cell;
        at = renderer_.put<Format::json>(line_, at, v, true, 0, cell);
        if (cell.lossy) {
            out.append(line_.begin(), std::size_t(at - line_.begin()));
            put_json_bytes(out, c.key, v);
            at = line_.begin();
        }
    }
    out.append(line_.begin(), std::size_t(at - line_.begin()));
}

void Output::csv_fields(const void* row)
{
    for (std::size_t i = 0; i < columns().size(); i++) {
        if (i)
            text() += ',';
        cell_.clear();
        renderer_.append<Format::csv>(cell_, columns()[i]->get(row), false);
        quote_csv(text(), cell_);
    }
}

void Output::fields(const void* row)
{
    switch (format_) {
    case Format::text:
        return text_fields(row);
    case Format::json:
        return json_fields(row);
    case Format::csv:
        return csv_fields(row);
    }
}

void Output::row(const void* row)
{
    if (format_ == Format::json) {
        text() += '{';
        json_fields(row);
        text() += "}\n";
    } else {
        const std::size_t from = text().size();
        fields(row);
        if (format_ == Format::text)
            cut_line(from);
        text() += '\n';
    }
    end_record();
}

void Output::begin_histograms(const HistogramLook&) { print_histogram_header(*this); }

void Output::begin_report(const HistogramLook& look, std::uint64_t mono_ns)
{
    if (format_ == Format::text && look.stamped)
        text() += cat("\n", clock().time_of_day(clock().wall_ns(mono_ns)), "\n");
}

void Output::histogram(const HistogramLook& look, const HistogramReport& report)
{
    if (report.distribution->count() != 0 || !report.summary.empty())
        print_histogram(*this, look, report);
}

void Output::loss(const Lost& lost)
{
    if (format_ != Format::json)
        return;
    text() += "{\"lost\":{";
    put_json_lost(text(), lost);
    text() += "}}\n";
    end_record();
}

void Output::account(const Totals& totals)
{
    if (format_ != Format::json || state() != State::open)
        return;
    std::string& out = text();
    const auto number = [&](std::string_view key, std::uint64_t n) {
        put_json_key(out, key);
        put_number(out, n);
    };
    out += "{\"account\":{";
    number("seen", totals.seen());
    number("printed", totals.printed);
    number("filtered", totals.filtered);
    put_json_lost(out, totals.lost);
    if (totals.silent_ns)
        number("silent_ms", totals.silent_ms());
    if (!totals.note.empty()) {
        put_json_key(out, "note");
        put_json_string(out, totals.note);
    }
    out += "}}\n";
}

void Output::flush()
{
    writer_.flush();
    clock().synchronise();
}

} // namespace corebox
