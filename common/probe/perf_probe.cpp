// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe/perf_probe.hpp"
#include "base/text.hpp"
#include <bpf/bpf.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace corebox
{

void raise_open_files()
{
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        ::setrlimit(RLIMIT_NOFILE, &files);
    }
}

std::optional<std::uint32_t> find_pmu(std::string_view name)
{
    const auto type = read_file(cat("/sys/bus/event_source/devices/", name, "/type"));
    return type ? to_number<std::uint32_t>(std::string_view(*type).substr(0, type->find('\n')))
                : std::nullopt;
}

Fd open_event(perf_event_attr& attr, int pid)
{
    attr.size = sizeof attr;
    return Fd(int(
        ::syscall(SYS_perf_event_open, &attr, pid, pid < 0 ? 0 : -1, -1, PERF_FLAG_FD_CLOEXEC)));
}

bool run_at(const Fd& event, int program)
{
    return ::ioctl(event.get(), PERF_EVENT_IOC_SET_BPF, program) == 0 &&
           ::ioctl(event.get(), PERF_EVENT_IOC_ENABLE, 0) == 0;
}

Fd link_to(const Fd& event, int program, std::uint64_t cookie)
{
    bpf_link_create_opts options{};
    options.sz = sizeof options;
    options.perf_event.bpf_cookie = cookie;
    Fd link(bpf_link_create(program, event.get(), BPF_PERF_EVENT, &options));
    if (link && ::ioctl(event.get(), PERF_EVENT_IOC_ENABLE, 0) != 0)
        return {};
    return link;
}

} // namespace corebox
