// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// FunctionProbes on tracepoints.
#include "base/text.hpp"
#include "kernel/facts.hpp"
#include "probe/copies.hpp"
#include "probe/functions.hpp"
#include "probe/perf_probe.hpp"
#include <bpf/bpf.h>
#include <cerrno>

namespace corebox
{
namespace
{
constexpr std::size_t kMostTracepoints = 4000; // no kernel has as many
} // namespace

std::vector<bpf_link*> FunctionProbes::attach_raw_tracepoints(const bpf_program* program)
{
    if (functions_.size() > kMostTracepoints)
        return fail_attach(E2BIG);
    Copies copies(program);
    std::vector<Copy> probes;
    attached_ = 0;
    for (std::size_t i = 0; i < functions_.size(); i++) {
        const std::string& name = functions_[i].name;
        Copy probe{i, copies.load(i)};
        if (probe.program)
            probe.link =
                Fd(bpf_raw_tracepoint_open(name.c_str() + name.find(':') + 1, probe.program.get()));
        // Those of single system calls are events, but no tracepoints: another rung has them all.
        if (!probe.link)
            return fail_attach(errno);
        probes.push_back(std::move(probe));
        attached_++;
    }
    return keep(std::move(probes), ENOENT);
}

std::vector<bpf_link*> FunctionProbes::attach_tracepoints(const bpf_program* program)
{
    if (functions_.size() > kMostTracepoints)
        return fail_attach(E2BIG);
    const std::string tracefs = tracefs_path();
    Copies copies(program);
    std::vector<Copy> probes;
    int code = ENOENT;
    attached_ = 0;
    for (std::size_t i = 0; i < functions_.size(); i++) {
        std::string event = functions_[i].name;
        event[event.find(':')] = '/';
        const auto id = read_file(cat(tracefs, "/events/", event, "/id"));
        const auto number =
            id ? to_number<std::uint64_t>(std::string_view(*id).substr(0, id->find('\n')))
               : std::nullopt;
        if (!number)
            continue;
        perf_event_attr attr{};
        attr.type = PERF_TYPE_TRACEPOINT;
        attr.config = *number;
        attr.sample_period = attr.wakeup_events = 1;
        Copy probe{i, copies.load(i), Fd(), open_event(attr, -1)};
        if (!probe.program || !probe.event || !run_at(probe.event, probe.program.get())) {
            code = errno;
            continue;
        }
        probes.push_back(std::move(probe));
        attached_++;
    }
    return keep(std::move(probes), code);
}

} // namespace corebox
