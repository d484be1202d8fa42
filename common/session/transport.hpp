// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The reader's end of event.bpf.h: ring buffer or perf buffer.
#pragma once
#include <cstddef>
#include <memory>

struct bpf_map;
struct ring_buffer;
struct perf_buffer;

namespace corebox
{

class EventReader
{
public:
    // Called for each record; must not throw: it runs inside libbpf.
    using Sink = void (*)(void* context, const void* record, std::size_t size) noexcept;

    // `bytes`: size of the perf buffer of each CPU, 0 for the default; a ring's was set before
    // load. A perf buffer takes records only once this is open, so it is opened before the programs
    // are attached; who gets the records may be told later, but before consume().
    EventReader(bpf_map* events, bool perf, unsigned bytes, Sink sink = nullptr,
                void* context = nullptr);
    void deliver_to(Sink sink, void* context)
    {
        sink_ = sink;
        context_ = context;
    }
    ~EventReader();
    EventReader(const EventReader&) = delete;
    EventReader& operator=(const EventReader&) = delete;

    int epoll_fd() const;

    // Hands over what waits, at most some ten thousand records, so that a flood cannot keep the
    // caller from its signals. True if more may wait.
    bool consume();

private:
    static int on_ring(void* context, void* record, std::size_t size) noexcept;
    static void on_perf(void* context, int cpu, void* record, unsigned size) noexcept;

    ring_buffer* ring_ = nullptr;
    perf_buffer* perf_ = nullptr;
    Sink sink_;
    void* context_;
    unsigned budget_ = 0;
};

} // namespace corebox
