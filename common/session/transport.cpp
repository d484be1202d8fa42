// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "session/transport.hpp"
#include "base/error.hpp"
#include <algorithm>
#include <bit>
#include <bpf/libbpf.h>
#include <cerrno>
#include <unistd.h>

namespace corebox
{
namespace
{
constexpr unsigned kBudget = 10'000;
constexpr unsigned kPerfPages = 128; // for each CPU
} // namespace

int EventReader::on_ring(void* context, void* record, std::size_t size) noexcept
{
    auto& self = *static_cast<EventReader*>(context);
    self.sink_(self.context_, record, size);
    // A negative result ends libbpf's loop, after this record: it is not seen again.
    return --self.budget_ ? 0 : -EINTR;
}

void EventReader::on_perf(void* context, int, void* record, unsigned size) noexcept
{
    auto& self = *static_cast<EventReader*>(context);
    self.sink_(self.context_, record, size);
}

EventReader::EventReader(bpf_map* events, bool perf, unsigned bytes, Sink sink, void* context)
    : sink_(sink), context_(context)
{
    const int fd = bpf_map__fd(events);
    if (perf) {
        const unsigned page = unsigned(::sysconf(_SC_PAGESIZE));
        const unsigned pages = bytes ? std::bit_ceil(std::max(1u, bytes / page)) : kPerfPages;
        // What does not fit is counted by the BPF side, whose output call fails; so no callback.
        perf_ = perf_buffer__new(fd, pages, on_perf, nullptr, this, nullptr);
    } else {
        ring_ = ring_buffer__new(fd, on_ring, this, nullptr);
    }
    if (!ring_ && !perf_)
        fail("cannot open the event buffer", errno);
}

EventReader::~EventReader()
{
    ring_buffer__free(ring_);
    perf_buffer__free(perf_);
}

int EventReader::epoll_fd() const
{
    return ring_ ? ring_buffer__epoll_fd(ring_) : perf_buffer__epoll_fd(perf_);
}

bool EventReader::consume()
{
    budget_ = kBudget;
    if (perf_) {
        perf_buffer__consume(perf_);
        return false;
    }
    ring_buffer__consume(ring_);
    return budget_ == 0;
}

} // namespace corebox
