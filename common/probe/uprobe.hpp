// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Attaching a program to places in one file of user space, without libbpf: by one link for all
// places (uprobe.multi, 6.6 and later), or by a perf event for each.
#pragma once
#include "symbols/point.hpp"
#include <cstdint>
#include <optional>
#include <vector>

namespace corebox
{

// BPF_TRACE_UPROBE_MULTI (linux/bpf.h of 6.6 and later): what a program must expect, and the
// function of kernels that have it.
inline constexpr int kUprobeMulti = 48;
inline constexpr std::string_view kUprobeMultiFunction = "bpf_uprobe_multi_link_attach";

// Places in one file, each with what tells the program where it runs.
struct UprobeSet {
    std::vector<std::uint64_t> offsets, semaphores, cookies;

    void add(const Point::Site& site, std::uint64_t cookie);
};

// One link for all; the program expects kUprobeMulti. In all processes, or in process `pid`, if not
// 0. Kernels before 6.10 can only name a thread: then `or_all` decides between all processes and
// EOPNOTSUPP. Empty with errno set: the kernel refused one of the places.
Fd link_uprobes(int program, bool at_return, const ObjectFile& object, const UprobeSet& set,
                std::uint32_t pid, bool or_all);

// A perf event at one place, which raises the semaphore; for all processes (pid 0) or one. `pmu` is
// find_pmu("uprobe"). Empty with errno set.
Fd open_uprobe(std::uint32_t pmu, bool at_return, const ObjectFile& object, const Point::Site& site,
               std::uint32_t pid);

} // namespace corebox
