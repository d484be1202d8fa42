// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "lock_graph.hpp"
#include <algorithm>
#include <deque>
#include <set>

namespace corebox
{

void LockGraph::add(const LockEdge& edge)
{
    leaving_[edge.from].push_back(edges_.size());
    leaving_[edge.to];
    edges_.push_back(edge);
}

// Breadth first over edges: whether one may follow another depends on how both have the lock
// between.
std::vector<std::size_t> LockGraph::shortest_through(std::size_t first) const
{
    constexpr std::size_t kNone = ~std::size_t(0);
    std::map<std::size_t, std::size_t> before{{first, kNone}};
    std::deque<std::size_t> next{first};
    while (!next.empty()) {
        const std::size_t in = next.front();
        next.pop_front();
        for (const std::size_t out : leaving_.at(edges_[in].to)) {
            if (!blocks(in, out))
                continue;
            if (out == first) {
                std::vector<std::size_t> cycle;
                for (std::size_t at = in; at != kNone; at = before[at])
                    cycle.push_back(at);
                std::ranges::reverse(cycle);
                return cycle;
            }
            if (before.emplace(out, in).second)
                next.push_back(out);
        }
    }
    return {};
}

std::vector<std::vector<std::size_t>> LockGraph::cycles() const
{
    std::vector<std::vector<std::size_t>> all;
    std::set<std::vector<std::size_t>> known;
    for (std::size_t i = 0; i < edges_.size(); i++) {
        const std::vector<std::size_t> cycle = shortest_through(i);
        if (cycle.empty())
            continue;
        const std::uint32_t thread = edges_[cycle[0]].thread;
        if (thread &&
            std::ranges::all_of(cycle, [&](std::size_t e) { return edges_[e].thread == thread; }))
            continue;
        std::vector<std::size_t> sorted = cycle;
        std::ranges::sort(sorted);
        if (known.insert(std::move(sorted)).second)
            all.push_back(cycle);
    }
    return all;
}

} // namespace corebox
