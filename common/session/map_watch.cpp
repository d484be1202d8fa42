// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "session/map_watch.hpp"
#include "session/perf.hpp"
#include <algorithm>
#include <cstring>
#include <linux/perf_event.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/timerfd.h>
#include <unistd.h>

namespace corebox
{
namespace
{

constexpr std::size_t kPages = 4; // of records, a power of two: some 150 of them

// perf_event_open(2). The path follows, and zeros up to a multiple of eight bytes.
struct Mmap2 {
    perf_event_header header;
    std::uint32_t pid, tid;
    std::uint64_t start, length, offset;
    std::uint32_t major, minor;
    std::uint64_t inode, generation;
    std::uint32_t protection, flags;
};

Fd open_watch(std::uint32_t cpu)
{
    perf_event_attr attr{};
    attr.type = PERF_TYPE_SOFTWARE;
    attr.size = sizeof attr;
    attr.config = PERF_COUNT_SW_DUMMY;
    attr.mmap = attr.mmap2 = 1;
    attr.watermark = 1;
    attr.wakeup_watermark = 1; // each record
    return Fd(int(::syscall(SYS_perf_event_open, &attr, -1, int(cpu), -1, PERF_FLAG_FD_CLOEXEC)));
}

bool add(const Fd& epoll, const Fd& fd)
{
    epoll_event event{.events = EPOLLIN, .data = {}};
    return ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd.get(), &event) == 0;
}

} // namespace

MapWatch::MapWatch()
    : page_(std::size_t(::sysconf(_SC_PAGESIZE))), events_(::epoll_create1(EPOLL_CLOEXEC)),
      timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)),
      wakes_(::epoll_create1(EPOLL_CLOEXEC))
{
    if (!events_ || !timer_ || !wakes_ || !add(wakes_, events_) || !add(wakes_, timer_))
        return;
    for (const std::uint32_t cpu : online_cpus()) {
        Fd event = open_watch(cpu);
        void* memory = event ? ::mmap(nullptr, (1 + kPages) * page_, PROT_READ | PROT_WRITE,
                                      MAP_SHARED, event.get(), 0)
                             : MAP_FAILED;
        if (memory == MAP_FAILED || !add(events_, event)) {
            if (memory != MAP_FAILED)
                ::munmap(memory, (1 + kPages) * page_);
            continue; // it went offline
        }
        rings_.push_back({std::move(event), memory});
    }
}

MapWatch::~MapWatch()
{
    for (const Ring& ring : rings_)
        ::munmap(ring.memory, (1 + kPages) * page_);
}

bool MapWatch::take_from(const Ring& ring, const std::function<void(const Mapped&)>& use)
{
    auto* control = static_cast<perf_event_mmap_page*>(ring.memory);
    const char* data = static_cast<const char*>(ring.memory) + page_;
    const std::size_t size = kPages * page_;
    const std::uint64_t head = __atomic_load_n(&control->data_head, __ATOMIC_ACQUIRE);
    bool complete = true;
    std::uint64_t at = control->data_tail;
    while (at < head) {
        const auto copy = [&](char* to, std::size_t n) { // records wrap around
            const std::size_t first = std::min(n, size - at % size);
            std::memcpy(to, data + at % size, first);
            std::memcpy(to + first, data, n - first);
        };
        perf_event_header header;
        copy(reinterpret_cast<char*>(&header), sizeof header);
        if (header.size < sizeof header || header.size > head - at)
            break;
        record_.assign(std::size_t(header.size) + 1, '\0');
        copy(record_.data(), header.size);
        at += header.size;
        if (header.type == PERF_RECORD_LOST)
            complete = false;
        if (header.type != PERF_RECORD_MMAP2 || header.size < sizeof(Mmap2))
            continue;
        Mmap2 m;
        std::memcpy(&m, record_.data(), sizeof m);
        use({.pid = m.pid,
             .start = m.start,
             .end = m.start + m.length,
             .device = ::makedev(m.major, m.minor),
             .inode = m.inode,
             .generation = m.generation,
             .path = record_.data() + sizeof m});
    }
    __atomic_store_n(&control->data_tail, head, __ATOMIC_RELEASE);
    return complete;
}

// Who starts programs by the thousand does not wake us for each.
void MapWatch::pause()
{
    const itimerspec once{{}, {0, kPauseMs * 1'000'000}};
    ::timerfd_settime(timer_.get(), 0, &once, nullptr);
    if (!paused_)
        ::epoll_ctl(wakes_.get(), EPOLL_CTL_DEL, events_.get(), nullptr);
    paused_ = true;
}

bool MapWatch::take(const std::function<void(const Mapped&)>& use)
{
    std::uint64_t expired = 0;
    const bool over = ::read(timer_.get(), &expired, sizeof expired) > 0;
    if (paused_ && !over)
        return true;
    bool complete = true, any = false;
    for (const Ring& ring : rings_)
        complete &= take_from(ring, [&](const Mapped& mapped) {
            any = true;
            use(mapped);
        });
    if (any)
        pause();
    else if (paused_)
        paused_ = !add(wakes_, events_);
    return complete;
}

} // namespace corebox
