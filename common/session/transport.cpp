// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "session/transport.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include <algorithm>
#include <bit>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cerrno>
#include <cstdlib>
#include <linux/perf_event.h>
#include <sys/epoll.h>
#include <unistd.h>

namespace corebox
{
namespace
{

constexpr unsigned kBudget = 10'000;
constexpr unsigned kPerfPages = 128; // for each CPU
constexpr std::uint32_t kRingBytes = 2 << 20;
constexpr std::uint32_t kShardBytes = 512 << 10; // at least
constexpr std::uint32_t kPlainCpus = 4;
constexpr std::uint32_t kMostShards = 64;

std::uint32_t page_bytes() { return std::uint32_t(::sysconf(_SC_PAGESIZE)); }

// COREBOX_SHARDS=N: so many rings, which is how they are tested; 0: not set.
std::uint32_t forced_shards()
{
    const char* text = std::getenv("COREBOX_SHARDS");
    if (!text || !*text)
        return 0;
    const auto n = to_number<std::uint32_t>(text);
    if (!n || *n == 0 || *n > kMostShards)
        fail_usage(cat("invalid COREBOX_SHARDS=", text, ": must be 1 to ", kMostShards));
    return *n;
}

EventRings event_rings(std::uint32_t asked_bytes)
{
    return plan_event_rings(asked_bytes, std::uint32_t(::sysconf(_SC_NPROCESSORS_ONLN)),
                            forced_shards());
}

Fd make_ring(std::uint32_t bytes)
{
    return Fd(bpf_map_create(BPF_MAP_TYPE_RINGBUF, "cb_shard", 0, 0, bytes, nullptr));
}

// Whether the kernel takes an array of such rings.
bool takes_shards(const Fd& ring)
{
    LIBBPF_OPTS(bpf_map_create_opts, options, .inner_map_fd = __u32(ring.get()));
    return ring && Fd(bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "cb_events", sizeof(__u32),
                                     sizeof(__u32), 1, &options));
}

} // namespace

EventRings plan_event_rings(std::uint32_t asked_bytes, std::uint32_t cpus, std::uint32_t forced)
{
    std::uint32_t count = forced;
    if (!forced) {
        count = cpus > kPlainCpus ? std::min(cpus, kMostShards) : 1;
        if (asked_bytes)
            count = std::clamp(asked_bytes / kShardBytes, 1u, count);
    }
    // The kernel makes rings of a power of two of at least a page.
    if (count == 1)
        return {1, std::max(page_bytes(), asked_bytes ? std::bit_ceil(asked_bytes) : kRingBytes)};
    const std::uint32_t all = asked_bytes ? asked_bytes : std::max(kRingBytes, count * kShardBytes);
    return {count, std::max(page_bytes(), std::bit_floor(all / count))};
}

