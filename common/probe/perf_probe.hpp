// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Attaching by perf_event_open(2) and BPF_LINK_CREATE, without libbpf.
#pragma once
#include "base/fd.hpp"
#include <cstdint>
#include <linux/perf_event.h>
#include <optional>
#include <string_view>

namespace corebox
{

// The number of a PMU: "kprobe", "uprobe".
std::optional<std::uint32_t> find_pmu(std::string_view name);

// An event of a process, or of all (-1); empty with errno set.
Fd open_event(perf_event_attr& attr, int pid);

// Runs a program at an event until the event is closed.
bool run_at(const Fd& event, int program);

// The same with a cookie (5.15+), until the link is closed.
Fd link_to(const Fd& event, int program, std::uint64_t cookie);

// Two descriptors a probe are more than the usual 1024.
void raise_open_files();

} // namespace corebox
