// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "call_time.hpp"
#include <bpf/bpf.h>

namespace corebox
{

std::uint64_t unreturned_starts(const bpf_object* object, const bpf_map* starts)
{
    bool kretprobes = false;
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, object)
    {
        kretprobes |= bpf_program__autoload(program) &&
                      std::string_view(bpf_program__section_name(program)).starts_with("kretprobe");
    }
    if (!kretprobes || own_pid_namespace() != 0)
        return 0; // what the kernel skips of fexit it counts; in a namespace the ids mean others
    std::uint32_t places = bpf_map__max_entries(starts), next = 0;
    const std::uint32_t kinds = places / CALL_THREADS;
    std::vector<std::uint32_t> keys(places);
    std::vector<std::uint64_t> values(places);
    if (bpf_map_lookup_batch(bpf_map__fd(starts), nullptr, &next, keys.data(), values.data(),
                             &places, nullptr) != 0 &&
        errno != ENOENT) // which says that these were all
        fail("cannot read the calls that have not returned", errno);
    std::uint64_t n = 0;
    for (std::uint32_t i = 0; i < places; i++) {
        const auto high = std::uint32_t(values[i] >> CALL_TIME_BITS);
        n += values[i] && thread_gone(high << CALL_THREAD_BITS | keys[i] / kinds) ? 1 : 0;
    }
    return n;
}

} // namespace corebox