Fd prepare_event_map(bpf_map* events, event_config& config, bool perf, std::uint32_t asked_bytes)
{
    if (perf) {
        config.way = EVENT_PERF;
        bpf_map__set_type(events, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
        bpf_map__set_key_size(events, sizeof(int));
        bpf_map__set_value_size(events, sizeof(int));
        bpf_map__set_max_entries(events, std::uint32_t(libbpf_num_possible_cpus()));
        return {};
    }
    EventRings rings = event_rings(asked_bytes);
    Fd like;
    if (rings.count > 1 && !takes_shards(like = make_ring(rings.bytes)))
        rings = plan_event_rings(asked_bytes, 1, 0);
    config.wakeup_bytes = std::min<std::uint32_t>(rings.bytes / 4, 64 << 10);
    if (rings.count == 1) {
        bpf_map__set_max_entries(events, rings.bytes);
        return {};
    }
    config.way = EVENT_SHARDS;
    config.shards = rings.count;
    bpf_map__set_type(events, BPF_MAP_TYPE_ARRAY_OF_MAPS);
    bpf_map__set_key_size(events, sizeof(__u32));
    bpf_map__set_value_size(events, sizeof(__u32));
    bpf_map__set_max_entries(events, rings.count);
    bpf_map__set_inner_map_fd(events, like.get());
    return like;
}

void EventReader::FreePerf::operator()(perf_buffer* perf) const { perf_buffer__free(perf); }

EventReader::EventReader(bpf_map* events, bool perf, unsigned bytes, Sink sink, void* context)
    : sink_(sink), context_(context)
{
    if (perf) {
        open_perf(events, bytes);
        return;
    }
    epoll_ = Fd(::epoll_create1(EPOLL_CLOEXEC));
    if (!epoll_)
        fail("cannot open the event buffer", errno);
    if (bpf_map__type(events) == BPF_MAP_TYPE_ARRAY_OF_MAPS)
        open_shards(events, event_rings(bytes));
    else
        open_ring(bpf_map__fd(events));
}

void EventReader::open_ring(int map)
{
    bpf_map_info info{};
    __u32 size = sizeof info;
    if (bpf_obj_get_info_by_fd(map, &info, &size) != 0)
        fail("cannot open the event buffer", errno);
    // A page that the reader writes; then one that the kernel writes, and the data twice.
    const std::size_t page = page_bytes(), bytes = info.max_entries;
    Mapping consumer(map, page, PROT_READ | PROT_WRITE, 0);
    Mapping producer(map, page + 2 * bytes, PROT_READ, long(page));
    epoll_event event{.events = EPOLLIN, .data = {.u64 = 0}};
    if (!consumer || !producer || ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, map, &event) != 0)
        fail("cannot open the event buffer", errno);
    rings_.emplace_back(static_cast<unsigned long*>(consumer.get()),
                        static_cast<const unsigned long*>(producer.get()),
                        static_cast<const std::byte*>(producer.get()) + page, bytes);
    mappings_.push_back(std::move(consumer));
    mappings_.push_back(std::move(producer));
}

void EventReader::open_shards(bpf_map* events, EventRings rings)
{
    for (std::uint32_t i = 0; i < rings.count; i++) {
        Fd ring = make_ring(rings.bytes);
        const int fd = ring.get();
        if (!ring || bpf_map_update_elem(bpf_map__fd(events), &i, &fd, BPF_ANY) != 0)
            fail("cannot create the event buffers", errno);
        open_ring(fd);
        shards_.push_back(std::move(ring));
    }
}

void EventReader::open_perf(bpf_map* events, unsigned bytes)
{
    const unsigned page = page_bytes();
    const unsigned pages = bytes ? std::bit_ceil(std::max(1u, bytes / page)) : kPerfPages;
    // libbpf opens it; the lanes read it. What does not fit is counted by the BPF side, whose
    // output call fails.
    perf_.reset(perf_buffer__new(
        bpf_map__fd(events), pages, [](void*, int, void*, __u32) {}, nullptr, nullptr, nullptr));
    if (!perf_)
        fail("cannot open the event buffer", errno);
    for (std::size_t i = 0; i < perf_buffer__buffer_cnt(perf_.get()); i++) {
        void* base = nullptr;
        std::size_t size = 0;
        if (perf_buffer__buffer(perf_.get(), int(i), &base, &size) != 0)
            continue;
        auto* control = static_cast<perf_event_mmap_page*>(base);
        perf_lanes_.emplace_back(reinterpret_cast<const std::uint64_t*>(&control->data_head),
                                 reinterpret_cast<std::uint64_t*>(&control->data_tail),
                                 static_cast<const std::byte*>(base) + page, size);
    }
}

int EventReader::epoll_fd() const
{
    return perf_ ? perf_buffer__epoll_fd(perf_.get()) : epoll_.get();
}

bool EventReader::consume()
{
    const auto deliver = [this](const Record& record) {
        sink_(context_, record.data, record.size);
    };
    return (perf_ ? drain(std::span(perf_lanes_), heads_, kBudget, deliver)
                  : drain(std::span(rings_), heads_, kBudget, deliver)) == 0;
}

std::uint64_t EventReader::count_unread() const
{
    std::uint64_t n = 0;
    for (const RingLane& ring : rings_)
        n += ring.count_unread();
    for (const PerfLane& lane : perf_lanes_)
        n += lane.count_unread();
    return n;
}

} // namespace corebox
