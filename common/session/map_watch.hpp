// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What processes map to execute, as they map it: the records that the kernel writes for profilers
// (PERF_RECORD_MMAP2), of an exec, of dlopen(3), of every process and container. It takes no BPF
// and no ftrace: a perf event on each CPU that is online.
#pragma once
#include "base/fd.hpp"
#include <cstdint>
#include <functional>
#include <string_view>
#include <sys/mman.h>
#include <vector>

namespace corebox
{

class MapWatch
{
public:
    struct Mapped {
        std::uint32_t pid;
        std::uint64_t start, end;
        std::uint64_t device, inode, generation; // as the kernel's memory management knows them
        std::string_view path;                   // as the process sees it
    };

    // Not open where the kernel refuses.
    MapWatch();
    ~MapWatch();
    MapWatch(const MapWatch&) = delete;
    MapWatch& operator=(const MapWatch&) = delete;

    explicit operator bool() const { return !rings_.empty(); }
    // Readable when there is something to take: at once after a quiet moment, and else at most
    // every kPauseMs, as on a host where many programs start.
    int fd() const { return wakes_.get(); }

    // Hands over what was mapped since. False: some records were lost.
    bool take(const std::function<void(const Mapped&)>& use);

private:
    static constexpr int kPauseMs = 20;

    struct Ring {
        Fd event;
        void* memory;
    };
    bool take_from(const Ring& ring, const std::function<void(const Mapped&)>& use);
    void pause();

    std::size_t page_;
    std::vector<Ring> rings_;
    Fd events_, timer_, wakes_; // of all rings; the end of a pause; one of the two
    bool paused_ = false;
    std::vector<char> record_;
};

} // namespace corebox
