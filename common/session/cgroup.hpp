// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Cgroups (v2) as users name them.
#pragma once
#include "abi/filter.h"
#include <string>
#include <string_view>
#include <vector>

namespace corebox
{

// The directory that `--cgroup NAME` means: a path, or the cgroup as /proc/PID/cgroup or systemctl
// shows it ("0::/system.slice/x.service", "/system.slice/x.service", "system.slice/x.service").
// Without links in it. Fails where there is no such directory or it is no cgroup v2.
std::string find_cgroup(std::string_view name);

// The cgroup of a directory that find_cgroup() returned, the one above it, and so on to the top.
std::vector<filter_cgroup> read_cgroup_path(const std::string& directory);

// Puts that path into cb_cgroup_path. To be called once cb_cgroup_mkdir is attached, so that no
// change of the path is missed.
void fill_cgroup_path(int map, const std::string& directory);

} // namespace corebox
