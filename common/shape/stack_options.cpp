// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "shape/stack_options.hpp"
#include "base/error.hpp"
#include "output/replace_file.hpp"
#include "session/perf.hpp"
#include <algorithm>

namespace corebox
{

void check_stack_options(const StackOptions& options)
{
    if (options.kernel_only && options.user_only)
        fail_usage("--kernel-stacks-only and --user-stacks-only exclude each other");
    if (!options.flame.empty())
        check_replaceable(std::string(options.flame));
}

void prepare_stacks(const StackOptions& options, stacks_config& config, bpf_map* sums,
                    bpf_map* stacks, bpf_map* spill)
{
    config.kernel = !options.user_only;
    config.user = !options.kernel_only;
    config.threads = options.threads;
    const std::uint64_t limit = kernel_setting("perf_event_max_stack").value_or(STACK_DEPTH);
    if (options.depth > limit)
        fail(cat("cannot record ", options.depth, " frames of a stack"),
             cat("the kernel's limit is ", limit),
             cat("sysctl kernel.perf_event_max_stack=", options.depth));
    const auto depth =
        options.depth ? options.depth : std::uint32_t(std::min<std::uint64_t>(limit, STACK_DEPTH));
    const auto size = [&](bpf_map* map, std::uint32_t entries) {
        bpf_map__set_value_size(map, depth * std::uint32_t(sizeof(__u64)));
        bpf_map__set_max_entries(map, entries);
    };
    size(stacks, options.storage);
    size(spill, std::max(options.storage / STACK_SPILL_SHARE, 1u));
    bpf_map__set_max_entries(sums, options.hash_storage);
}

} // namespace corebox
