// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The task filter that was asked for, checked against the system: what does not exist cannot be
// traced, and the user hears it at once.
#include "base/fd.hpp"
#include "session/session.hpp"
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

namespace corebox
{
namespace
{

constexpr std::uint64_t kInitialPidNamespace = 0xEFFFFFFC; // PROC_PID_INIT_INO, linux/proc_ns.h
constexpr long kCgroup2Magic = 0x63677270;

void must_exist(std::uint32_t id, std::string_view what)
{
    // A thread's /proc directory exists too, though it is not listed.
    if (::access(cat("/proc/", id).c_str(), F_OK) != 0)
        fail(cat("no ", what, " with ID ", id, " in this PID namespace"), 0);
}

// The id of a cgroup v2 directory: its inode number, as the kernel numbers them (kernfs_node.id).
std::uint64_t cgroup_id(std::string_view path)
{
    std::string full(path);
    if (!path.starts_with('/') && !path.starts_with('.'))
        full = cat("/sys/fs/cgroup/", path);
    struct statfs fs {
    };
    struct stat st {
    };
    if (::statfs(full.c_str(), &fs) != 0 || ::stat(full.c_str(), &st) != 0)
        fail(cat("--cgroup ", full), errno);
    if (fs.f_type != kCgroup2Magic)
        fail(cat("--cgroup ", full), 0, "not a cgroup v2 directory");
    return st.st_ino;
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
        must_exist(pid, "process");
    for (const auto tid : session.tids)
        must_exist(tid, "thread");
    if (session.ppid)
        must_exist(session.ppid, "process");
    if (session.pids.size() == 1)
        f.pid = session.pids[0];
    if (session.tids.size() == 1)
        f.tid = session.tids[0];
    f.by_pid_list = session.pids.size() > 1;
    f.by_tid_list = session.tids.size() > 1;
    f.ppid = session.ppid;
    f.by_uid = session.user.given;
    f.uid = session.user.uid;
    std::memcpy(f.comm, session.comm, sizeof f.comm);
    if (!session.cgroup.empty())
        f.cgroup = cgroup_id(session.cgroup);
    f.by_cgroup_map = !session.cgroup_map.empty();
    f.by_mntns_map = !session.mntns_map.empty();
    f.by_tree = session.tree_root != 0;
    f.any = f.pidns || f.cgroup || f.pid || f.tid || f.ppid || f.by_uid || f.by_pid_list ||
            f.by_tid_list || f.by_tree || f.by_cgroup_map || f.by_mntns_map || f.comm[0] != '\0';
    return f;
}

} // namespace corebox
