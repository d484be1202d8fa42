// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "session/account.hpp"
#include "base/text.hpp"
#include "output/clock.hpp"
#include "tool/tool.hpp"
#include <algorithm>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cstring>

namespace corebox
{
namespace
{

// One member summed over the CPUs. The memory is shared with the kernel: read it, do not cache it.
std::uint64_t sum(std::span<const cpu_account> slots, __u64 cpu_account::*member)
{
    std::uint64_t total = 0;
    for (const cpu_account& slot : slots)
        total += *const_cast<const volatile __u64*>(&(slot.*member));
    return total;
}

} // namespace

std::string describe(const Lost& lost)
{
    std::string causes;
    const auto add = [&](std::uint64_t n, std::string_view cause) {
        if (n)
            causes += cat(causes.empty() ? "" : ", ", n, " ", cause);
    };
    add(lost.ring, "buffer full");
    add(lost.map, "map full");
    add(lost.stack, "stack map full");
    add(lost.skipped, "nested");
    add(lost.returns, "without a return");
    add(lost.unread, "unread at the end");
    return causes.empty() ? cat(lost.total(), " lost") : cat(lost.total(), " lost (", causes, ")");
}

std::string loss_hint(const Tool& tool, const Lost& lost)
{
    const auto own = [&](std::string_view name) {
        return std::ranges::find(tool.options, name, &Option::name) != tool.options.end();
    };
    if (lost.ring && has(tool.shared, Shared::events))
        return "; see --buffer-size";
    if (lost.stack && own("stack-storage-size"))
        return "; see --stack-storage-size";
    if (lost.map && own("hash-storage-size"))
        return "; see --hash-storage-size";
    // Where the kernel may preempt itself inside of all programs but kprobes, it skips a program on
    // a CPU as long as another task is in the middle of it (seen on 7.2).
    if (lost.skipped && std::ranges::any_of(tool.needs, [](const Need& need) {
            return std::ranges::find(need.rungs, "kprobe", &Rung::name) != need.rungs.end();
        }))
        return "; COREBOX_PROBES=kprobe avoids this loss";
    return {};
}

std::string describe(const Totals& totals)
{
    return cat(totals.seen(), " seen = ", totals.printed, " printed + ", totals.filtered,
               " filtered + ", describe(totals.lost), totals.note.empty() ? "" : "; ", totals.note);
}

Account::Account(std::span<const cpu_account> kernel, std::vector<const bpf_program*> programs,
                 bool depends_on_ftrace)
    : ftrace(depends_on_ftrace, monotonic_ns()), kernel_(kernel), programs_(std::move(programs))
{
}

std::uint64_t Account::kernel_filtered() const { return sum(kernel_, &cpu_account::filtered); }

Lost Account::lost() const
{
    Lost lost{.ring = sum(kernel_, &cpu_account::lost_ring),
              .map = sum(kernel_, &cpu_account::lost_map),
              .stack = sum(kernel_, &cpu_account::lost_stack) + stackless,
              .skipped = sum(kernel_, &cpu_account::lost_nested) + nested,
              .returns = sum(kernel_, &cpu_account::lost_return) + unreturned,
              .unread = unread};
    // fentry and tracing programs that would nest in themselves on one CPU are skipped by the
    // kernel, which counts it (bpf_prog_info.recursion_misses, 5.12+; before, it does not tell).
    for (const bpf_program* program : programs_) {
        bpf_prog_info info{};
        __u32 size = sizeof info;
        if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size) == 0)
            lost.skipped += info.recursion_misses;
    }
    return lost;
}

Totals Account::totals() const
{
    return {.printed = printed,
            .filtered = filtered + kernel_filtered(),
            .lost = lost(),
            .silent_ns = ftrace.silent_ns(),
            .note = note};
}

} // namespace corebox
