// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What the system tells of BPF: who holds which objects, and what programs there are. Read only.
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace corebox
{

// Kinds of perf events that BPF programs hang on.
inline constexpr std::array<std::string_view, 4> kProbeKinds{"kprobe", "uprobe", "tracepoint",
                                                             "perf_event"};

struct BpfProbe {
    std::string_view kind; // one of kProbeKinds
    std::string what;      // "kretprobe:vfs_read+0x10", "uprobe:/bin/sh+0x4300"
    std::uint32_t program;
};

// A process that holds BPF objects.
struct BpfUser {
    std::uint32_t pid = 0;
    std::string comm;
    std::map<std::string, std::uint64_t> objects; // descriptors by type: prog, map, link, btf ...
    std::vector<BpfProbe> probes;
    std::set<std::uint32_t> programs; // held by themselves, by links or by perf events
};

// All of them but this process, by PID. `closed`: processes that may not be looked into.
std::vector<BpfUser> bpf_users(std::size_t& closed);

struct BpfProgram {
    std::uint32_t id = 0;
    std::string type, name;
    std::uint64_t run_count = 0, run_time_ns = 0; // if `timed`
    std::uint64_t memlock = 0;                    // bytes
    std::vector<std::string> attached, pinned;

    bool timed = false; // the kernel counts runs
};

// All programs of the system, by id. Needs CAP_SYS_ADMIN; fails without.
std::vector<BpfProgram> bpf_programs(const std::vector<BpfUser>& users);

} // namespace corebox
