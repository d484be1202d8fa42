// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// User space of by_task.bpf.h: options, columns, and what a histogram tool does with them.
#pragma once
#include "base/begins_with.hpp"
#include "by_task.h"
#include "cgroups.hpp"
#include "shape/histogram.hpp"

namespace corebox
{

// A tool's Options begins with it.
struct ByTask {
    bool milliseconds = false, pids = false, tids = false, pid_namespaces = false, cgroups = false;
    CgroupNames names{};
    const bpf_map* cgroup_notes = nullptr;
};

struct ByTaskRow {
    std::uint32_t pid_namespace = 0, pid = 0, tid = 0;
    std::string cgroup{};
    char comm[COMM_LEN] = {};
};

namespace by_task_option
{
inline constexpr Option timestamp = show('T', "timestamp", "Print the time of day");
inline constexpr Option milliseconds =
    flag<&ByTask::milliseconds>('m', "milliseconds", "Show milliseconds");
inline constexpr Option pids =
    flag<&ByTask::pids>('P', "pids", "Show a histogram for each process");
inline constexpr Option tids = flag<&ByTask::tids>('L', "tids", "Show a histogram for each thread");
inline constexpr Option pid_namespaces =
    flag<&ByTask::pid_namespaces>(0, "pidnss", "Show a histogram for each PID namespace");
inline constexpr Option cgroups =
    flag<&ByTask::cgroups>(0, "cgroups", "Show a histogram for each cgroup (v2)");
} // namespace by_task_option

namespace by_task_column
{
inline constexpr Column pid_namespace = col<&ByTaskRow::pid_namespace>(
    "pidns", "PIDNS", 10,
    "Number of the PID namespace, as in /proc/PID/ns/pid; 0 for a reaped task", costly("pidnss"));
inline constexpr Column cgroup =
    col<[](const ByTaskRow& r) { return Value(std::string_view(r.cgroup)); }>(
        "cgroup", "CGROUP", 30, "Path of the cgroup", costly("cgroups"));
inline constexpr Column pid = col<&ByTaskRow::pid>("pid", "PID", 7, "Process ID", costly("pids"));
inline constexpr Column tid = col<&ByTaskRow::tid>("tid", "TID", 7, "Thread ID", costly("tids"));
inline constexpr Column comm = col<[](const ByTaskRow& r) -> Value { return r.comm; }>(
    "comm", "COMM", 16, "Command name of the thread, or the process", costly("pids|tids"));
} // namespace by_task_column

inline Unit by_task_unit(const ByTask& o)
{
    return o.milliseconds ? Unit{"msecs", 1'000'000} : Unit{"usecs", 1'000};
}

inline bool by_task_keyed(const ByTask& o)
{
    return o.pids || o.tids || o.pid_namespaces || o.cgroups;
}

// Before load.
template <class S, BeginsWith<ByTask> Options>
void by_task_setup(S& s, Options& o)
{
    o.cgroup_notes = s.maps.cb_cgroup_notes;
    if (!o.cgroups)
        bpf_map__set_max_entries(s.maps.cb_cgroup_notes, 1);
    s.rodata->cb_by = {.unit_ns = by_task_unit(o).raw,
                       .pids = o.pids,
                       .tids = o.tids,
                       .pid_namespaces = o.pid_namespaces,
                       .cgroups = o.cgroups};
    // A key for each CPU that a process runs on, with a few parts: on large machines, more of them.
    constexpr std::uint32_t kPartsEach = 6 * 1024, kMostParts = 6 << 16;
    bpf_map__set_max_entries(s.maps.cb_hists,
                             std::clamp(std::uint32_t(libbpf_num_possible_cpus()) * kPartsEach,
                                        std::uint32_t(bpf_map__max_entries(s.maps.cb_hists)),
                                        kMostParts));
}

inline void by_task_decode(ByTaskRow& row, const ByTask& o, const by_task_key& key)
{
    row.pid_namespace = key.pid_namespace;
    row.pid = key.pid;
    row.tid = key.tid;
    std::ranges::copy(key.comm, row.comm);
    if (o.cgroups)
        row.cgroup = o.names.of(o.cgroup_notes, key.cgroup);
}

} // namespace corebox
