// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// FunctionProbes on functions and USDT probes of programs.
#include "base/text.hpp"
#include "probe/copies.hpp"
#include "probe/functions.hpp"
#include "probe/perf_probe.hpp"
#include <bpf/bpf.h>
#include <cerrno>
#include <sys/syscall.h>
#include <unistd.h>

namespace corebox
{
namespace
{

// What BPF_LINK_CREATE takes for uprobe.multi; the libbpf and the kernel headers that we build with
// are older.
struct UprobeMultiLink {
    __u32 program, target = 0, attach_type = kUprobeMulti, flags = 0;
    __u64 path, offsets, semaphores, cookies;
    __u32 count, link_flags, pid, padding = 0;
};
constexpr __u32 kUprobeMultiReturn = 1;

std::string path_of(const ObjectFile& object)
{
    return cat("/proc/self/fd/", object.file.get()); // that very file, wherever it is
}

} // namespace

std::vector<bpf_link*> FunctionProbes::attach_uprobe_multi(const bpf_program* program)
{
    std::vector<Copy> probes;
    const auto attach = [&](std::size_t first, std::size_t count) {
        std::vector<__u64> offsets, semaphores, cookies;
        bool semaphore = false;
        for (std::size_t i = first; i < first + count; i++)
            for (const Point::Site& site : functions_[i].sites) {
                offsets.push_back(site.offset);
                semaphores.push_back(site.semaphore);
                cookies.push_back(i + 1);
                semaphore |= site.semaphore != 0;
            }
        const std::string path = path_of(*functions_[first].object);
        const auto pointer = [](const auto* p) {
            return __u64(reinterpret_cast<std::uintptr_t>(p));
        };
        // From 6.6 until it was fixed (46ba0e49b642, 6.10) the kernel took the process for a
        // thread; a fixed one refuses this, which is no process.
        UprobeMultiLink link{.program = __u32(bpf_program__fd(program)),
                             .path = pointer(path.c_str()),
                             .offsets = pointer(offsets.data()),
                             .semaphores = semaphore ? pointer(semaphores.data()) : 0,
                             .cookies = pointer(cookies.data()),
                             .count = __u32(offsets.size()),
                             .link_flags = at_return(program) ? kUprobeMultiReturn : 0,
                             .pid = only_ ? ~0u : 0};
        if (only_) {
            const Fd none(int(::syscall(SYS_bpf, BPF_LINK_CREATE, &link, sizeof link)));
            link.pid = !none && errno == EINVAL ? only_ : 0; // the program asks too
        }
        Fd fd(int(::syscall(SYS_bpf, BPF_LINK_CREATE, &link, sizeof link)));
        if (!fd)
            return false;
        probes.push_back({first, Fd(), std::move(fd)});
        return true;
    };
    unsigned failures = 0;
    attached_ = 0;
    // A link is for one file.
    for (std::size_t first = 0, end = 0; first < functions_.size(); first = end) {
        while (end < functions_.size() && functions_[end].object == functions_[first].object)
            end++;
        if (!attach_range(attach, first, end - first, failures))
            return fail_attach(errno);
    }
    return keep(std::move(probes), errno);
}

std::vector<bpf_link*> FunctionProbes::attach_uprobes(const bpf_program* program)
{
    const auto type = find_pmu("uprobe");
    if (!type)
        return fail_attach(EOPNOTSUPP);
    Copies copies(program);
    std::vector<Copy> probes;
    unsigned failures = 0;
    bool cookies = true;
    int code = ENOENT;
    attached_ = 0;
    for (std::size_t i = 0; i < functions_.size(); i++) {
        const std::string path = path_of(*functions_[i].object);
        bool all = true;
        int own_program = -1; // the copy for this point
        for (const Point::Site& site : functions_[i].sites) {
            perf_event_attr attr{};
            attr.type = *type;
            attr.config = std::uint64_t(at_return(program)) | site.semaphore << 32;
            attr.uprobe_path = reinterpret_cast<std::uintptr_t>(path.c_str());
            attr.probe_offset = site.offset;
            Copy probe{i, Fd(), Fd(), open_event(attr, only_ ? int(only_) : -1)};
            if (probe.event && cookies) {
                probe.link = link_to(probe.event, bpf_program__fd(program), i + 1);
                cookies = bool(probe.link) || (errno != EINVAL && errno != EOPNOTSUPP);
            }
            if (probe.event && !cookies) {
                if (own_program < 0 && copies.numbered()) {
                    if (i >= Copies::kMost)
                        return fail_attach(E2BIG);
                    probe.program = copies.load(i);
                    own_program = probe.program.get();
                }
                all &=
                    run_at(probe.event, copies.numbered() ? own_program : bpf_program__fd(program));
            } else {
                all &= bool(probe.link);
            }
            if (!all) {
                code = errno;
                if (++failures >= kMostFailures)
                    return fail_attach(code);
                break;
            }
            probes.push_back(std::move(probe));
        }
        attached_ += all;
    }
    return keep(std::move(probes), code);
}

} // namespace corebox
