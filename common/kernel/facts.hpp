// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What a kernel offers, as a value: the running kernel's, or one recorded in a file for tests.
// Never its version number: stable kernels and vendors backport (kernel-compat.md, trap Q).
#pragma once
#include "kernel/cause.hpp"
#include "kernel/ftrace.hpp"
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace corebox
{

class KernelBtf;
struct UserSite;

enum class Answer : std::uint8_t { no, yes, unknown };

// What a kprobe session needs: the function that its program calls, and what it is attached by,
// which kernels without fprobes (CONFIG_FPROBE; arm64's 6.12) have not.
inline constexpr std::string_view kSessionFunctions[] = {"bpf_session_is_return",
                                                         "register_fprobe_ips"};

struct Facts {
    enum class Name : std::uint8_t {
        btf_function,   // has a BTF id
        ftrace_site,    // can be entered by fentry and kprobe
        btf_tracepoint, // has a btf_trace_ typedef
        btf_member,     // "struct.member" is in BTF
        own_function,   // has a BTF id, and is no module's
        tracepoint,     // "category/name" in tracefs
        perf_event,     // a hardware event that this machine counts: "cycles"
        known_argument, // BTF tells what the function's first argument points to, if it does
        module,         // loaded, or built in and with parameters
    };

    bool sysfs = true;           // mounted
    bool btf = true;             // /sys/kernel/btf/vmlinux
    bool tracefs = true;         // mounted and readable
    bool tracefs_closed = false; // mounted, but not for this user
    bool kprobes = true;         // CONFIG_KPROBE_EVENTS
    bool uprobes = true;         // CONFIG_UPROBE_EVENTS
    bool ring_buffer = true;     // BPF_MAP_TYPE_RINGBUF
    bool session = true;         // kprobe sessions: BTF has both of kSessionFunctions
    bool module_types = true;    // BTF objects of modules can be had: CAP_SYS_ADMIN
    Ftrace ftrace = Ftrace::on;
    bool kernel_names = true; // kernel.kptr_restrict does not hide addresses from everybody

    // Whether perf_event_open(2) may be used, by which kprobes and tracepoints attach too. Asked
    // for only where the answer matters: opening the first one takes the kernel a millisecond.
    std::function<bool()> perf_events = [] { return true; };

    // The machine has several NUMA nodes.
    std::function<bool()> several_nodes = [] { return true; };

    // What stands in the way of a probe of programs: no such library, no such symbol. Empty: a run
    // finds out as it attaches.
    std::function<Obstacle(const UserSite&)> user_site{};

    // `unknown` where finding out costs more than trying.
    std::function<Answer(Name, std::string_view)> has = [](Name, std::string_view) {
        return Answer::unknown;
    };
};

// The running kernel's. Cheap: no BTF is parsed (`session` is false until it is: Launcher), no
// symbol list is read.
Facts live_facts();

// The running kernel's, with what it says of all that these sections ("fexit/vfs_read") name: reads
// the kernel's BTF and its list of functions once. A function that only a module may have is
// `unknown`, and so is everything where the kernel hides it from us.
// Of members it says what `types` say, if those come from elsewhere.
Facts facts_about(std::span<const std::string> sections, std::shared_ptr<KernelBtf> types = {});

// Lines "btf", "tracefs", "kprobes", "uprobes", "ring_buffer", "session" (the features that are
// there), "ftrace_off" and "function NAME", "site NAME", "btf_tracepoint NAME", "tracepoint
// CATEGORY/NAME", "perf_event NAME". What is not listed is not there; but of members only those of
// lines "lacks_member STRUCT.NAME" are not.
Facts recorded_facts(std::string_view text);

// Whether a file is there for this process and its capabilities, which access(2) leaves out for all
// but root.
bool reachable(const std::string& path);

// Where tracefs is; empty if it is nowhere.
std::string tracefs_path();

// The capabilities that this process lacks for any tracing: Cause::no_capability or, where it has
// them in a user namespace of its own only, Cause::user_namespace.
Obstacle missing_privilege();

// "confidentiality", "integrity" or "" from /sys/kernel/security/lockdown.
std::string lockdown_mode();

// The number of a `struct type *` argument of a raw tracepoint, from the kernel's own BTF;
// -1 where the kernel has no such tracepoint or argument. Reads vmlinux's BTF once.
int tracepoint_argument(std::string_view tracepoint, std::string_view type);

} // namespace corebox
