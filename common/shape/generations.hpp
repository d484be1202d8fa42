// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What the aggregating shapes (histogram, top, counters, stacks) share: aggregates in the kernel
// that are read without losing a count.
#pragma once
#include "shape/tracing.hpp"
#include <algorithm>
#include <cstddef>
#include <optional>

namespace corebox
{

// Which half of an aggregate the kernel side fills (cb_generation in
// bpf/aggregate.bpf.h). Keys begin with the number of their generation, of histograms
// with that of the part above it (abi/hist.h).
class Generations
{
public:
    explicit Generations(__u32& live) : live_(live) {}

    // Turns the kernel side to the other half and waits until no program can still write to the
    // old one, whose number is returned.
    __u32 flip();

private:
    __u32& live_;
};

// Removes and returns all entries of a generation: each the key, then the value (of a per-CPU map:
// the values of all possible CPUs, each padded to 8 bytes), packed one after the other. The map is
// read in batches where the kernel can (5.6+).
class Entries
{
public:
    Entries(bpf_map* map, __u32 generation);
    // All entries of a map without generations, which stay there.
    explicit Entries(bpf_map* map) : Entries(map, std::optional<__u32>()) {}

    std::size_t size() const { return bytes_.size() / stride_; }
    // Valid as long as this object.
    template <class Key>
    const Key& key(std::size_t i) const
    {
        return *reinterpret_cast<const Key*>(bytes_.data() + i * stride_);
    }
    // The value of each CPU, or the one value of a map that has one for all.
    template <class Value, class Use>
    void values(std::size_t i, Use&& use) const
    {
        for (std::size_t cpu = 0; cpu < cpus_; cpu++)
            use(*reinterpret_cast<const Value*>(bytes_.data() + i * stride_ + key_size_ +
                                                cpu * value_size_));
    }
    // The one value of a map that has one for all CPUs, to be changed in place.
    template <class Value>
    Value& value(std::size_t i)
    {
        return *reinterpret_cast<Value*>(bytes_.data() + i * stride_ + key_size_);
    }
    // Leaves out those for which `drop(i)`.
    template <class Drop>
    void drop_if(Drop&& drop)
    {
        std::size_t kept = 0;
        for (std::size_t i = 0; i < size(); i++)
            if (!drop(i))
                std::copy_n(bytes_.data() + i * stride_, stride_, bytes_.data() + kept++ * stride_);
        bytes_.resize(kept * stride_);
    }

private:
    Entries(bpf_map* map, std::optional<__u32> generation);
    void read_batches(int fd);
    void read_one_by_one(int fd);
    void keep(const std::byte* key, const std::byte* value); // if it is asked for
    void remove(int fd);

    std::size_t key_size_; // padded to 8
    std::size_t map_key_size_;
    std::size_t value_size_, cpus_;
    std::size_t stride_;
    std::optional<__u32> generation_;
    std::vector<std::byte> bytes_;
};

} // namespace corebox
