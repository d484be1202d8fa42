// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "session/privileges.hpp"
#include "session/later_files.hpp"
#include <bit>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <linux/audit.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <optional>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace corebox
{
namespace
{

#if defined(__x86_64__)
constexpr std::uint32_t kArch = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t kArch = AUDIT_ARCH_AARCH64;
#endif

// The most frequent first: the kernel goes through them one by one.
constexpr int kCalls[] = {
#ifdef SYS_epoll_wait // architectures after x86 have only the newer of two
    SYS_epoll_wait,
#endif
    SYS_write, SYS_read, SYS_epoll_pwait, SYS_epoll_pwait2, SYS_bpf,
    // time and waiting
    SYS_clock_gettime, SYS_gettimeofday, SYS_clock_nanosleep, SYS_nanosleep, SYS_ppoll,
    SYS_pselect6, SYS_epoll_ctl, SYS_timerfd_settime, SYS_timerfd_gettime, SYS_restart_syscall,
    SYS_rt_sigtimedwait, SYS_futex, SYS_sched_yield,
    // memory
    SYS_mmap, SYS_munmap, SYS_membarrier, SYS_mremap, SYS_mprotect, SYS_madvise, SYS_brk,
    // files: read, and written (a flame graph, the output)
    SYS_openat, SYS_openat2, SYS_close, SYS_pread64, SYS_pwrite64, SYS_readv, SYS_writev, SYS_lseek,
    SYS_fstat, SYS_newfstatat, SYS_statx, SYS_getdents64, SYS_readlinkat, SYS_faccessat,
    SYS_faccessat2, SYS_fcntl, SYS_dup, SYS_dup3, SYS_ioctl, SYS_fsync, SYS_ftruncate, SYS_fchmod,
    SYS_renameat, SYS_renameat2, SYS_unlinkat, SYS_memfd_create, SYS_statfs, SYS_fstatfs,
#ifdef SYS_open
    SYS_poll, SYS_open, SYS_stat, SYS_lstat, SYS_access, SYS_readlink, SYS_rename, SYS_unlink,
    SYS_dup2, SYS_time, SYS_getrlimit, SYS_getpgrp,
#endif
    // signals, itself, its command
    SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigpending, SYS_rt_sigreturn, SYS_sigaltstack,
    SYS_kill, SYS_tgkill, SYS_wait4, SYS_waitid, SYS_pidfd_open, SYS_pidfd_send_signal, SYS_getpid,
    SYS_gettid, SYS_getppid, SYS_getpgid, SYS_getsid, SYS_getuid, SYS_geteuid, SYS_getgid,
    SYS_getegid, SYS_uname, SYS_sysinfo, SYS_prlimit64, SYS_umask, SYS_getcwd,
    SYS_sched_getaffinity, SYS_getcpu, SYS_getrandom, SYS_exit, SYS_exit_group};

// What attaching to files that are mapped later takes beside the calls above.
struct Attaching {
    bool perf_events = false; // perf_event_open(2)
    bool loads = false;       // bpf(2) loads programs
};

bool limit_calls(std::uint32_t else_what, Attaching attaching)
{
    constexpr std::size_t kCount = std::size(kCalls);
    static_assert(kCount < 250, "a jump is one byte");
    sock_filter program[kCount + 10];
    std::size_t n = 0;
    const auto add = [&](std::uint16_t code, std::uint32_t k, std::size_t yes = 0,
                         std::size_t no = 0) {
        program[n++] = {code, std::uint8_t(yes), std::uint8_t(no), k};
    };
    // Calls of another architecture have other numbers.
    add(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch));
    add(BPF_JMP | BPF_JEQ | BPF_K, kArch, 0, kCount + 2);
    add(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr));
    // Behind the list: one more call, the two answers, and for bpf(2) a look at what it is to do.
    for (std::size_t i = 0; i < kCount; i++)
        add(BPF_JMP | BPF_JEQ | BPF_K, std::uint32_t(kCalls[i]),
            kCount - i + (kCalls[i] == SYS_bpf ? 2 : 1), 0);
    add(BPF_JMP | BPF_JEQ | BPF_K, SYS_perf_event_open, attaching.perf_events ? 1 : 0, 0);
    add(BPF_RET | BPF_K, else_what);
    add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    // It attaches programs that are loaded, and loads no others.
    constexpr std::size_t kLow = std::endian::native == std::endian::little ? 0 : 4;
    add(BPF_LD | BPF_W | BPF_ABS, std::uint32_t(offsetof(seccomp_data, args) + kLow));
    add(BPF_JMP | BPF_JEQ | BPF_K, BPF_PROG_LOAD, attaching.loads ? 1 : 0, 1);
    add(BPF_RET | BPF_K, else_what);
    add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    const sock_fprog whole{std::uint16_t(n), program};
    // No new privileges: a precondition for those without CAP_SYS_ADMIN, and what is meant anyway.
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &whole) == 0;
}

constexpr std::uint64_t bit(int capability) { return std::uint64_t(1) << capability; }

