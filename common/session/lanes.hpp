// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Buffers that the kernel writes records to, as their reader maps them: a BPF ring buffer, or one
// CPU's perf buffer. A lane hands over its records one by one, in the order in which they were
// made.
#pragma once
#include <cstddef>
#include <cstdint>
#include <sys/mman.h>
#include <utility>
#include <vector>

namespace corebox
{

struct Record {
    const void* data = nullptr; // aligned to 8 bytes
    std::size_t size = 0;
};

// Memory that is shared with the kernel, unmapped at the end.
class Mapping
{
public:
    Mapping() = default;
    Mapping(int fd, std::size_t size, int protection, long offset)
        : memory_(::mmap(nullptr, size, protection, MAP_SHARED, fd, offset)), size_(size)
    {
    }
    Mapping(Mapping&& other) noexcept
        : memory_(std::exchange(other.memory_, MAP_FAILED)), size_(other.size_)
    {
    }
    Mapping& operator=(Mapping&& other) noexcept
    {
        std::swap(memory_, other.memory_);
        std::swap(size_, other.size_);
        return *this;
    }
    ~Mapping()
    {
        if (*this)
            ::munmap(memory_, size_);
    }

    explicit operator bool() const { return memory_ != MAP_FAILED; }
    void* get() const { return memory_; }

private:
    void* memory_ = MAP_FAILED;
    std::size_t size_ = 0;
};

// A BPF ring buffer (kernel/bpf/ringbuf.c). Its data are mapped twice in a row, so that each record
// lies in one piece.
class RingLane
{
public:
    // `bytes`: of the ring, a power of two. All three are the kernel's: positions only grow.
    RingLane(unsigned long* consumed, const unsigned long* produced, const std::byte* data,
             std::size_t bytes)
        : consumed_(consumed), produced_(produced), data_(data), mask_(bytes - 1), at_(*consumed),
          end_(at_)
    {
    }

    // From now on next() knows what has been written up to now.
    void look() { end_ = __atomic_load_n(produced_, __ATOMIC_ACQUIRE); }
    // The oldest record; false: there is none, or it is still being written. Valid until pop().
    bool next(Record& record);
    void pop() { advance(step_); }
    // Records that next() would find one after the other.
    std::uint64_t count_unread() const;

private:
    void advance(unsigned long step)
    {
        at_ += step;
        __atomic_store_n(consumed_, at_, __ATOMIC_RELEASE);
    }
    std::uint32_t header_at(unsigned long position) const
    {
        return __atomic_load_n(reinterpret_cast<const std::uint32_t*>(data_ + (position & mask_)),
                               __ATOMIC_ACQUIRE);
    }

    unsigned long* consumed_;
    const unsigned long* produced_;
    const std::byte* data_;
    unsigned long mask_, at_, end_, step_ = 0;
};

// A CPU's perf buffer (struct perf_event_mmap_page, linux/perf_event.h). The raw data of a sample
// begins 4 bytes after an aligned address and may go on at the buffer's beginning: it is copied.
class PerfLane
{
public:
    // `head` and `tail`: data_head and data_tail; `bytes`: of the data, a power of two.
    PerfLane(const std::uint64_t* head, std::uint64_t* tail, const std::byte* data,
             std::size_t bytes)
        : head_(head), tail_(tail), data_(data), mask_(bytes - 1), at_(*tail), end_(at_)
    {
    }

    void look() { end_ = __atomic_load_n(head_, __ATOMIC_ACQUIRE); }
    bool next(Record& record);
    void pop() { advance(step_); }
    std::uint64_t count_unread() const;

private:
    void advance(std::uint64_t step)
    {
        at_ += step;
        __atomic_store_n(tail_, at_, __ATOMIC_RELEASE);
    }
    void copy(std::uint64_t position, void* to, std::size_t size) const;

    const std::uint64_t* head_;
    std::uint64_t* tail_;
    const std::byte* data_;
    std::uint64_t mask_, at_, end_, step_ = 0;
    std::vector<std::uint64_t> copy_; // of the oldest record
};

} // namespace corebox
