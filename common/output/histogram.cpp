// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "output/histogram.hpp"
#include "base/text.hpp"
#include "output/output.hpp"
#include <algorithm>

namespace corebox
{
namespace
{

constexpr unsigned kPercentiles[] = {50, 90, 99};

// The line below the bars.
void print_statistics(std::string& out, const HistogramLook& look, const Distribution& d)
{
    constexpr unsigned kDecimals = 3;
    const Unit& unit = look.unit;
    out += cat("count ", d.count(), ", avg ");
    put_quotient(out, d.sum(), static_cast<unsigned __int128>(d.count()) * unit.raw, kDecimals);
    out += cat(" ", unit.name, ", min ");
    put_quotient(out, d.min(), unit.raw, kDecimals);
    for (const unsigned p : kPercentiles) {
        out += cat(", p", p, " ");
        put_percentile(out, d.percentile(p, look.buckets, unit), unit, kDecimals);
    }
    out += ", max ";
    put_quotient(out, d.max(), unit.raw, kDecimals);
    out += '\n';
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
    const std::vector<std::uint64_t> rows = d.rows(look.buckets, unit);
    const bool wide = rows.size() > 32;
    const unsigned cell = wide ? 20 : 10, bar = wide ? 20 : 40;
    out.append(wide ? 15 : 5, ' ');
    out += padded_right(unit.name, wide ? 29 : 19);
    out += " : count     distribution\n";
    const std::uint64_t greatest = std::ranges::max(rows);
    for (unsigned i = 0; i < rows.size(); i++) {
        const std::uint64_t from = look.buckets.from(i), to = d.to(i, look.buckets, unit);
        out += padded_left(cat(from), cell);
        out += from == to ? "    " : " -> ";
        out += padded_right(from == to ? "" : cat(to), cell);
        out += " : ";
        out += padded_right(cat(rows[i]), 8);
        out += " |";
        out += padded_right(stars(rows[i], greatest, bar), bar);
        out += "|\n";
    }
    print_statistics(out, look, d);
    if (look.totals)
        out += cat("avg = ", d.sum() / d.count() / unit.raw, " ", unit.name,
                   ", total: ", d.sum() / unit.raw, " ", unit.name, ", count: ", d.count(),
                   look.minimum ? cat(", min: ", d.min() / unit.raw, " ", unit.name) : "", "\n");
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
        put_quotient(out, raw, look.unit.raw, decimals_of(look.unit));
    };
    out += '{';
    number("time_ns", output.clock().wall_ns(report.mono_ns));
    if (report.key)
        output.fields(report.key);
    put_json_key(out, "unit");
    put_json_string(out, look.unit.name);
    put_json_key(out, "buckets");
    out += '[';
    const std::vector<std::uint64_t> rows = d.rows(look.buckets, look.unit);
    for (unsigned i = 0; i < rows.size(); i++) {
        out += i ? ",{" : "{";
        number("from", look.buckets.from(i));
        number("to", d.to(i, look.buckets, look.unit));
        number("count", rows[i]);
        out += '}';
    }
    out += ']';
    number("count", d.count());
    scaled("sum", d.sum());
    put_json_key(out, "avg");
    put_quotient(out, d.sum(),
                 static_cast<unsigned __int128>(std::max<std::uint64_t>(d.count(), 1)) *
                     look.unit.raw,
                 std::max(3u, decimals_of(look.unit)));
    scaled("min", d.min());
    // Of an estimate, the exact value lies from _from to _to.
    for (const unsigned p : kPercentiles) {
        const Percentile percentile = d.percentile(p, look.buckets, look.unit);
        scaled(cat("p", p), percentile.value());
        scaled(cat("p", p, "_from"), percentile.from);
        scaled(cat("p", p, "_to"), percentile.to);
    }
    scaled("max", d.max());
    out += "}\n";
}

void print_csv(Output& output, const HistogramLook& look, const HistogramReport& report)
{
    std::string& out = output.text();
    const Distribution& d = *report.distribution;
    const std::vector<std::uint64_t> rows = d.rows(look.buckets, look.unit);
    for (unsigned i = 0; i < rows.size(); i++) {
        out += cat(output.clock().wall_ns(report.mono_ns), ",");
        if (report.key) {
            output.fields(report.key);
            out += output.columns().empty() ? "" : ",";
        }
        out += cat(look.unit.name, ",", look.buckets.from(i), ",", d.to(i, look.buckets, look.unit),
                   ",", rows[i], "\n");
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
