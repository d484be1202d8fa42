// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "kernel/facts.hpp"
#include "base/fd.hpp"
#include "base/text.hpp"
#include "kernel/btf.hpp"
#include <algorithm>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <cerrno>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <linux/perf_event.h>
#include <memory>
#include <optional>
#include <set>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace corebox
{

bool reachable(const std::string& path)
{
    return ::faccessat(AT_FDCWD, path.c_str(), F_OK, AT_EACCESS) == 0;
}

std::string tracefs_path()
{
    // debugfs mounts it where nobody else did (before 4.1 only there).
    for (const char* path : {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"})
        if (reachable(cat(path, "/events")))
            return path;
    return {};
}

namespace
{

// Opens a counter that does not count yet, as perf_event_open(2) does; else errno.
Fd open_counter(std::uint32_t type, std::uint64_t config, pid_t pid, int cpu)
{
    perf_event_attr attr{};
    attr.type = type;
    attr.size = sizeof attr;
    attr.config = config;
    attr.disabled = 1;
    return Fd(int(::syscall(SYS_perf_event_open, &attr, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC)));
}

// Virtual machines often have no counter (ENOENT).
Answer counts_cycles()
{
    if (open_counter(PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES, 0, -1))
        return Answer::yes;
    return errno == ENOENT || errno == EOPNOTSUPP || errno == ENODEV ? Answer::no : Answer::unknown;
}

// Debian's and Android's kernels know a level of kernel.perf_event_paranoid, 3, which is their
// default and for which CAP_PERFMON is not enough: all of perf_event_open(2) wants CAP_SYS_ADMIN.
bool opens_perf_events()
{
    if (open_counter(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_DUMMY, -1, 0) || errno != EACCES)
        return true;
    // Security modules say the same.
    const auto level = read_file("/proc/sys/kernel/perf_event_paranoid");
    return level &&
           to_number<int>(std::string_view(*level).substr(0, level->find('\n'))).value_or(3) <= 2;
}

bool is_mounted(const char* path, long type)
{
    struct statfs st {
    };
    return ::statfs(path, &st) == 0 && st.f_type == type;
}

// 2 hides kernel addresses even from root (Documentation/admin-guide/sysctl/kernel.rst).
bool hides_kernel_names()
{
    const auto level = read_file("/proc/sys/kernel/kptr_restrict");
    return level && level->starts_with('2');
}

// Namespaces are files; the initial user namespace has a fixed inode (PROC_USER_INIT_INO,
// include/linux/proc_ns.h).
bool is_in_user_namespace()
{
    constexpr ino_t kInitial = 0xEFFFFFFD;
    struct stat st {
    };
    return ::stat("/proc/self/ns/user", &st) == 0 && st.st_ino != kInitial;
}

} // namespace

Facts live_facts()
{
    Facts facts;
    const std::string tracefs = tracefs_path();
    facts.tracefs = !tracefs.empty();
    facts.tracefs_closed = !facts.tracefs && is_mounted("/sys/kernel/tracing", TRACEFS_MAGIC);
    facts.sysfs = is_mounted("/sys", SYSFS_MAGIC);
    facts.kernel_names = !hides_kernel_names();
    facts.ftrace = read_ftrace();
    facts.perf_events = [known = std::optional<bool>()]() mutable {
        if (!known)
            known = opens_perf_events();
        return *known;
    };
    facts.several_nodes = [] { // "0", "0-1", "0,2"
        const auto nodes = read_file("/sys/devices/system/node/online");
        return nodes && nodes->find_first_of(",-") != nodes->npos;
    };
    __u32 id = 0;
    facts.module_types = bpf_btf_get_next_id(0, &id) == 0 || errno != EPERM;
    facts.btf = ::access("/sys/kernel/btf/vmlinux", R_OK) == 0;
    facts.kprobes = ::access("/sys/bus/event_source/devices/kprobe", F_OK) == 0 ||
                    (facts.tracefs && reachable(cat(tracefs, "/kprobe_events")));
    facts.uprobes = ::access("/sys/bus/event_source/devices/uprobe", F_OK) == 0;
    facts.session = false;
    facts.ring_buffer = libbpf_probe_bpf_map_type(BPF_MAP_TYPE_RINGBUF, nullptr) > 0;
    facts.has = [tracefs](Facts::Name kind, std::string_view name) {
        if (kind == Facts::Name::perf_event && name == "cycles")
            return counts_cycles();
        if (kind == Facts::Name::module)
            return ::access(cat("/sys/module/", name).c_str(), F_OK) == 0 ? Answer::yes
                                                                          : Answer::no;
        if (kind != Facts::Name::tracepoint)
            return Answer::unknown;
        if (tracefs.empty())
            return Answer::no;
        if (reachable(cat(tracefs, "/events/", name, "/id")))
            return Answer::yes;
        return errno == ENOENT ? Answer::no : Answer::unknown;
    };
    return facts;
}

Facts facts_about(std::span<const std::string> sections, std::shared_ptr<KernelBtf> types)
{
    struct Known {
        // BTF's as in BTF: "btf_trace_x"; and those that modules may have.
        std::set<std::string, std::less<>> types, opaque, of_modules, sites;
        bool all_types = false, all_sites = false;
    };
    auto known = std::make_shared<Known>();
    std::set<std::string, std::less<>> functions;
    std::vector<KernelBtf::Name> names;
    bool session = false;
    for (const std::string_view section : sections) {
        const auto slash = section.find('/');
        const auto kind = section.substr(0, slash);
        const std::string target(slash == section.npos ? "" : section.substr(slash + 1));
        if (target.empty() || target.starts_with('%'))
            continue;
        if (kind == "tp_btf")
            names.push_back({BTF_KIND_TYPEDEF, cat("btf_trace_", target)});
        else if (kind == "fentry" || kind == "fexit" || kind == "fmod_ret")
            names.push_back({BTF_KIND_FUNC, target});
        session |= kind == "kprobe.session";
        if (kind != "tp_btf")
            for (const std::string_view function : split(target, ','))
                functions.emplace(function);
    }
    if (session)
        for (const std::string_view function : kSessionFunctions)
            names.push_back({BTF_KIND_FUNC, std::string(function)});
    Facts facts = live_facts();
    if (KernelBtf btf; facts.btf && !btf.empty()) {
        known->all_types = true;
        btf.find(names);
        std::set<std::string> lacking;
        for (const KernelBtf::Name& name : names)
            if (name.ids.empty())
                lacking.insert(name.name);
            else {
                known->types.insert(name.name);
                if (name.kind == BTF_KIND_FUNC && btf.argument_unknown(name.ids[0]))
                    known->opaque.insert(name.name);
            }
        known->of_modules =
            mentioned_by_modules(std::vector<std::string>(lacking.begin(), lacking.end()));
        facts.session = std::ranges::all_of(
            kSessionFunctions, [&](auto function) { return known->types.contains(function); });
    }
    // "do_sys_openat2", "ext4_sync_fs [ext4]"; kallsyms: "ffffffff81000000 T do_sys_openat2".
    const auto traceable = read_file(cat(tracefs_path(), "/available_filter_functions"));
    const auto symbols = traceable ? std::nullopt : read_file("/proc/kallsyms");
    known->all_sites = traceable || symbols;
    const std::string& list = traceable ? *traceable : symbols ? *symbols : std::string();
    for (std::size_t at = 0; at < list.size();) {
        const auto end = std::min(list.find('\n', at), list.size());
        std::string_view line = std::string_view(list).substr(at, end - at);
        at = end + 1;
        if (!traceable)
            line.remove_prefix(std::min<std::size_t>(line.size(), 19));
        const auto name = line.substr(0, line.find_first_of(" \t"));
        if (functions.contains(name))
            known->sites.emplace(name);
    }
    facts.has = [known, types = std::move(types), base = facts.has](Facts::Name kind,
                                                                    std::string_view name) mutable {
        using enum Facts::Name;
        if (kind == btf_member) {
            if (!types)
                types = std::make_shared<KernelBtf>();
            return types->member(name);
        }
        if (kind == ftrace_site)
            return known->sites.contains(name) ? Answer::yes
                   : known->all_sites          ? Answer::no
                                               : Answer::unknown;
        if (kind == own_function)
            return known->types.contains(name) ? Answer::yes
                   : known->all_types          ? Answer::no
                                               : Answer::unknown;
        if (kind == known_argument)
            return known->opaque.contains(name) ? Answer::no : Answer::yes;
        if (kind != btf_function && kind != btf_tracepoint)
            return base(kind, name);
        const std::string full =
            kind == btf_tracepoint ? cat("btf_trace_", name) : std::string(name);
        if (known->types.contains(full))
            return Answer::yes;
        return known->all_types && !known->of_modules.contains(full) ? Answer::no : Answer::unknown;
    };
    return facts;
}

Facts recorded_facts(std::string_view text)
{
    using Key = std::pair<Facts::Name, std::string>;
    auto names = std::make_shared<std::set<Key>>();
    Facts facts{.btf = false,
                .tracefs = false,
                .kprobes = false,
                .uprobes = false,
                .ring_buffer = false,
                .session = false};
    for (const std::string_view line : split(text, '\n')) {
        const auto words = split(line, ' ');
        if (words.size() == 1) {
            facts.btf |= words[0] == "btf";
            facts.tracefs |= words[0] == "tracefs";
            facts.kprobes |= words[0] == "kprobes";
            facts.uprobes |= words[0] == "uprobes";
            facts.ring_buffer |= words[0] == "ring_buffer";
            facts.session |= words[0] == "session";
            if (words[0] == "ftrace_off")
                facts.ftrace = Ftrace::off;
        } else if (words.size() == 2) {
            const auto kind = words[0] == "function"         ? Facts::Name::btf_function
                              : words[0] == "site"           ? Facts::Name::ftrace_site
                              : words[0] == "btf_tracepoint" ? Facts::Name::btf_tracepoint
                              : words[0] == "lacks_member"   ? Facts::Name::btf_member
                              : words[0] == "perf_event"     ? Facts::Name::perf_event
                                                             : Facts::Name::tracepoint;
            names->emplace(kind, words[1]);
        }
    }
    facts.has = [names](Facts::Name kind, std::string_view name) {
        if (kind == Facts::Name::known_argument || kind == Facts::Name::module)
            return Answer::unknown; // not recorded
        if (kind == Facts::Name::own_function)
            kind = Facts::Name::btf_function;
        const bool listed = names->contains(Key(kind, name));
        if (kind == Facts::Name::btf_member)
            return listed ? Answer::no : Answer::unknown;
        return listed ? Answer::yes : Answer::no;
    };
    return facts;
}

Obstacle missing_privilege()
{
    const auto status = read_file("/proc/self/status");
    const auto field = status ? status_field(*status, "CapEff") : std::nullopt;
    const auto caps = field ? to_number<std::uint64_t>(*field, 16) : std::nullopt;
    // Capabilities of another user namespace hold only there (user_namespaces(7)).
    if (is_in_user_namespace())
        return {Cause::user_namespace, "CAP_BPF and CAP_PERFMON"};
    const auto has = [&](unsigned cap) { return !caps || (*caps >> cap & 1) != 0; };
    if (has(CAP_SYS_ADMIN))
        return {};
    std::string missing;
    if (!has(CAP_BPF))
        missing = "CAP_BPF";
    if (!has(CAP_PERFMON))
        missing += missing.empty() ? "CAP_PERFMON" : " and CAP_PERFMON";
    if (missing.empty())
        return {};
    return {Cause::no_capability, std::move(missing)};
}

std::string lockdown_mode()
{
    const auto text = read_file("/sys/kernel/security/lockdown");
    if (!text)
        return {};
    const auto open = text->find('['), close = text->find(']');
    if (open == text->npos || close == text->npos)
        return {};
    const std::string mode = text->substr(open + 1, close - open - 1);
    return mode == "none" ? "" : mode;
}

int tracepoint_argument(std::string_view tracepoint, std::string_view type)
{
    KernelBtf kernel;
    KernelBtf::Name name{BTF_KIND_TYPEDEF, cat("btf_trace_", tracepoint)};
    kernel.find({&name, 1});
    return name.ids.empty() ? -1 : kernel.pointer_argument(name.ids[0], type);
}

} // namespace corebox
