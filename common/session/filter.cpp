// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The task filter that was asked for, checked against the system: what does not exist cannot be
// traced, and the tool says so before it traces.
#include "session/cgroup.hpp"
#include "session/session.hpp"
#include <algorithm>
#include <cstring>
#include <ctime>
#include <sys/stat.h>
#include <unistd.h>

namespace corebox
{
namespace
{

constexpr std::uint64_t kInitialPidNamespace = 0xEFFFFFFC; // PROC_PID_INIT_INO, linux/proc_ns.h

void check_exists(std::uint32_t id, std::string_view what)
{
    // A thread's /proc directory exists too, though it is not listed.
    if (::access(cat("/proc/", id).c_str(), F_OK) != 0)
        fail(cat("cannot trace ", what, " ", id), cat("this PID namespace has no such ", what));
}

// A thread's number is not its process's, unless it is the first.
void check_process(std::uint32_t id)
{
    check_exists(id, "process");
    const auto status = read_file(cat("/proc/", id, "/status"));
    const auto process = status ? status_field(*status, "Tgid") : std::nullopt;
    if (process && *process != cat(id))
        fail(cat("cannot trace process ", id), cat("it is a thread of process ", *process),
             cat("use ", *process, ", or --tid ", id, " for this thread alone"));
}

// The kernel's CLOCK_MONOTONIC. A time namespace sees it shifted (time_namespaces(7)).
std::uint64_t kernel_monotonic_ns()
{
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    std::int64_t ns = now.tv_sec * 1'000'000'000 + now.tv_nsec;
    // "monotonic   SECONDS   NANOSECONDS"
    const std::string offsets = read_file("/proc/self/timens_offsets").value_or("");
    for (const std::string_view line : split(offsets, '\n')) {
        auto words = split(line, ' ');
        std::erase(words, "");
        if (words.size() != 3 || words[0] != "monotonic")
            continue;
        const auto seconds = to_number<std::int64_t>(words[1]),
                   rest = to_number<std::int64_t>(words[2]);
        if (seconds && rest)
            ns -= *seconds * 1'000'000'000 + *rest;
    }
    return std::uint64_t(ns);
}

} // namespace

bool is_filtered(const Session& session)
{
    return !session.command.empty() ||
           std::ranges::any_of(split(kAnyFilter, '|'),
                               [&](std::string_view option) { return session.given(option); });
}

std::uint32_t own_pid_namespace()
{
    struct stat ns {
    };
    return ::stat("/proc/self/ns/pid", &ns) == 0 && ns.st_ino != kInitialPidNamespace
               ? std::uint32_t(ns.st_ino)
               : 0;
}

task_filter make_filter(const Session& session)
{
    task_filter f{};
    f.pidns = own_pid_namespace();
    f.self = std::uint32_t(::getpid());
    for (const auto pid : session.pids)
        check_process(pid);
    for (const auto tid : session.tids)
        check_exists(tid, "thread");
    if (session.ppid)
        check_process(session.ppid);
    f.since_ns = kernel_monotonic_ns(); // after the checks: what they found began before
    if (session.pids.size() == 1)
        f.pid = session.pids[0];
    if (session.tids.size() == 1)
        f.tid = session.tids[0];
    f.by_process = !session.pids.empty();
    f.by_thread = !session.tids.empty();
    f.by_pid_list = session.pids.size() > 1;
    f.by_tid_list = session.tids.size() > 1;
    f.ppid = session.ppid;
    f.by_uid = session.user.given;
    f.uid = session.user.uid;
    std::memcpy(f.comm, session.comm, sizeof f.comm);
    if (!session.cgroup.empty()) {
        find_cgroup(session.cgroup);
        f.by_cgroup = true;
    }
    f.by_cgroup_map = !session.cgroup_map.empty();
    f.by_mntns_map = !session.mntns_map.empty();
    f.by_tree = session.tree_root != 0;
    f.by_ids = f.by_process || f.by_thread || f.by_tree;
    f.any = f.pidns || f.by_ids || f.ppid || f.by_uid || f.by_cgroup || f.by_cgroup_map ||
            f.by_mntns_map || f.comm[0] != '\0';
    return f;
}

} // namespace corebox
