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
    flag<&StackOptions::user_only>('U', "user-stacks-only", "Only user stacks");
inline constexpr Option kernel_only =
    flag<&StackOptions::kernel_only>('K', "kernel-stacks-only", "Only kernel stacks");
inline constexpr Option delimited =
    flag<&StackOptions::delimited>('d', "delimited", "A delimiter between kernel and user stack");
inline constexpr Option folded =
    flag<&StackOptions::folded>('f', "folded", "One line a stack, for flame graphs");
inline constexpr Option annotations =
    flag<&StackOptions::annotations>('a', "annotations", "Append _[k] to kernel frames");
inline constexpr Option address = flag<&StackOptions::address>(
    'A', "address", "Addresses, offsets and objects too; stacks that differ in addresses apart");
inline constexpr Option offset =
    flag<&StackOptions::offset>('s', "offset", "Functions with the offset into them");
inline constexpr Option threads =
    flag<&StackOptions::threads>(0, "per-thread", "Tell the threads of a process apart");
inline constexpr Option storage = opt<&StackOptions::storage>(
    0, "stack-storage-size", "STACKS", "Room for so many different stacks (16384)", {1, 1 << 22});
inline constexpr Option hash_storage = opt<&StackOptions::hash_storage>(
    0, "hash-storage-size", "KEYS", "Room for so many combinations of process and stacks (40960)",
    {1, 1 << 24});
inline constexpr Option depth =
    opt<&StackOptions::depth>(0, "perf-max-stack-depth", "FRAMES",
                              "Frames of a stack, counted from its leaf (127)", {1, 4096});
inline constexpr Option flame = opt<&StackOptions::flame>(
    0, "flame", "FILE", "Draw a flame graph (SVG) instead of printing stacks", {}, {}, "file");
} // namespace stack_option

// Fails with a usage error where options exclude each other.
void check_stack_options(const StackOptions& options);
// Before load: which stacks are taken, and the maps' sizes.
void prepare_stacks(const StackOptions& options, stacks_config& config, bpf_map* sums,
                    bpf_map* stacks, bpf_map* spill);

} // namespace corebox