// Those of `keep` that this process has are what it has then: returns them, nullopt: it could not.
std::optional<std::uint64_t> keep_capabilities(std::uint64_t keep)
{
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2]{};
    if (::syscall(SYS_capget, &header, data) != 0)
        return std::nullopt;
    ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    // Who has CAP_SYS_ADMIN alone reads maps by it (before 5.19 bpf(2) wants it for each call), and
    // opens perf events.
    for (const int capability : {CAP_BPF, CAP_PERFMON})
        if (keep & bit(capability) && !(data[capability / 32].permitted >> capability % 32 & 1))
            keep |= bit(CAP_SYS_ADMIN);
    for (int i = 0; i < 2; i++) {
        const auto half = std::uint32_t(keep >> (32 * i));
        data[i] = {data[i].effective & half, data[i].permitted & half, 0};
    }
    if (::syscall(SYS_capset, &header, data) != 0)
        return std::nullopt;
    return std::uint64_t(data[1].permitted) << 32 | data[0].permitted;
}

// "all but CAP_BPF and CAP_KILL"
std::string given_up(std::uint64_t kept)
{
    struct Named {
        int capability;
        std::string_view name;
    };
    constexpr Named kNamed[] = {{CAP_DAC_OVERRIDE, "CAP_DAC_OVERRIDE"},
                                {CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH"},
                                {CAP_FOWNER, "CAP_FOWNER"},
                                {CAP_KILL, "CAP_KILL"},
                                {CAP_SYS_PTRACE, "CAP_SYS_PTRACE"},
                                {CAP_SYS_ADMIN, "CAP_SYS_ADMIN"},
                                {CAP_SYSLOG, "CAP_SYSLOG"},
                                {CAP_BPF, "CAP_BPF"},
                                {CAP_PERFMON, "CAP_PERFMON"},
                                {CAP_CHECKPOINT_RESTORE, "CAP_CHECKPOINT_RESTORE"}};
    std::string names;
    for (const auto& [capability, name] : kNamed)
        if (kept & bit(capability))
            names += cat(names.empty() ? " but " : ", ", name);
    return "all" + names;
}

// Debian's and Android's kernels: see opens_perf_events() in kernel/facts.
bool perf_events_take_admin()
{
    const auto level = read_file("/proc/sys/kernel/perf_event_paranoid");
    return level &&
           to_number<int>(std::string_view(*level).substr(0, level->find('\n'))).value_or(0) > 2;
}

// What a run still uses while it traces.
std::uint64_t needed_capabilities(const Session& session)
{
    const Shared shared = session.tool.shared;
    const bool symbols =
        has(shared, Shared::symbols) || (has(shared, Shared::callers) && session.given("callers"));
    std::uint64_t keep = 0;
    if (symbols)
        keep |= bit(CAP_SYSLOG);
    if (symbols || has(shared, Shared::user_symbols))
        keep |= bit(CAP_SYS_PTRACE) | bit(CAP_DAC_READ_SEARCH) | bit(CAP_CHECKPOINT_RESTORE);
    if (has(shared, Shared::files))
        keep |= bit(CAP_DAC_READ_SEARCH);
    if (session.later && session.later->watches()) {
        keep |= bit(CAP_SYS_PTRACE) | bit(CAP_DAC_READ_SEARCH) | bit(CAP_CHECKPOINT_RESTORE);
        if (session.later->needs_perf_events)
            keep |= bit(perf_events_take_admin() ? CAP_SYS_ADMIN : CAP_PERFMON);
        if (session.later->loads_programs)
            keep |= bit(CAP_PERFMON);
    }
    if (session.given("flame"))
        keep |= bit(CAP_DAC_OVERRIDE) | bit(CAP_FOWNER);
    if (!session.command.empty())
        keep |= bit(CAP_KILL);
    return keep;
}

} // namespace

void drop_privileges(std::span<const Session* const> sessions)
{
    const char* asked = std::getenv("COREBOX_PRIVILEGES");
    const std::string_view how = asked ? asked : "";
    if (how == "keep")
        return;
    std::uint64_t keep = bit(CAP_BPF);
    bool explain = false;
    Attaching attaching;
    for (const Session* session : sessions) {
        if (const LaterFiles* later = session->later.get(); later && later->watches()) {
            attaching.perf_events |= later->needs_perf_events;
            attaching.loads |= later->loads_programs;
        }
        keep |= needed_capabilities(*session);
        explain |= session->explain;
    }
    // Capabilities first: setting the filter needs none.
    const auto kept = keep_capabilities(keep);
    const bool limited = limit_calls(
        how == "strict" ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_ERRNO | EPERM, attaching);
    if (explain)
        std::fputs(cat("dropped privileges:\n  capabilities: ", kept ? given_up(*kept) : "none",
                       "\n  system calls: ",
                       limited ? "all but those that read, wait, write and exit" : "none", "\n")
                       .c_str(),
                   stderr);
}

} // namespace corebox
