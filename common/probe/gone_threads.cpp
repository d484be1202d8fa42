// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe/gone_threads.hpp"
#include "base/text.hpp"
#include "session/session.hpp"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cerrno>
#include <csignal>
#include <vector>

namespace corebox
{

bool thread_gone(std::uint32_t tid)
{
    if (::kill(pid_t(tid), 0) != 0 && errno == ESRCH)
        return true;
    // The first thread of a process that nobody has waited for yet is there, and is Z. The state
    // follows the name, which may have parentheses of its own.
    const auto stat = read_file(cat("/proc/", tid, "/stat"));
    const auto name_end = stat ? stat->rfind(") ") : std::string::npos;
    return name_end != std::string::npos &&
           std::string_view("ZX").find((*stat)[name_end + 2]) != std::string_view::npos;
}

std::uint64_t of_gone_threads(const bpf_map* map,
                              const std::function<std::uint64_t(std::span<const std::byte>)>& count)
{
    const int fd = bpf_map__fd(map);
    if (fd < 0 || own_pid_namespace() != 0)
        return 0; // the map has the host's thread ids, which mean others in a namespace
    std::vector<std::byte> value(bpf_map__value_size(map));
    std::uint64_t n = 0, key = 0; // little-endian, whichever size
    for (int err = bpf_map_get_next_key(fd, nullptr, &key); err == 0;
         err = bpf_map_get_next_key(fd, &key, &key))
        if (const auto tid = std::uint32_t(key);
            pid_t(tid) > 0 && thread_gone(tid) && bpf_map_lookup_elem(fd, &key, value.data()) == 0)
            n += count(value);
    return n;
}

std::uint64_t unreturned_calls(const bpf_map* args)
{
    return of_gone_threads(args, [](auto) { return 1; });
}

} // namespace corebox
