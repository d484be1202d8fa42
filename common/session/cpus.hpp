// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Memory that the kernel side has for each CPU (a BPF array that user space maps).
#pragma once
#include <cstddef>
#include <cstdint>

struct bpf_map;

namespace corebox
{

// The highest number that a CPU of this machine can have, plus one.
std::uint32_t cpu_limit();

// Fails where this machine never has that CPU.
void check_cpu(std::uint32_t cpu);

// A mapped array of `Place`, one for each CPU. Unmapped at the end.
class MappedArray
{
public:
    MappedArray() = default;
    ~MappedArray();
    MappedArray(const MappedArray&) = delete;
    MappedArray& operator=(const MappedArray&) = delete;

    void map(bpf_map* array); // loaded; fails where that is refused
    std::size_t size() const { return entries_; }
    template <class Place>
    Place& at(std::size_t i) const
    {
        static_assert(sizeof(Place) % 8 == 0);
        return static_cast<Place*>(memory_)[i];
    }

private:
    void* memory_ = nullptr;
    std::size_t bytes_ = 0, entries_ = 0;
};

} // namespace corebox
