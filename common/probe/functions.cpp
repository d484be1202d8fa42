// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe/functions.hpp"
#include "probe/perf_probe.hpp"
#include <algorithm>
#include <bpf/bpf.h>
#include <cerrno>

namespace corebox
{

FunctionProbes::FunctionProbes(std::vector<Point> functions, std::uint32_t only)
    : functions_(std::move(functions)), only_(only)
{
}

void FunctionProbes::use(bpf_map* ids, bpf_map* syscalls)
{
    ids_ = ids;
    syscalls_ = syscalls;
    if (functions_.size() > 200) // here: a command has been forked, and keeps its limit
        raise_open_files();
    bpf_map__set_max_entries(ids, __u32(std::max<std::size_t>(functions_.size(), 1)));
    attached_ = 0;
    copies_.clear();
}

std::vector<bpf_link*> FunctionProbes::fail_attach(int code)
{
    attached_ = 0;
    errno = code;
    return {};
}

std::vector<bpf_link*> FunctionProbes::keep(std::vector<Copy> copies, int code)
{
    if (copies.empty())
        return fail_attach(code);
    std::ranges::move(copies, std::back_inserter(copies_));
    std::ranges::stable_sort(copies_, {}, &Copy::function);
    return links_elsewhere();
}

bool FunctionProbes::leads_nowhere(int code)
{
    return code == EOPNOTSUPP || code == EPERM || code == EACCES || code == ENOMEM;
}

std::vector<bpf_link*> attach_points(FunctionProbes& probes, AttachPoints attach,
                                     const Session& session, const bpf_program* program)
{
    auto links = (probes.*attach)(program);
    if (!links.empty())
        probes.attach_later(session, program);
    return links;
}

// All of them in one link, or where the kernel refuses one of them, each half by itself. False:
// this leads to nothing.
bool FunctionProbes::attach_range(const AttachRange& attach, std::size_t first, std::size_t count,
                                  unsigned& failures)
{
    if (attach(first, count)) {
        attached_ += count;
        return true;
    }
    if (leads_nowhere(errno))
        failures = kMostFailures;
    if (++failures >= kMostFailures)
        return false;
    if (count == 1)
        return true;
    return attach_range(attach, first, count / 2, failures) &&
           attach_range(attach, first + count / 2, count - count / 2, failures);
}

std::uint64_t FunctionProbes::skipped(std::size_t function) const
{
    std::uint64_t sum = 0;
    for (const Copy& copy : std::ranges::equal_range(copies_, function, {}, &Copy::function)) {
        bpf_prog_info info{};
        __u32 size = sizeof info;
        if (copy.program && bpf_obj_get_info_by_fd(copy.program.get(), &info, &size) == 0)
            sum += info.recursion_misses;
    }
    return sum;
}

std::uint64_t FunctionProbes::skipped() const
{
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < functions_.size(); i++)
        sum += skipped(i);
    return sum;
}

void FunctionProbes::detach()
{
    for (Copy& copy : copies_) {
        copy.link = Fd();
        copy.event = Fd();
    }
}

} // namespace corebox
