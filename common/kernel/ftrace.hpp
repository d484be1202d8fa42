// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Whether ftrace runs what is attached by it. With kernel.ftrace_enabled=0 a probe of a function
// still attaches and then never fires. Measured on 5.10, 6.1, 6.12 and 7.2 (x86_64): fentry, fexit,
// kprobes, kprobe.multi and sessions are silent; tracepoints, tp_btf, raw_tp and uprobes are not.
#pragma once
#include "base/fd.hpp"
#include "kernel/cause.hpp"
#include <cstdint>
#include <span>
#include <string_view>

namespace corebox
{

// `dead`: ftrace found an error in itself and does nothing until the next boot.
enum class Ftrace : std::uint8_t { on, off, dead };

// The running kernel's; `on` where it has no such setting.
Ftrace read_ftrace();

// Why what depends on it is silent; no cause where it is on.
Obstacle ftrace_obstacle(Ftrace state);

// Whether a program of this section ("fexit/vfs_read") fires only while ftrace is on.
bool depends_on_ftrace(std::string_view section);

// Notices that attached probes fell silent during a run. The kernel sends no notice of a change
// (poll(2) on the file is always ready), so that a change is seen at the next look: an outage
// between two looks is missed.
class FtraceWatch
{
public:
    // Times are of CLOCK_MONOTONIC. Watches nothing if not `needed`.
    FtraceWatch(bool needed, std::uint64_t now_ns);

    // Looks, in a microsecond. True: the state has changed since the last look.
    bool look(std::uint64_t now_ns);
    bool is_silent() const { return since_ns_ != 0; }
    std::uint64_t since_ns() const { return since_ns_; } // 0: probes fire
    // How long probes were silent until the last look, at most.
    std::uint64_t silent_ns() const;

private:
    Fd setting_;
    std::uint64_t last_look_ns_ = 0, since_ns_ = 0, silent_ns_ = 0;
};

} // namespace corebox
