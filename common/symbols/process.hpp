// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Which program a process is, and where its paths lead.
#pragma once

#include "base/fd.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <tuple>

namespace corebox
{

std::string proc_path(std::uint32_t pid, std::string_view entry);

// From /proc/PID/stat. The address where the first stack of a program begins is chosen at random
// at each exec: a child that has executed nothing has its parent's. 0: we may not see it.
struct ProcessStat {
    std::uint32_t parent = 0;
    std::uint64_t start_stack = 0;
};
std::optional<ProcessStat> read_process_stat(std::uint32_t pid);

// The parent, if the process was forked from it and has executed no other program since.
std::optional<std::uint32_t> forked_from(std::uint32_t pid);

// Its number in its own PID namespace, and its user.
struct ProcessOwner {
    std::uint32_t inner_pid = 0;
    std::uint32_t uid = 0;
};
std::optional<ProcessOwner> read_process_owner(std::uint32_t pid);

// The root directory of processes that do not share ours, held open because /proc/PID/root ends
// with the process. Its mount namespace too, or what is mounted below the root would vanish with
// it.
struct Root {
    Fd directory;
    Fd mounts;
};

// Where the kernel's paths of a process are to be looked up.
struct RootPlace {
    std::shared_ptr<const Root> root; // null: ours
    bool own_mounts = true;           // it is in our mount namespace

    int directory() const { return root ? root->directory.get() : -1; }
    // In our mount namespace the kernel shows paths from our own root, in others from the root of
    // theirs; also of a process in a chroot.
    int path_root() const { return own_mounts ? -1 : directory(); }
};

// Not thread-safe.
class Roots
{
public:
    RootPlace find(std::uint32_t pid);

private:
    using Key = std::tuple<dev_t, ino_t, ino_t>; // root directory, mount namespace
    static std::optional<Key> key_of(const std::string& process);

    std::map<Key, std::shared_ptr<const Root>> roots_;
    std::optional<Key> own_;
};

} // namespace corebox
