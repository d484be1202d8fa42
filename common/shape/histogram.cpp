// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "shape/histogram.hpp"
#include <bpf/bpf.h>
#include <cerrno>
#include <numeric>

namespace corebox
{
namespace
{

// BCC's Python tools have --timestamp, or print the time with intervals unless told not to.
bool is_stamped(const Session& session)
{
    const auto& options = session.tool.options;
    return session.given("timestamp") ||
           (session.given("interval") && !session.given("notimestamp") &&
            std::ranges::find(options, "notimestamp", &Option::name) != options.end());
}

} // namespace

HistogramWriter::HistogramWriter(const Session& session, Sink& sink, Unit unit, Buckets buckets,
                                 bool totals)
    : sink_(sink), look_{.unit = unit,
                         .buckets = buckets,
                         .stamped = is_stamped(session),
                         .totals = totals || session.given("extension"),
                         .minimum = totals}
{
}

void HistogramWriter::begin(std::uint64_t mono_ns)
{
    mono_ns_ = mono_ns;
    sink_.begin_report(look_, mono_ns);
}

void HistogramWriter::write(const void* row, const Distribution& d, std::string_view summary,
                            bool only)
{
    sink_.histogram(look_, {.key = row,
                            .distribution = &d,
                            .mono_ns = mono_ns_,
                            .summary = summary,
                            .only_summary = only});
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
