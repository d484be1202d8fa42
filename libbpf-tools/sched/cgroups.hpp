// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Names of cgroups (v2) by their numbers.
#pragma once
#include "cgroup_notes.h"
#include <cstdint>
#include <map>
#include <string>

struct bpf_map;

namespace corebox
{

class CgroupNames
{
public:
    // "/system.slice/cron.service", as the tool's cgroup namespace sees it; of one that is gone, as
    // the kernel side noted it (cgroup_notes.bpf.h); else its number. Looks through all of them
    // when a number is new.
    const std::string& of(const bpf_map* notes, std::uint64_t id) const;

private:
    void read(const std::string& directory, const std::string& path) const;

    mutable std::map<std::uint64_t, std::string> paths_;
};

} // namespace corebox
