// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The reader's end of event.bpf.h: a ring buffer, several of them, or a perf buffer for each CPU.
#pragma once
#include "abi/event.h"
#include "base/fd.hpp"
#include "session/lanes.hpp"
#include "session/merge.hpp"
#include <memory>

struct bpf_map;
struct perf_buffer;

namespace corebox
{

// How many ring buffers there are for the records of a run, and the bytes of each, a power of two.
struct EventRings {
    std::uint32_t count, bytes;
    bool operator==(const EventRings&) const = default;
};

// One ring for up to 4 CPUs; beyond, one for each CPU up to 64. `asked_bytes`: all of them together
// (--buffer-size; 0: the default); each has at least 512 KiB, or else they are fewer: a record has
// to fit, and so has what a CPU sends until the reader comes. `forced`: so many, however small.
EventRings plan_event_rings(std::uint32_t asked_bytes, std::uint32_t cpus, std::uint32_t forced);

// Before load: makes cb_events what the run needs. What it returns lives until the map is made.
Fd prepare_event_map(bpf_map* events, event_config& config, bool perf, std::uint32_t asked_bytes);

class EventReader
{
public:
    // Called for each record, which is aligned to 8 bytes and valid until the call returns.
    using Sink = void (*)(void* context, const void* record, std::size_t size) noexcept;

    // `bytes`: --buffer-size, 0 for the default; with `perf` the size for each CPU. A perf buffer
    // takes records only once this is open, so it is opened before the programs are attached; who
    // gets the records may be told later, but before consume().
    EventReader(bpf_map* events, bool perf, unsigned bytes, Sink sink = nullptr,
                void* context = nullptr);
    void deliver_to(Sink sink, void* context)
    {
        sink_ = sink;
        context_ = context;
    }
    EventReader(const EventReader&) = delete;
    EventReader& operator=(const EventReader&) = delete;

    int epoll_fd() const;

    // Hands over what waits, at most some ten thousand records, so that a flood cannot keep the
    // caller from its signals. The records of several buffers come in the order of time. True if
    // more may wait.
    bool consume();

    // How many records wait, which are lost if the run ends without consume(): Lost::unread.
    std::uint64_t count_unread() const;

private:
    struct FreePerf {
        void operator()(perf_buffer* perf) const;
    };

    void open_ring(int map);
    void open_shards(bpf_map* events, EventRings rings);
    void open_perf(bpf_map* events, unsigned bytes);

    Fd epoll_;
    std::vector<Mapping> mappings_;
    std::vector<Fd> shards_;
    std::unique_ptr<perf_buffer, FreePerf> perf_;
    std::vector<RingLane> rings_;
    std::vector<PerfLane> perf_lanes_; // one of the two
    std::vector<LaneHead> heads_;
    Sink sink_;
    void* context_;
};

} // namespace corebox
