// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Learns kernel stacks, so that they need not be unwound again: abi/stack_memo.h.
#pragma once
#include "abi/stack_memo.h"
#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <vector>

namespace corebox
{

// Where on a sampled stack the return addresses lie that the unwinder found there, leaf first, as
// slots of a struct stack_memo, ascending. The last address is not among them: it has to be `top`,
// the last word. An address that stands in several places has several slots: the real one is among
// them. The first addresses may be missing: they are those of the tracing itself, which lie below.
// Nothing where there is no slot, or another top.
std::optional<std::vector<__u64>> return_slots(std::span<const __u64> words, __u64 top,
                                               std::span<const __u64> unwound);

class StackMemos
{
public:
    explicit StackMemos(std::span<stack_memo> memos) : memos_(memos) {}

    // A sample arrived; `unwound`: what the unwinder found, leaf first.
    void learn(const stack_sample& sample, std::span<const __u64> unwound);

private:
    static void improve(stack_memo& memo, const stack_sample& sample,
                        std::span<const __u64> unwound);

    std::span<stack_memo> memos_; // shared with the kernel side
};

} // namespace corebox
