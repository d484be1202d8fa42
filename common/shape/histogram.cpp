// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "shape/histogram.hpp"
#include <bpf/bpf.h>
#include <cerrno>

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
