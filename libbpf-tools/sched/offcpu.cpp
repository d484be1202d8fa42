// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "offcpu.hpp"
#include "base/path.hpp"
#include <algorithm>

namespace corebox
{
namespace
{

// Threads that there are: "0.00 0.01 0.05 1/123 4567".
std::uint32_t threads_now()
{
    const auto text = read_file("/proc/loadavg").value_or("");
    const auto fields = split(text, ' ');
    if (fields.size() < 4)
        return 0;
    const auto slash = fields[3].find('/');
    return slash == fields[3].npos
               ? 0
               : to_number<std::uint32_t>(fields[3].substr(slash + 1)).value_or(0);
}

} // namespace

std::string TaskStates::parse(std::string_view text, TaskStates& states)
{
    constexpr std::string_view kLetters = OFF_STATES;
    states.given = true;
    if (const auto bits = to_number<std::uint32_t>(text); bits && *bits <= 0xffff) {
        states.mask |= *bits;
        states.codes |= *bits ? 0 : 1 << OFF_R;
        return {};
    }
    for (const char letter : text) {
        const auto code = kLetters.find(letter);
        if (letter != ',' && (code == kLetters.npos || code == OFF_UNKNOWN))
            return "letters of RSDITtP, or a number from 0 to 65535";
        states.codes |= letter == ',' ? 0 : 1u << code;
    }
    return states.codes || states.mask ? "" : "letters of RSDITtP, or a number from 0 to 65535";
}

void check_off_options(const OffOptions& o)
{
    if (o.user_threads && o.kernel_threads)
        fail_usage("--user-threads-only and --kernel-threads-only exclude each other");
    if (o.max_us && o.max_us < o.min_us)
        fail_usage("--max-block-time must not be less than --min-block-time");
    if (o.offset && o.folded)
        fail_usage("--offset and --folded exclude each other");
}

void prepare_off(const OffOptions& o, off_config& config, bpf_map* tasks)
{
    config = {.min_ns = o.min_us * 1000,
              .max_ns = o.max_us ? o.max_us * 1000 + 999 : ~0ull, // of whole microseconds
              .state_mask = o.states.mask,
              .states = o.states.codes,
              .by_state = o.states.given,
              .user_threads = o.user_threads,
              .kernel_threads = o.kernel_threads};
    bpf_map__set_max_entries(tasks, std::max<std::uint32_t>(OFF_TASKS, 2 * threads_now()));
}

std::string off_banner(std::string_view what, std::string_view by, const OffOptions& o,
                       const Session& session)
{
    std::string who = traced_tasks(session);
    if (o.user_threads || o.kernel_threads) {
        const std::string_view kind = o.user_threads ? "user threads" : "kernel threads";
        who = who == "all threads" ? std::string(kind) : cat(kind, " of ", who);
    }
    return cat("Tracing ", what, " time (us) of ", who, " by ", by, traced_time(session));
}

} // namespace corebox
