// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "output/histogram.hpp"
#include "base/text.hpp"
#include "output/output.hpp"
#include <algorithm>

namespace corebox
{
namespace
{

// `s` in `width` cells, to the left or the right.
void put_padded(std::string& out, std::string_view s, std::size_t width, bool right)
{
    const std::size_t blanks = s.size() < width ? width - s.size() : 0;
    out.append(right ? blanks : 0, ' ');
    out += s;
    out.append(right ? 0 : blanks, ' ');
}

void put_padded(std::string& out, std::uint64_t n, std::size_t width, bool right)
{
    char digits[24];
    const char* end = std::to_chars(digits, digits + sizeof digits, n).ptr;
    put_padded(out, std::string_view(digits, end), width, right);
}

// n / unit with as many decimals as a unit that is a power of ten has; rounded down for others.
void put_scaled(std::string& out, std::uint64_t n, std::uint64_t unit)
{
    put_number(out, n / unit);
    std::uint64_t power = 1;
    while (power < unit)
        power *= 10;
    if (power != unit || unit == 1)
        return;
    out += '.';
    for (std::uint64_t rest = n % unit; power > 1; rest %= power) {
        power /= 10;
        out += char('0' + rest / power);
    }
}

// As BCC prints it (print_log2_hist), so that its readers' scripts and eyes find their way.
void print_text(Output& output, const HistogramLook& look, const HistogramReport& report)
{
    std::string& out = output.text();
    const Distribution& d = *report.distribution;
    const Unit& unit = look.unit;
    if (report.only_summary) {
        out += cat(report.summary, "\n");
        return;
    }
    if (report.key || !look.stamped)
        out += '\n';
    if (!report.summary.empty()) {
        out += cat(report.summary, "\n");
        if (d.count() == 0)
            return;
    } else if (report.key && !output.columns().empty()) {
        for (std::string_view separator; const Column* c : output.columns()) {
            out += cat(separator, c->key, " = ");
            output.cell(c->get(report.key));
            separator = ", ";
        }
        out += '\n';
    }
    const unsigned used = d.used();
    const bool wide = used > 32;
    const unsigned cell = wide ? 20 : 10, bar = wide ? 20 : 40;
    out.append(wide ? 15 : 5, ' ');
    put_padded(out, unit.name, wide ? 29 : 19, false);
    out += " : count     distribution\n";
    std::uint64_t greatest = 0;
    for (unsigned i = 0; i < used; i++)
        greatest = std::max(greatest, d.slot(i));
    for (unsigned i = 0; i < used; i++) {
        const std::uint64_t from = look.buckets.from(i), to = d.to(i, look.buckets, unit);
        put_padded(out, from, cell, true);
        out += from == to ? "    " : " -> ";
        if (from == to)
            out.append(cell, ' ');
        else
            put_padded(out, to, cell, false);
        out += " : ";
        put_padded(out, d.slot(i), 8, false);
        out += " |";
        put_padded(out, stars(d.slot(i), greatest, bar), bar, false);
        out += "|\n";
    }
    const auto in_unit = [&](std::uint64_t raw) { return raw / unit.raw; };
    const auto percentile = [&](unsigned p) { return in_unit(d.percentile(p, look.buckets, unit)); };
    out += cat("count ", d.count(), ", avg ", in_unit(d.average()), " ", unit.name, ", p50 ",
               percentile(50), ", p90 ", percentile(90), ", p99 ", percentile(99), ", max ",
               in_unit(d.max()), "\n");
    if (look.totals)
        out += cat("avg = ", in_unit(d.average()), " ", unit.name, ", total: ", in_unit(d.sum()),
                   " ", unit.name, ", count: ", d.count(),
                   look.minimum ? cat(", min: ", in_unit(d.min()), " ", unit.name) : "", "\n");
}

void print_json(Output& output, const HistogramLook& look, const HistogramReport& report)
{
    std::string& out = output.text();
    const Distribution& d = *report.distribution;
    const auto number = [&](std::string_view key, std::uint64_t n) {
        put_json_key(out, key);
        put_number(out, n);
    };
    const auto scaled = [&](std::string_view key, std::uint64_t raw) {
        put_json_key(out, key);
        put_scaled(out, raw, look.unit.raw);
    };
    out += '{';
    number("time_ns", output.clock().wall_ns(report.mono_ns));
    if (report.key)
        output.fields(report.key);
    put_json_key(out, "unit");
    put_json_string(out, look.unit.name);
    put_json_key(out, "buckets");
    out += '[';
    for (unsigned i = 0; i < d.used(); i++) {
        out += i ? ",{" : "{";
        number("from", look.buckets.from(i));
        number("to", d.to(i, look.buckets, look.unit));
        number("count", d.slot(i));
        out += '}';
    }
    out += ']';
    number("count", d.count());
    scaled("sum", d.sum());
    scaled("avg", d.average());
    scaled("min", d.min());
    scaled("p50", d.percentile(50, look.buckets, look.unit));
    scaled("p90", d.percentile(90, look.buckets, look.unit));
    scaled("p99", d.percentile(99, look.buckets, look.unit));
    scaled("max", d.max());
    out += "}\n";
}

void print_csv(Output& output, const HistogramLook& look, const HistogramReport& report)
{
    std::string& out = output.text();
    const Distribution& d = *report.distribution;
    for (unsigned i = 0; i < d.used(); i++) {
        out += cat(output.clock().wall_ns(report.mono_ns), ",");
        if (report.key) {
            output.fields(report.key);
            out += output.columns().empty() ? "" : ",";
        }
        out += cat(look.unit.name, ",", look.buckets.from(i), ",", d.to(i, look.buckets, look.unit),
                   ",", d.slot(i), "\n");
        output.end_record();
    }
}

} // namespace

void print_histogram_header(Output& output)
{
    if (output.format() != Format::csv)
        return;
    std::string& out = output.text();
    out += "time_ns,";
    for (const Column* c : output.columns())
        out += cat(c->key, ",");
    out += "unit,from,to,count\n";
}

void print_histogram(Output& output, const HistogramLook& look, const HistogramReport& report)
{
    switch (output.format()) {
    case Format::text:
        print_text(output, look, report);
        break;
    case Format::json:
        print_json(output, look, report);
        break;
    case Format::csv:
        print_csv(output, look, report);
        break;
    }
    output.end_record();
}

} // namespace corebox
