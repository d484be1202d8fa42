// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "queue_length.hpp"
#include "base/text.hpp"
#include "symbols/kernel.hpp"
#include <cerrno>

namespace corebox
{

Obstacle tasks_without_queue(const Facts& facts)
{
    using enum Facts::Name;
    for (const char* member : {"sched_entity.cfs_rq", "cfs_rq.rq"})
        if (facts.has(btf_member, member) == Answer::no)
            return {Cause::no_btf_member, cat(member, " (CONFIG_FAIR_GROUP_SCHED)")};
    return {};
}

run_queues find_run_queues()
{
    // "0000000000032840 A runqueues", "ffffffff822c3a40 D __per_cpu_offset".
    const auto symbols = read_file("/proc/kallsyms");
    if (!symbols)
        fail("cannot read /proc/kallsyms", errno);
    const auto address = [&](std::string_view symbol) -> std::optional<std::uint64_t> {
        const auto name = symbols->find(cat(" ", symbol, "\n"));
        if (name == symbols->npos)
            return std::nullopt;
        const auto line = symbols->rfind('\n', name) + 1; // npos + 1 is 0
        const std::string_view text = std::string_view(*symbols).substr(line);
        return to_number<std::uint64_t>(text.substr(0, text.find(' ')), 16);
    };
    const auto variable = address("runqueues"), offsets = address("__per_cpu_offset");
    constexpr std::string_view kWhat = "cannot find the run queues";
    if (!variable)
        fail(kWhat, "/proc/kallsyms has no symbol runqueues",
             "use a kernel with CONFIG_FAIR_GROUP_SCHED=y or CONFIG_KALLSYMS_ALL=y");
    // The first per-CPU variable is at 0 on some kernels, an offset array nowhere.
    if (offsets ? *offsets == 0 : *variable == 0)
        fail(kWhat, reason_of(names_hidden()), remedy_of(names_hidden()));
    return {.variable = *variable, .offsets = offsets.value_or(0)};
}

} // namespace corebox
