// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "shape/histogram.hpp"
#include <bpf/bpf.h>
#include <cerrno>
#include <numeric>

namespace corebox
{
namespace
{

constexpr unsigned kPercentiles[] = {50, 90, 99};

} // namespace

HistogramWriter::HistogramWriter(const Session& session, Output& output, Unit unit, Buckets buckets,
                                 bool totals)
    : session_(session), output_(output), unit_(unit), buckets_(buckets), totals_(totals)
{
}

void HistogramWriter::header()
{
    if (output_.format() != Format::csv)
        return;
    std::string& out = output_.text();
    out += "time_ns,";
    for (const Column* c : output_.columns())
        out += cat(c->key, ",");
    out += "unit,from,to,count\n";
}

void HistogramWriter::begin(std::uint64_t ns)
{
    time_ns_ = output_.clock().wall_ns(ns);
    if (output_.format() == Format::text && stamped())
        output_.text() += cat("\n", output_.clock().time_of_day(time_ns_), "\n");
}

// BCC's Python tools have --timestamp, or print the time with intervals unless told not to.
bool HistogramWriter::stamped() const
{
    const auto& options = session_.tool.options;
    return session_.given("timestamp") ||
           (session_.given("interval") && !session_.given("notimestamp") &&
            std::ranges::find(options, "notimestamp", &Option::name) != options.end());
}

void HistogramWriter::write(const void* row, const Distribution& d, std::string_view summary,
                            bool only)
{
    if (d.count() == 0 && summary.empty())
        return;
    switch (output_.format()) {
    case Format::text:
        text(row, d, summary, only);
        break;
    case Format::json:
        json(row, d);
        break;
    case Format::csv:
        csv(row, d);
        break;
    }
}

// As BCC prints it (print_log2_hist), so that its readers' scripts and eyes find their way.
void HistogramWriter::text(const void* row, const Distribution& d, std::string_view summary,
                           bool only)
{
    std::string& out = output_.text();
    if (only) {
        out += cat(summary, "\n");
        return output_.end_record();
    }
    if (row || !stamped())
        out += '\n';
    if (!summary.empty()) {
        out += cat(summary, "\n");
        if (d.count() == 0)
            return output_.end_record();
    } else if (row && !output_.columns().empty()) {
        for (std::string_view separator; const Column* c : output_.columns()) {
            out += cat(separator, c->key, " = ");
            output_.cell(c->get(row));
            separator = ", ";
        }
        out += '\n';
    }
    const std::vector<std::uint64_t> rows = d.rows(buckets_, unit_);
    const bool wide = rows.size() > 32;
    const unsigned cell = wide ? 20 : 10, bar = wide ? 20 : 40;
    out.append(wide ? 15 : 5, ' ');
    out += padded_right(unit_.name, wide ? 29 : 19);
    out += " : count     distribution\n";
    const std::uint64_t greatest = std::ranges::max(rows);
    for (unsigned i = 0; i < rows.size(); i++) {
        const std::uint64_t from = buckets_.from(i), to = d.to(i, buckets_, unit_);
        out += padded_left(cat(from), cell);
        out += from == to ? "    " : " -> ";
        out += padded_right(from == to ? "" : cat(to), cell);
        out += " : ";
        out += padded_right(cat(rows[i]), 8);
        out += " |";
        out += padded_right(stars(rows[i], greatest, bar), bar);
        out += "|\n";
    }
    statistics(d);
    if (totals_ || session_.given("extension"))
        out += cat("avg = ", d.sum() / d.count() / unit_.raw, " ", unit_.name,
                   ", total: ", d.sum() / unit_.raw, " ", unit_.name, ", count: ", d.count(),
                   totals_ ? cat(", min: ", d.min() / unit_.raw, " ", unit_.name) : "", "\n");
    output_.end_record();
}

void HistogramWriter::statistics(const Distribution& d)
{
    constexpr unsigned kDecimals = 3;
    std::string& out = output_.text();
    out += cat("count ", d.count(), ", avg ");
    put_quotient(out, d.sum(), static_cast<unsigned __int128>(d.count()) * unit_.raw, kDecimals);
    out += cat(" ", unit_.name, ", min ");
    put_quotient(out, d.min(), unit_.raw, kDecimals);
    for (const unsigned p : kPercentiles) {
        out += cat(", p", p, " ");
        put_percentile(out, d.percentile(p, buckets_, unit_), unit_, kDecimals);
    }
    out += ", max ";
    put_quotient(out, d.max(), unit_.raw, kDecimals);
    out += '\n';
}

void HistogramWriter::json(const void* row, const Distribution& d)
{
    std::string& out = output_.text();
    const auto number = [&](std::string_view key, std::uint64_t n) {
        put_json_key(out, key);
        put_number(out, n);
    };
    const auto scaled = [&](std::string_view key, std::uint64_t raw) {
        put_json_key(out, key);
        put_quotient(out, raw, unit_.raw, decimals_of(unit_));
    };
    out += '{';
    number("time_ns", time_ns_);
    if (row)
        output_.fields(row);
    put_json_key(out, "unit");
    put_json_string(out, unit_.name);
    put_json_key(out, "buckets");
    out += '[';
    const std::vector<std::uint64_t> rows = d.rows(buckets_, unit_);
    for (unsigned i = 0; i < rows.size(); i++) {
        out += i ? ",{" : "{";
        number("from", buckets_.from(i));
        number("to", d.to(i, buckets_, unit_));
        number("count", rows[i]);
        out += '}';
    }
    out += ']';
    number("count", d.count());
    scaled("sum", d.sum());
    put_json_key(out, "avg");
    put_quotient(out, d.sum(), static_cast<unsigned __int128>(d.count()) * unit_.raw,
                 std::max(3u, decimals_of(unit_)));
    scaled("min", d.min());
    // Where it is an estimate the true one lies from _from to _to.
    for (const unsigned p : kPercentiles) {
        const Percentile percentile = d.percentile(p, buckets_, unit_);
        scaled(cat("p", p), percentile.value());
        scaled(cat("p", p, "_from"), percentile.from);
        scaled(cat("p", p, "_to"), percentile.to);
    }
    scaled("max", d.max());
    out += "}\n";
    output_.end_record();
}

void HistogramWriter::csv(const void* row, const Distribution& d)
{
    std::string& out = output_.text();
    const std::vector<std::uint64_t> rows = d.rows(buckets_, unit_);
    for (unsigned i = 0; i < rows.size(); i++) {
        out += cat(time_ns_, ",");
        if (row) {
            output_.fields(row);
            out += output_.columns().empty() ? "" : ",";
        }
        out += cat(unit_.name, ",", buckets_.from(i), ",", d.to(i, buckets_, unit_), ",", rows[i],
                   "\n");
        output_.end_record();
    }
}

std::vector<Distribution> take_histograms(bpf_map* map, __u32 generation)
{
    // Of every possible CPU; the kernel pads each value to 8 bytes.
    static_assert(sizeof(hist) % 8 == 0);
    std::vector<hist> parts(static_cast<std::size_t>(libbpf_num_possible_cpus()));
    const int fd = bpf_map__fd(map);
    if (bpf_map_lookup_elem(fd, &generation, parts.data()) != 0)
        fail("read the histogram", errno);
    std::vector<Distribution> all(parts.size());
    bool any = false;
    for (std::size_t i = 0; i < parts.size(); i++) {
        all[i].add(parts[i]);
        any |= all[i].count() != 0;
    }
    if (any) {
        std::ranges::fill(parts, hist{});
        if (bpf_map_update_elem(fd, &generation, parts.data(), BPF_ANY) != 0)
            fail("empty the histogram", errno);
    }
    return all;
}

Distribution take_histogram(bpf_map* map, __u32 generation)
{
    Distribution all;
    for (const Distribution& part : take_histograms(map, generation))
        all.add(part);
    return all;
}

Histograms::Histograms(bpf_map* map, __u32 generation)
    : entries_(map, generation), order_(entries_.size())
{
    const std::size_t size = bpf_map__key_size(map);
    const auto rest = [&](std::size_t i) {
        return std::string_view(reinterpret_cast<const char*>(&entries_.key<__u32>(i)), size)
            .substr(sizeof(__u32));
    };
    std::iota(order_.begin(), order_.end(), std::size_t(0));
    std::ranges::sort(order_, {}, rest);
    for (std::size_t i = 0; i < order_.size(); i++)
        if (i == 0 || rest(order_[i - 1]) != rest(order_[i]))
            first_.push_back(i);
}

void Histograms::add_to(Distribution& d, std::size_t i) const
{
    const std::size_t end = i + 1 < first_.size() ? first_[i + 1] : order_.size();
    for (std::size_t at = first_[i]; at < end; at++)
        entries_.values<hist_part>(order_[at], [&](const hist_part& part) {
            d.add(part, entries_.key<__u32>(order_[at]) >> HIST_PART_SHIFT);
        });
}

void suit_map(bpf_map* map, std::span<bpf_program* const> programs)
{
    // Only programs of the tracing type (tp_btf, fentry) may allocate as they go: for others
    // kernels before 6.1 warn in their log, and refuse perf events (check_map_prog_compatibility).
    // What is allocated beforehand is so for each CPU: then for fewer.
    constexpr __u32 kPartsBeforehand = 4096;
    if (!(bpf_map__map_flags(map) & BPF_F_NO_PREALLOC) ||
        std::ranges::all_of(programs, [](const bpf_program* p) {
            return bpf_program__type(p) == BPF_PROG_TYPE_TRACING;
        }))
        return;
    bpf_map__set_map_flags(map, 0);
    bpf_map__set_max_entries(map, std::min(bpf_map__max_entries(map), kPartsBeforehand));
}

bool row_before(std::span<const Column* const> columns, const void* a, const void* b)
{
    for (const Column* c : columns) {
        const Value x = c->get(a), y = c->get(b);
        if (x < y)
            return true;
        if (y < x)
            return false;
    }
    return false;
}

} // namespace corebox
