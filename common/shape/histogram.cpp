// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "shape/histogram.hpp"
#include <bpf/bpf.h>
#include <cerrno>

namespace corebox
{
namespace
{

constexpr std::string_view kStars = "****************************************";

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

} // namespace

void Distribution::add(const hist& part)
{
    for (unsigned i = 0; i < HIST_SLOTS; i++) {
        slots_[i] += part.slots[i];
        count_ += part.slots[i];
    }
    sum_ += part.sum;
    max_ = std::max<std::uint64_t>(max_, part.max);
    min_ = std::min<std::uint64_t>(min_, ~part.min_inv);
}

void Distribution::add(const Distribution& other)
{
    for (unsigned i = 0; i < HIST_SLOTS; i++)
        slots_[i] += other.slots_[i];
    count_ += other.count_;
    sum_ += other.sum_;
    max_ = std::max(max_, other.max_);
    min_ = std::min(min_, other.min_);
}

unsigned Distribution::used() const
{
    unsigned used = HIST_SLOTS;
    while (used > 0 && slots_[used - 1] == 0)
        used--;
    return used;
}

std::uint64_t Distribution::percentile(unsigned percent, const Buckets& buckets,
                                       const Unit& unit) const
{
    using Wide = unsigned __int128;
    if (count_ == 0)
        return 0;
    // The rank-th smallest value; of n values in a slot, the k-th is at (k - 1/2) / n of its width.
    const auto rank =
        std::max<std::uint64_t>(1, std::uint64_t((Wide(count_) * percent + 99) / 100));
    std::uint64_t below = 0;
    unsigned i = 0;
    while (i + 1 < HIST_SLOTS && below + slots_[i] < rank)
        below += slots_[i++];
    const Wide from = Wide(buckets.from(i)) * unit.raw;
    const Wide width = (Wide(to(i, buckets, unit)) + 1) * unit.raw - from;
    const Wide value = from + width * (2 * Wide(rank - below) - 1) /
                                  (2 * Wide(std::max<std::uint64_t>(slots_[i], 1)));
    return std::uint64_t(std::clamp<Wide>(value, min(), max_));
}

std::string_view stars(std::uint64_t n, std::uint64_t greatest, unsigned width)
{
    if (greatest == 0)
        return {};
    return kStars.substr(0, std::size_t(static_cast<unsigned __int128>(n) * width / greatest));
}

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
    const unsigned used = d.used();
    const bool wide = used > 32;
    const unsigned cell = wide ? 20 : 10, bar = wide ? 20 : 40;
    out.append(wide ? 15 : 5, ' ');
    put_padded(out, unit_.name, wide ? 29 : 19, false);
    out += " : count     distribution\n";
    std::uint64_t greatest = 0;
    for (unsigned i = 0; i < used; i++)
        greatest = std::max(greatest, d.slot(i));
    for (unsigned i = 0; i < used; i++) {
        const std::uint64_t from = buckets_.from(i), to = d.to(i, buckets_, unit_);
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
    const auto in_unit = [&](std::uint64_t raw) { return raw / unit_.raw; };
    const auto percentile = [&](unsigned p) { return in_unit(d.percentile(p, buckets_, unit_)); };
    out += cat("count ", d.count(), ", avg ", in_unit(d.average()), " ", unit_.name, ", p50 ",
               percentile(50), ", p90 ", percentile(90), ", p99 ", percentile(99), ", max ",
               in_unit(d.max()), "\n");
    if (totals_ || session_.given("extension"))
        out += cat("avg = ", in_unit(d.average()), " ", unit_.name, ", total: ", in_unit(d.sum()),
                   " ", unit_.name, ", count: ", d.count(),
                   totals_ ? cat(", min: ", in_unit(d.min()), " ", unit_.name) : "", "\n");
    output_.end_record();
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
        put_scaled(out, raw, unit_.raw);
    };
    out += '{';
    number("time_ns", time_ns_);
    if (row)
        output_.fields(row);
    put_json_key(out, "unit");
    put_json_string(out, unit_.name);
    put_json_key(out, "buckets");
    out += '[';
    for (unsigned i = 0; i < d.used(); i++) {
        out += i ? ",{" : "{";
        number("from", buckets_.from(i));
        number("to", d.to(i, buckets_, unit_));
        number("count", d.slot(i));
        out += '}';
    }
    out += ']';
    number("count", d.count());
    scaled("sum", d.sum());
    scaled("avg", d.average());
    scaled("min", d.min());
    scaled("p50", d.percentile(50, buckets_, unit_));
    scaled("p90", d.percentile(90, buckets_, unit_));
    scaled("p99", d.percentile(99, buckets_, unit_));
    scaled("max", d.max());
    out += "}\n";
    output_.end_record();
}

void HistogramWriter::csv(const void* row, const Distribution& d)
{
    std::string& out = output_.text();
    for (unsigned i = 0; i < d.used(); i++) {
        out += cat(time_ns_, ",");
        if (row) {
            output_.fields(row);
            out += output_.columns().empty() ? "" : ",";
        }
        out += cat(unit_.name, ",", buckets_.from(i), ",", d.to(i, buckets_, unit_), ",", d.slot(i),
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
        fail("cannot read the histogram", errno);
    std::vector<Distribution> all(parts.size());
    bool any = false;
    for (std::size_t i = 0; i < parts.size(); i++) {
        all[i].add(parts[i]);
        any |= all[i].count() != 0;
    }
    if (any) {
        std::ranges::fill(parts, hist{});
        if (bpf_map_update_elem(fd, &generation, parts.data(), BPF_ANY) != 0)
            fail("cannot clear the histogram", errno);
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

void suit_map(bpf_map* map, std::span<bpf_program* const> programs)
{
    // Only programs of the tracing type (tp_btf, fentry) may allocate as they go: for others
    // kernels before 6.1 warn in their log, and refuse perf events (check_map_prog_compatibility).
    // What is allocated beforehand is so for each CPU: then for fewer keys.
    constexpr __u32 kKeysBeforehand = 512;
    if (!(bpf_map__map_flags(map) & BPF_F_NO_PREALLOC) ||
        std::ranges::all_of(programs, [](const bpf_program* p) {
            return bpf_program__type(p) == BPF_PROG_TYPE_TRACING;
        }))
        return;
    bpf_map__set_map_flags(map, 0);
    bpf_map__set_max_entries(map, std::min(bpf_map__max_entries(map), kKeysBeforehand));
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
