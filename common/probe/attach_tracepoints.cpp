// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// FunctionProbes on tracepoints.
#include "base/text.hpp"
#include "kernel/facts.hpp"
#include "kernel/syscall_names.hpp"
#include "probe/copies.hpp"
#include "probe/functions.hpp"
#include "probe/perf_probe.hpp"
#include <algorithm>
#include <bpf/bpf.h>
#include <cerrno>
#include <optional>

namespace corebox
{
namespace
{

constexpr std::size_t kMostTracepoints = 4000; // no kernel has as many
constexpr std::string_view kEnter = "syscalls:sys_enter_", kExit = "syscalls:sys_exit_";

bool is_syscall(const Point& point)
{
    return point.name.starts_with(kEnter) || point.name.starts_with(kExit);
}

// The number of the call whose tracepoint this is. The kernel names tracepoints by its own
// functions (sys_newfstat), tables by what programs call (fstat).
std::optional<std::uint32_t> syscall_of(std::string_view tracepoint)
{
    constexpr std::pair<std::string_view, std::string_view> kOther[] = {
        {"newstat", "stat"},          {"newfstat", "fstat"}, {"newlstat", "lstat"},
        {"newuname", "uname"},        {"umount", "umount2"}, {"sendfile64", "sendfile"},
        {"fadvise64_64", "fadvise64"}};
    tracepoint.remove_prefix(tracepoint.starts_with(kEnter) ? kEnter.size() : kExit.size());
    for (const auto& [own, name] : kOther)
        if (tracepoint == own)
            tracepoint = name;
    const auto names = syscall_names(SYSCALL_NATIVE);
    const auto found = std::ranges::find(names, tracepoint, &SyscallName::name);
    return found != names.end() && found->number < SYSCALL_POINTS ? std::optional(found->number)
                                                                  : std::nullopt;
}

} // namespace

bool FunctionProbes::has_many_syscalls() const
{
    // An event of its own costs other calls nothing.
    constexpr std::ptrdiff_t kMany = 16;
    return std::ranges::count_if(functions_, is_syscall) >= kMany;
}

bool FunctionProbes::open_raw_tracepoint(Copies& copies, std::size_t i, std::vector<Copy>& probes)
{
    const std::string& name = functions_[i].name;
    Copy probe{i, copies.load(i)};
    if (probe.program)
        probe.link =
            Fd(bpf_raw_tracepoint_open(name.c_str() + name.find(':') + 1, probe.program.get()));
    if (!probe.link)
        return false;
    probes.push_back(std::move(probe));
    return true;
}

bool FunctionProbes::open_tracepoint(Copies& copies, std::size_t i, std::vector<Copy>& probes)
{
    std::string event = functions_[i].name;
    event[event.find(':')] = '/';
    const auto id = read_file(cat(tracefs_path(), "/events/", event, "/id"));
    const auto number =
        id ? to_number<std::uint64_t>(std::string_view(*id).substr(0, id->find('\n')))
           : std::nullopt;
    errno = ENOENT;
    if (!number)
        return false;
    perf_event_attr attr{};
    attr.type = PERF_TYPE_TRACEPOINT;
    attr.config = *number;
    attr.sample_period = attr.wakeup_events = 1;
    Copy probe{i, copies.load(i), Fd(), open_event(attr, -1)};
    if (!probe.program || !probe.event || !run_at(probe.event, probe.program.get()))
        return false;
    probes.push_back(std::move(probe));
    return true;
}

std::vector<bpf_link*> FunctionProbes::attach_raw_tracepoints(const bpf_program* program)
{
    if (functions_.size() > kMostTracepoints)
        return fail_attach(E2BIG);
    Copies copies(program);
    std::vector<Copy> probes;
    // Those of single system calls are events, but no tracepoints: another rung has them all.
    for (std::size_t i = 0; i < functions_.size(); i++)
        if (!open_raw_tracepoint(copies, i, probes))
            return fail_attach(errno);
    attached_ = probes.size();
    return keep(std::move(probes), ENOENT);
}

std::vector<bpf_link*> FunctionProbes::attach_tracepoints(const bpf_program* program)
{
    if (functions_.size() > kMostTracepoints)
        return fail_attach(E2BIG);
    Copies copies(program);
    std::vector<Copy> probes;
    int code = ENOENT;
    for (std::size_t i = 0; i < functions_.size(); i++)
        if (!open_tracepoint(copies, i, probes))
            code = errno;
    attached_ = probes.size();
    return keep(std::move(probes), code);
}

std::vector<bpf_link*> FunctionProbes::attach_syscalls(const bpf_program* program)
{
    const std::string_view section = bpf_program__section_name(program);
    const bool enter = section == "raw_tp/sys_enter", exit = section == "raw_tp/sys_exit";
    std::vector<Copy> probes;
    Copies copies(program);
    if (enter) // the first of the four
        has_place_.assign(functions_.size(), false);
    for (std::size_t i = 0; i < functions_.size(); i++) {
        const bool of_call = is_syscall(functions_[i]);
        if (has_place_[i])
            continue;
        if (enter || exit) {
            const auto number = of_call && functions_[i].name.starts_with(enter ? kEnter : kExit)
                                    ? syscall_of(functions_[i].name)
                                    : std::nullopt;
            const std::uint32_t at = number.value_or(0) + (exit ? SYSCALL_POINTS : 0);
            const auto point = std::uint32_t(i + 1);
            has_place_[i] =
                number && bpf_map_update_elem(bpf_map__fd(syscalls_), &at, &point, BPF_ANY) == 0;
        } else if (section == "raw_tp") {
            has_place_[i] = !of_call && open_raw_tracepoint(copies, i, probes);
        } else {
            has_place_[i] = open_tracepoint(copies, i, probes);
        }
    }
    if (enter || exit) {
        Copy probe{0, Fd(),
                   Fd(bpf_raw_tracepoint_open(enter ? "sys_enter" : "sys_exit",
                                              bpf_program__fd(program)))};
        if (!probe.link)
            return fail_attach(errno);
        probes.push_back(std::move(probe));
    }
    attached_ = std::size_t(std::ranges::count(has_place_, true));
    return probes.empty() ? links_elsewhere() : keep(std::move(probes), ENOENT);
}

} // namespace corebox
