// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// FunctionProbes on functions of the kernel.
#include "kernel/btf.hpp"
#include "probe/copies.hpp"
#include "probe/functions.hpp"
#include "probe/perf_probe.hpp"
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <cerrno>

namespace corebox
{

std::vector<bpf_link*> FunctionProbes::attach_multi(const bpf_program* program)
{
    std::vector<bpf_link*> links;
    const auto attach = [&](std::size_t first, std::size_t count) {
        std::vector<unsigned long> addresses;
        std::vector<const char*> names;
        std::vector<__u64> cookies;
        bool known = true;
        for (std::size_t i = first; i < first + count; i++) {
            addresses.push_back(functions_[i].address);
            names.push_back(functions_[i].name.c_str());
            cookies.push_back(i + 1);
            known &= functions_[i].address != 0;
        }
        bpf_kprobe_multi_opts options{};
        options.sz = sizeof options;
        if (known)
            options.addrs = addresses.data();
        else
            options.syms = names.data();
        options.cookies = cookies.data();
        options.cnt = count;
        options.retprobe = at_return(program);
        bpf_link* link = bpf_program__attach_kprobe_multi_opts(program, nullptr, &options);
        if (link)
            links.push_back(link);
        return link != nullptr;
    };
    unsigned failures = 0;
    attached_ = 0;
    if (attach_range(attach, 0, functions_.size(), failures) && !links.empty())
        return links;
    const int code = errno;
    for (bpf_link* link : links)
        bpf_link__destroy(link);
    return fail_attach(code);
}

std::vector<bpf_link*> FunctionProbes::attach_kprobes(const bpf_program* program)
{
    const auto type = find_pmu("kprobe");
    if (!type)
        return fail_attach(EOPNOTSUPP);
    Copies copies(program);
    std::vector<Copy> probes;
    unsigned failures = 0;
    bool cookies = true;
    int code = ENOENT;
    attached_ = 0;
    for (std::size_t i = 0; i < functions_.size(); i++) {
        const Point& f = functions_[i];
        const std::uint64_t address = f.address ? f.address + f.offset : 0;
        perf_event_attr attr{};
        attr.type = *type;
        attr.config = at_return(program);
        if (address) {
            attr.kprobe_addr = address;
        } else {
            attr.kprobe_func = reinterpret_cast<std::uintptr_t>(f.name.c_str());
            attr.probe_offset = f.offset;
        }
        Copy probe{i, Fd(), Fd(), open_event(attr, -1)};
        const __u32 number = __u32(i);
        if (probe.event && cookies) {
            probe.link = link_to(probe.event, bpf_program__fd(program), i + 1);
            cookies = bool(probe.link) || (errno != EINVAL && errno != EOPNOTSUPP);
        }
        bool attached = bool(probe.link);
        if (probe.event && !cookies && copies.numbered()) {
            if (i >= Copies::kMost)
                return fail_attach(E2BIG);
            probe.program = copies.load(i);
            attached = probe.program && run_at(probe.event, probe.program.get());
        } else if (probe.event && !cookies) {
            // The address tells which function it is: where the kernel hides it, only one can be
            // told.
            if (!address && functions_.size() > 1)
                return fail_attach(EOPNOTSUPP);
            // A program that asks for no number has no map of them.
            attached = (bpf_map__fd(ids_) < 0 ||
                        bpf_map_update_elem(bpf_map__fd(ids_), &address, &number, BPF_ANY) == 0) &&
                       run_at(probe.event, bpf_program__fd(program));
        }
        if (!attached) {
            code = errno;
            if (++failures >= kMostFailures)
                return fail_attach(code);
            continue;
        }
        probes.push_back(std::move(probe));
        attached_++;
    }
    return keep(std::move(probes), code);
}

std::vector<bpf_link*> FunctionProbes::attach_fentries(const bpf_program* program)
{
    if (functions_.size() > Copies::kMost)
        return fail_attach(E2BIG);
    Copies copies(program);
    std::vector<KernelBtf::Name> names;
    for (const Point& f : functions_)
        names.push_back({BTF_KIND_FUNC, f.module.empty() ? f.name : ""});
    KernelBtf().find(names);
    std::vector<Copy> probes;
    int code = ESRCH;
    attached_ = 0;
    for (std::size_t i = 0; i < names.size(); i++) {
        // Of functions of one name it is not known which one this would be.
        if (names[i].ids.size() != 1 || names[i].name.empty())
            continue;
        const auto attach = at_return(program) ? BPF_TRACE_FEXIT : BPF_TRACE_FENTRY;
        Copy probe{i, copies.load(i, attach, names[i].ids[0])};
        if (probe.program)
            probe.link = Fd(bpf_raw_tracepoint_open(nullptr, probe.program.get()));
        if (!probe.link) {
            code = errno;
            continue;
        }
        probes.push_back(std::move(probe));
        attached_++;
    }
    return keep(std::move(probes), code);
}

} // namespace corebox
