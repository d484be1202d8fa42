// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The order in which locks are taken, and where it goes in a circle.
#pragma once
#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

namespace corebox
{

struct LockNode {
    std::uint32_t pid = 0, image = 0;
    std::uint64_t address = 0;
    std::uint32_t life = 0; // which lock of those that were at this address

    auto operator<=>(const LockNode&) const = default;
};

// A thread asked for `to` when it held `from`.
struct LockEdge {
    LockNode from, to;
    bool from_shared = false, to_shared = false; // read-write locks for reading
    std::uint32_t thread = 0;                    // the only one that did; 0: several did
};

class LockGraph
{
public:
    void add(const LockEdge& edge);
    std::size_t nodes() const { return leaving_.size(); }

    // Cycles in which threads can wait for each other: for each edge the shortest through it, if
    // there is one, as the numbers of its edges in the order of add(). None is twice among them. No
    // cycle are those of one thread alone, and those that pass a lock that is only read there.
    std::vector<std::vector<std::size_t>> cycles() const;

private:
    std::vector<std::size_t> shortest_through(std::size_t edge) const;
    bool blocks(std::size_t in, std::size_t out) const
    {
        return !(edges_[in].to_shared && edges_[out].from_shared);
    }

    std::vector<LockEdge> edges_;
    std::map<LockNode, std::vector<std::size_t>> leaving_; // edges from each lock
};

} // namespace corebox
