// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "session/lanes.hpp"
#include <algorithm>
#include <cstring>
#include <linux/bpf.h>
#include <linux/perf_event.h>

namespace corebox
{
namespace
{

constexpr unsigned long record_step(std::uint32_t header)
{
    const unsigned long size = header & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
    return (size + BPF_RINGBUF_HDR_SZ + 7) & ~7ul;
}

// What precedes the data of a sample that has raw data and nothing else.
struct RawSample {
    perf_event_header header;
    std::uint32_t size;
};
constexpr std::size_t kRawHeader = offsetof(RawSample, size) + sizeof(std::uint32_t);

} // namespace

bool RingLane::next(Record& record)
{
    while (at_ != end_) {
        const std::uint32_t header = header_at(at_);
        if (header & BPF_RINGBUF_BUSY_BIT)
            return false;
        step_ = record_step(header);
        if (!(header & BPF_RINGBUF_DISCARD_BIT)) {
            record = {data_ + (at_ & mask_) + BPF_RINGBUF_HDR_SZ, header};
            return true;
        }
        advance(step_);
    }
    return false;
}

std::uint64_t RingLane::count_unread() const
{
    std::uint64_t n = 0;
    const unsigned long end = __atomic_load_n(produced_, __ATOMIC_ACQUIRE);
    for (unsigned long at = at_; at != end;) {
        const std::uint32_t header = header_at(at);
        if (header & BPF_RINGBUF_BUSY_BIT)
            break;
        n += !(header & BPF_RINGBUF_DISCARD_BIT);
        at += record_step(header);
    }
    return n;
}

void PerfLane::copy(std::uint64_t position, void* to, std::size_t size) const
{
    const std::uint64_t at = position & mask_;
    const std::size_t first = std::min<std::size_t>(size, mask_ + 1 - at);
    std::memcpy(to, data_ + at, first);
    std::memcpy(static_cast<std::byte*>(to) + first, data_, size - first);
}

bool PerfLane::next(Record& record)
{
    while (at_ != end_) {
        RawSample sample;
        copy(at_, &sample, kRawHeader);
        step_ = sample.header.size;
        // Others tell what was lost, which the BPF side has counted itself.
        if (sample.header.type == PERF_RECORD_SAMPLE) {
            copy_.resize((sample.size + 7) / 8);
            copy(at_ + kRawHeader, copy_.data(), sample.size);
            record = {copy_.data(), sample.size};
            return true;
        }
        advance(step_);
    }
    return false;
}

std::uint64_t PerfLane::count_unread() const
{
    std::uint64_t n = 0;
    const std::uint64_t end = __atomic_load_n(head_, __ATOMIC_ACQUIRE);
    for (std::uint64_t at = at_; at != end;) {
        perf_event_header header;
        copy(at, &header, sizeof header);
        n += header.type == PERF_RECORD_SAMPLE;
        at += header.size;
    }
    return n;
}

} // namespace corebox
