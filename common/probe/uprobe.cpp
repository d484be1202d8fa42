// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe/uprobe.hpp"
#include "base/text.hpp"
#include "probe/perf_probe.hpp"
#include <algorithm>
#include <cerrno>
#include <linux/bpf.h>
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

__u64 pointer(const auto* p) { return __u64(reinterpret_cast<std::uintptr_t>(p)); }

// That very file, wherever it is.
std::string path_of(const ObjectFile& object) { return cat("/proc/self/fd/", object.file.get()); }

} // namespace

void UprobeSet::add(const Point::Site& site, std::uint64_t cookie)
{
    offsets.push_back(site.offset);
    semaphores.push_back(site.semaphore);
    cookies.push_back(cookie);
}

Fd link_uprobes(int program, bool at_return, const ObjectFile& object, const UprobeSet& set,
                std::uint32_t pid, bool or_all)
{
    const std::string path = path_of(object);
    const bool semaphore = std::ranges::any_of(set.semaphores, [](auto s) { return s != 0; });
    UprobeMultiLink link{.program = __u32(program),
                         .path = pointer(path.c_str()),
                         .offsets = pointer(set.offsets.data()),
                         .semaphores = semaphore ? pointer(set.semaphores.data()) : 0,
                         .cookies = pointer(set.cookies.data()),
                         .count = __u32(set.offsets.size()),
                         .link_flags = at_return ? kUprobeMultiReturn : 0,
                         .pid = pid ? ~0u : 0};
    const auto create = [&] {
        return Fd(int(::syscall(SYS_bpf, BPF_LINK_CREATE, &link, sizeof link)));
    };
    if (pid) {
        // From 6.6 until it was fixed (46ba0e49b642, 6.10) the kernel took the process for a
        // thread; a fixed one refuses this, which is no process.
        const Fd none = create();
        const bool by_process = !none && errno == EINVAL;
        if (!by_process && !or_all) {
            errno = EOPNOTSUPP;
            return {};
        }
        link.pid = by_process ? pid : 0;
    }
    return create();
}

Fd open_uprobe(std::uint32_t pmu, bool at_return, const ObjectFile& object, const Point::Site& site,
               std::uint32_t pid)
{
    const std::string path = path_of(object);
    perf_event_attr attr{};
    attr.type = pmu;
    attr.config = std::uint64_t(at_return) | site.semaphore << 32;
    attr.uprobe_path = pointer(path.c_str());
    attr.probe_offset = site.offset;
    return open_event(attr, pid ? int(pid) : -1);
}

} // namespace corebox
