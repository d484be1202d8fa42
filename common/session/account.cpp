// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "session/account.hpp"
#include "base/text.hpp"
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

// "12 lost (10 buffer full, 2 map full)"
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
    add(lost.cut, "unread at the end");
    return causes.empty() ? cat(lost.total(), " lost") : cat(lost.total(), " lost (", causes, ")");
}

// The option that gives more room where it is short.
std::string hint(const Tool& tool, const Lost& lost)
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
        return "; COREBOX_PROBES=kprobe loses none so";
    return {};
}

// Whether some of the programs fire only while ftrace is on.
bool depend_on_ftrace(std::span<const bpf_program* const> programs)
{
    return std::ranges::any_of(programs, [](const bpf_program* p) {
        return depends_on_ftrace(bpf_program__section_name(p));
    });
}

} // namespace

void Account::put_lost(std::string& out, const Lost& lost) const
{
    const auto number = [&](std::string_view key, std::uint64_t n) {
        put_json_key(out, key);
        put_number(out, n);
    };
    number("lost", lost.total());
    number("lost_buffer", lost.ring);
    number("lost_map", lost.map);
    number("lost_stack", lost.stack);
    number("lost_nested", lost.skipped);
    number("lost_return", lost.returns);
    number("lost_unread", lost.cut);
    if (const std::uint64_t ns = ftrace_.silent_ns())
        number("silent_ms", std::max<std::uint64_t>(ns / 1'000'000, 1));
}

Account::Account(const Session& session, std::span<const cpu_account> kernel,
                 std::vector<const bpf_program*> programs)
    : session_(session), kernel_(kernel), programs_(std::move(programs)),
      ftrace_(depend_on_ftrace(programs_), monotonic_ns())
{
}

std::uint64_t Account::kernel_filtered() const { return sum(kernel_, &cpu_account::filtered); }

Lost Account::lost() const
{
    Lost lost{.ring = sum(kernel_, &cpu_account::lost_ring),
              .map = sum(kernel_, &cpu_account::lost_map),
              .stack = sum(kernel_, &cpu_account::lost_stack) + stackless,
              .skipped = sum(kernel_, &cpu_account::lost_nested) + nested,
              .returns = sum(kernel_, &cpu_account::lost_return) + unreturned};
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

void Account::report_silence(Output& output, std::uint64_t now_ns)
{
    if (!ftrace_.look(now_ns))
        return;
    if (!ftrace_.is_silent()) {
        say(session_.tool, "ftrace is on again, after it was off (kernel.ftrace_enabled)");
        return;
    }
    const Obstacle o = ftrace_obstacle(read_ftrace());
    const std::uint64_t since = output.clock().wall_ns(ftrace_.since_ns());
    say(session_.tool, cat("events are missing since ", output.clock().time_of_day(since), ": ",
                           o.text(), "; ", o.fix()));
}

void Account::report_losses(Output& output)
{
    const std::uint64_t now = monotonic_ns();
    if (now - told_ns_ < 1'000'000'000)
        return;
    told_ns_ = now;
    report_silence(output, now);
    const Lost lost = this->lost();
    if (lost == told_)
        return;
    told_ = lost;
    say(session_.tool, cat(describe(lost), " so far", hint(session_.tool, lost)));
    if (session_.format != Format::json)
        return;
    output.text() += "{\"lost\":{";
    put_lost(output.text(), lost);
    output.text() += "}}\n";
    output.end_record();
}

Exit Account::finish(Output& output)
{
    report_silence(output, monotonic_ns());
    const Lost lost = this->lost();
    const std::uint64_t not_asked = filtered + kernel_filtered();
    const std::uint64_t seen = printed + not_asked + lost.total();
    if (session_.format == Format::json && output.state() == Output::State::open) {
        std::string& out = output.text();
        out += "{\"account\":{";
        const auto number = [&](std::string_view key, std::uint64_t n) {
            put_json_key(out, key);
            put_number(out, n);
        };
        number("seen", seen);
        number("printed", printed);
        number("filtered", not_asked);
        put_lost(out, lost);
        out += "}}\n";
    }
    output.flush();
    output.notice_closed();
    if (output.state() == Output::State::closed)
        return Exit::complete; // what nobody reads is not lost
    if (output.state() == Output::State::failed)
        throw Failure{Exit::output,
                      cat("write to standard output: ", strerrordesc_np(output.error()))};
    say(session_.tool,
        cat(seen, " seen = ", printed, " printed + ", not_asked, " filtered + ", describe(lost)));
    if (ftrace_.silent_ns())
        say(session_.tool, cat("probes were silent for up to ",
                               std::max<std::uint64_t>(ftrace_.silent_ns() / 1'000'000, 1),
                               " ms: those events are in no number above"));
    return lost.total() || ftrace_.silent_ns() ? Exit::lost : Exit::complete;
}

} // namespace corebox
