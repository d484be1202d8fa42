// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Options that all tools of the shape "stacks" have.
#pragma once
#include "abi/stacks.h"
#include "cli/option.hpp"
#include <bpf/libbpf.h>

namespace corebox
{

// What the tools of this shape have in common. A tool's Options begins with it.
struct StackOptions {
    bool kernel_only = false, user_only = false;
    bool delimited = false, folded = false, annotations = false, address = false;
    bool offset = false;
    bool threads = false;
    std::uint32_t storage = STACK_STORAGE, hash_storage = STACK_HASH_STORAGE;
    std::uint32_t depth = 0; // 0: as deep as the kernel goes, at most STACK_DEPTH
    std::string_view flame;
};

// Rows for the tools' tables of options.
namespace stack_option
{
inline constexpr Option user_only =
    flag<&StackOptions::user_only>('U', "user-stacks-only", "Show only user stacks");
inline constexpr Option kernel_only =
    flag<&StackOptions::kernel_only>('K', "kernel-stacks-only", "Show only kernel stacks");
inline constexpr Option delimited = flag<&StackOptions::delimited>(
    'd', "delimited", "Print a delimiter between kernel and user stacks");
inline constexpr Option folded =
    flag<&StackOptions::folded>('f', "folded", "Print one line per stack, for flame graphs");
inline constexpr Option annotations =
    flag<&StackOptions::annotations>('a', "annotations", "Append _[k] to kernel frames");
inline constexpr Option address = flag<&StackOptions::address>(
    'A', "address", "Show addresses, and keep different ones separate");
inline constexpr Option offset =
    flag<&StackOptions::offset>('s', "offset", "Print offsets within functions");
inline constexpr Option threads =
    flag<&StackOptions::threads>(0, "per-thread", "Show each thread of a process separately");
inline constexpr Option storage = opt<&StackOptions::storage>(
    0, "stack-storage-size", "STACKS", "Limit the number of stacks (default: 16384)", {1, 1 << 22});
inline constexpr Option hash_storage = opt<&StackOptions::hash_storage>(
    0, "hash-storage-size", "KEYS", "Limit the number of table rows (default: 40960)",
    {1, 1 << 24});
inline constexpr Option depth = opt<&StackOptions::depth>(
    0, "perf-max-stack-depth", "FRAMES", "Limit the frames of a stack (default: 127)", {1, 4096});
inline constexpr Option flame = opt<&StackOptions::flame>(
    0, "flame", "FILE", "Draw a flame graph (SVG) into FILE", {}, {}, "file");
} // namespace stack_option

// Fails with a usage error where options exclude each other.
void check_stack_options(const StackOptions& options);
// Before load: which stacks are taken, and the maps' sizes.
void prepare_stacks(const StackOptions& options, stacks_config& config, bpf_map* sums,
                    bpf_map* stacks, bpf_map* spill);

} // namespace corebox
