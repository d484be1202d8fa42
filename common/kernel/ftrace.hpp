// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Whether ftrace runs what is attached by it. With kernel.ftrace_enabled=0 a probe of a function
// still attaches, and never fires. Measured on x86_64: kprobes on 5.10, 6.1, 6.12 and 7.2, fexit
// on 6.1, 6.12 and 7.2, fentry on 6.1 and 6.12, kprobe.multi on 6.12 (a session is the same link).
// Tracepoints on all four and tp_btf on 5.10 and 6.12 go on; raw_tp and uprobes do not pass through
// ftrace. (5.10 refuses to attach fentry and fexit then, and to switch ftrace off while one is.)
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

// Notices that attached probes fell silent during a run. The setting's file sends no notice by
// poll(2), but inotify(7) reports each write to it. A write in another mount of /proc is seen at
// the next look: there an outage between two looks is missed.
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
    Fd setting_, writes_;
    std::uint64_t last_look_ns_ = 0, since_ns_ = 0, silent_ns_ = 0;
};

} // namespace corebox
