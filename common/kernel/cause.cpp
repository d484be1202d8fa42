// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "kernel/cause.hpp"
#include "base/text.hpp"
#include <algorithm>

namespace corebox
{
namespace
{

struct Words {
    Cause cause;
    std::string_view text, fix{};
};

constexpr std::string_view kGrant =
    "run it as root, or: setcap cap_bpf,cap_perfmon+ep $(command -v corebox)";

constexpr Words kWords[] = {
    {Cause::none, ""},
    {Cause::no_sysfs, "sysfs is not mounted", "mount -t sysfs sysfs /sys"},
    {Cause::no_types, "the kernel provides no BTF (/sys/kernel/btf/vmlinux)",
     "supply it with --btf FILE, or boot a kernel with CONFIG_DEBUG_INFO_BTF=y"},
    {Cause::no_btf, "the kernel provides no BTF (CONFIG_DEBUG_INFO_BTF)"},
    {Cause::no_btf_function, "BTF has no function %"},
    {Cause::no_btf_tracepoint, "BTF has no tracepoint %"},
    {Cause::no_btf_member, "BTF has no member %"},
    {Cause::no_module_btf, "the kernel provides no BTF of modules"},
    {Cause::module_btf_hidden, "BTF of modules requires CAP_SYS_ADMIN"},
    {Cause::unknown_argument, "BTF does not describe the argument of %"},
    {Cause::no_ftrace_site, "ftrace cannot trace %"},
    {Cause::no_function, "the kernel has no traceable function %"},
    {Cause::no_tracepoint, "the kernel has no tracepoint %"},
    {Cause::no_system_call, "the kernel has no system call %"},
    {Cause::no_module, "kernel module % is not loaded", "modprobe %"},
    {Cause::no_mptcp, "MPTCP is disabled (net.mptcp.enabled is not 1)",
     "sysctl net.mptcp.enabled=1"},
    {Cause::no_cycles, "no hardware cycle counter (usual in virtual machines)"},
    {Cause::one_node, "this machine has one NUMA node"},
    {Cause::no_tracefs, "tracefs is not mounted", "mount -t tracefs tracefs /sys/kernel/tracing"},
    {Cause::tracefs_hidden, "tracefs is not readable (requires CAP_DAC_READ_SEARCH)",
     "setcap cap_bpf,cap_perfmon,cap_dac_read_search+ep $(command -v corebox)"},
    {Cause::no_kprobes, "the kernel has no kprobes (CONFIG_KPROBE_EVENTS)",
     "boot a kernel with CONFIG_KPROBE_EVENTS=y"},
    {Cause::no_uprobes, "the kernel has no uprobes (CONFIG_UPROBE_EVENTS)",
     "boot a kernel with CONFIG_UPROBE_EVENTS=y"},
    {Cause::no_sessions, "the kernel has no kprobe sessions (Linux 6.10, CONFIG_FPROBE)"},
    {Cause::no_kernel_function, "the kernel has no %()"},
    {Cause::no_perf_events,
     "perf events require CAP_SYS_ADMIN while kernel.perf_event_paranoid is above 2",
     "sysctl kernel.perf_event_paranoid=2"},
    {Cause::ftrace_off, "ftrace is disabled (kernel.ftrace_enabled is 0)",
     "sysctl kernel.ftrace_enabled=1"},
    {Cause::ftrace_dead, "ftrace has disabled itself after an internal error (see dmesg)",
     "reboot"},
    {Cause::forced_other, "COREBOX_PROBES=%"},
    {Cause::load_refused, "load: %"},
    {Cause::attach_refused, "attach: %"},
    {Cause::no_object, "found no library % in any process or in the library directories"},
    {Cause::no_symbol, "no symbol or USDT probe %"},
    {Cause::no_watch,
     "no process uses the library yet, and waiting for one requires CAP_SYS_ADMIN while "
     "kernel.perf_event_paranoid is above 2",
     "sysctl kernel.perf_event_paranoid=2"},
    {Cause::no_capability, "tracing requires %", kGrant},
    {Cause::user_namespace,
     "tracing requires % in the initial user namespace; this process is in another one",
     "run it outside this user namespace (rootless container, unshare -U)"},
    {Cause::lockdown,
     "kernel lockdown is in mode %: the kernel loads no program that reads kernel memory",
     "boot with lockdown=integrity"},
    {Cause::no_bpf, "the kernel has no bpf(2)", "boot a kernel with CONFIG_BPF_SYSCALL=y"},
    {Cause::bpf_denied, "bpf(2) is denied",
     "run it outside this container, or allow bpf in the container's seccomp profile"},
    {Cause::bpf_fails, "bpf(2): %"},
    {Cause::locked_memory, "RLIMIT_MEMLOCK is % KiB",
     "raise it (ulimit -l unlimited), or grant CAP_SYS_RESOURCE"},
    {Cause::kptr_restrict,
     "kernel functions have no names: kernel.kptr_restrict is 2 and hides their addresses",
     "sysctl kernel.kptr_restrict=1"},
};

constexpr bool in_order()
{
    for (std::size_t i = 0; i < std::size(kWords); i++)
        if (std::size_t(kWords[i].cause) != i)
            return false;
    return true;
}
static_assert(in_order(), "kWords has a line for each cause, in the order of the enum");

std::string fill(std::string_view words, std::string_view detail)
{
    const auto at = words.find('%');
    return at == words.npos ? std::string(words)
                            : cat(words.substr(0, at), detail, words.substr(at + 1));
}

} // namespace

std::string Obstacle::text() const { return fill(kWords[std::size_t(cause)].text, detail); }
std::string Obstacle::fix() const { return fill(kWords[std::size_t(cause)].fix, detail); }

std::string describe(std::span<const Obstacle> obstacles)
{
    std::string out;
    for (const Obstacle& o : obstacles)
        out += cat(out.empty() ? "" : "; ", o.text());
    return out;
}

std::vector<std::string> list_fixes(std::span<const Obstacle> obstacles)
{
    std::vector<std::string> fixes;
    for (const Obstacle& o : obstacles)
        if (std::string fix = o.fix(); !fix.empty() && std::ranges::find(fixes, fix) == fixes.end())
            fixes.push_back(std::move(fix));
    return fixes;
}

std::string join_fixes(const std::vector<std::string>& fixes)
{
    std::string out;
    for (const std::string& fix : fixes)
        out += cat(out.empty() ? "" : " && ", fix);
    return out;
}

} // namespace corebox
