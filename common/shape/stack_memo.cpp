// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "shape/stack_memo.hpp"
#include <algorithm>
#include <atomic>

namespace corebox
{

std::optional<std::vector<__u64>> return_slots(std::span<const __u64> words, __u64 top,
                                               std::span<const __u64> unwound)
{
    if (unwound.size() < 2 || unwound.back() != top)
        return std::nullopt;
    std::vector<__u64> slots;
    for (const __u64 address : unwound.first(unwound.size() - 1)) {
        const std::size_t before = slots.size();
        for (std::size_t i = 0; i < words.size(); i++)
            if (words[i] == address)
                slots.push_back(STACK_MEMO_SLOT(i, address));
        // It lies below what was copied, and so do those before it: what looks like them is none.
        if (slots.size() == before)
            slots.clear();
    }
    if (slots.empty())
        return std::nullopt;
    // A recursive function's address gives its slots more than once.
    std::ranges::sort(slots);
    slots.erase(std::ranges::unique(slots).begin(), slots.end());
    return slots;
}

void StackMemos::learn(const stack_sample& sample, std::span<const __u64> unwound)
{
    stack_memo& memo = memos_[sample.place % memos_.size()];
    if (!memo.gone)
        improve(memo, sample, unwound);
    if (memo.gone)
        return; // the kernel side waits for it before it asks again
    std::atomic_ref(memo.learnt).store(memo.learnt + 1, std::memory_order_release);
}

void StackMemos::improve(stack_memo& memo, const stack_sample& sample,
                         std::span<const __u64> unwound)
{
    const std::span words(sample.word, sample.words);
    const auto slots = return_slots(words, sample.top, unwound);
    const std::atomic_ref ready(memo.ready);
    if (!slots || slots->size() > std::size(memo.slot) || (ready && memo.id != sample.id))
        return;
    if (!ready) {
        memo.id = sample.id;
        std::ranges::copy(*slots, memo.slot);
        memo.slots = std::uint32_t(slots->size());
        memo.extent = __u32(slots->back() >> 48) + 1;
        memo.top = sample.top;
        ready.store(1, std::memory_order_release);
        return;
    }
    if (memo.top != sample.top)
        return;
    // What is no slot of this stack was none of the other's. Each stays one word in its place, for
    // the kernel side may be reading: one that goes becomes the same as another of its address.
    const auto known = std::span(memo.slot).first(memo.slots);
    const auto address = [](__u64 slot) { return slot << 16; };
    const auto stays = [&](__u64 slot) { return std::ranges::binary_search(*slots, slot); };
    const auto real = [&](__u64 slot) {
        return std::ranges::find_if(
            known, [&](__u64 k) { return address(k) == address(slot) && stays(k); });
    };
    // An address that lies elsewhere than before: a function aligns its frame (6.1's
    // __blkdev_direct_IO_simple), so that an address does not tell where the next one lies.
    if (!std::ranges::all_of(known, [&](__u64 slot) { return real(slot) != known.end(); })) {
        ready.store(0, std::memory_order_release);
        memo.gone = 1;
        return;
    }
    for (__u64& slot : known)
        if (!stays(slot))
            std::atomic_ref(slot).store(*real(slot), std::memory_order_relaxed);
    const auto last = std::ranges::max(known);
    std::atomic_ref(memo.extent).store(__u32(last >> 48) + 1, std::memory_order_release);
}

} // namespace corebox
