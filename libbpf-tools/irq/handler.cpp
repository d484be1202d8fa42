// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "handler.hpp"
#include <map>
#include <tuple>

namespace corebox
{

void join_cpus(std::vector<HandlerRow>& rows, bool per_cpu)
{
    if (per_cpu)
        return;
    std::map<std::pair<std::string, std::optional<std::uint32_t>>, HandlerRow> joined;
    for (HandlerRow& row : rows) {
        const auto [at, made] = joined.try_emplace({row.name, row.irq}, row);
        if (made)
            continue;
        handler_totals& sum = at->second.totals;
        sum.count += row.totals.count;
        sum.total_ns += row.totals.total_ns;
        sum.max_ns = std::max(sum.max_ns, row.totals.max_ns);
    }
    rows.clear();
    for (auto& [key, row] : joined)
        rows.push_back(std::move(row));
}

void take_fixed(const HandlerOptions& o, __u32 generation, std::vector<HandlerRow>& rows)
{
    for (std::uint32_t cpu = 0; cpu < o.places.size(); cpu++) {
        handler_totals* totals = o.places.at<handler_cpu>(cpu).fixed[generation & 1];
        for (std::size_t i = 0; i < HANDLER_FIXED; i++) {
            if (totals[i].count == 0)
                continue;
            HandlerRow& row = rows.emplace_back();
            row.name = i < o.fixed_names.size() ? o.fixed_names[i] : cat(i);
            row.cpu = cpu;
            row.totals = totals[i];
            row.timed = !o.counts_only;
            totals[i] = {};
        }
    }
}

void check_handlers(const Session& session, HandlerOptions& o)
{
    if (o.counts_only && (o.distributed || o.nanoseconds))
        fail_usage(cat("--events measures no times; --events and --",
                       o.distributed ? "dist" : "nanoseconds", " exclude each other"));
    o.by_cpu = session.given("cpu");
    if (o.by_cpu)
        check_cpu(o.cpu);
}

} // namespace corebox
