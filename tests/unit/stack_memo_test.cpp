// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Learning where on a stack the return addresses lie.
#include "shape/stack_memo.hpp"
#include <gtest/gtest.h>

namespace corebox
{
namespace
{

constexpr __u64 kA = 0xffffffff81000011, kB = 0xffffffff81000022, kC = 0xffffffff81000033,
                kTracing = 0xffffffffc0000001, kEntry = 0xffffffff82000044,
                kHeap = 0xffff888004200000;

using Slots = std::vector<__u64>;

stack_sample sample(std::span<const __u64> words, __u64 top = kEntry, __s32 id = 7)
{
    stack_sample s{};
    s.words = __u32(words.size());
    s.id = id;
    s.place = 1;
    s.top = top;
    std::ranges::copy(words, s.word);
    return s;
}

TEST(StackMemo, SlotsOfReturnAddresses)
{
    const __u64 words[] = {kHeap, kA, 5, kB, 0};
    const __u64 unwound[] = {kTracing, kA, kB, kEntry};
    EXPECT_EQ(return_slots(words, kEntry, unwound),
              (Slots{STACK_MEMO_SLOT(1, kA), STACK_MEMO_SLOT(3, kB)}));
    // Entered from elsewhere.
    EXPECT_FALSE(return_slots(words, kC, unwound));
    // What lies below the copied words: where one does, those before it do.
    const __u64 more[] = {kA, kC, kB, kEntry};
    EXPECT_EQ(return_slots(words, kEntry, more), (Slots{STACK_MEMO_SLOT(3, kB)}));
    const __u64 none[] = {kTracing, kC, kEntry};
    EXPECT_FALSE(return_slots(words, kEntry, none));
    EXPECT_FALSE(return_slots({}, kEntry, unwound));
    EXPECT_FALSE(return_slots(words, kEntry, {}));
}

TEST(StackMemo, SlotsThatMayBe)
{
    // Left over from an earlier call: it has two slots. A recursive function has as many.
    const __u64 words[] = {kA, kB, kB, kA};
    const __u64 unwound[] = {kA, kB, kEntry};
    EXPECT_EQ(return_slots(words, kEntry, unwound),
              (Slots{STACK_MEMO_SLOT(0, kA), STACK_MEMO_SLOT(1, kB), STACK_MEMO_SLOT(2, kB),
                     STACK_MEMO_SLOT(3, kA)}));
    const __u64 recursive[] = {kB, kB, kEntry};
    EXPECT_EQ(return_slots(words, kEntry, recursive),
              (Slots{STACK_MEMO_SLOT(1, kB), STACK_MEMO_SLOT(2, kB)}));
}

TEST(StackMemo, LearnsWithEachSample)
{
    stack_memo memos[2]{};
    stack_memo& memo = memos[1];
    memo.samples = 1;
    StackMemos learner(memos);
    const __u64 unwound[] = {kA, kB, kEntry};
    const __u64 first[] = {kA, 1, kB, kB};
    learner.learn(sample(first), unwound);
    EXPECT_EQ(memo.ready, 1u);
    EXPECT_EQ(memo.id, 7);
    EXPECT_EQ(memo.learnt, 1u);
    EXPECT_EQ(memo.slots, 3u);
    EXPECT_EQ(memo.extent, 4u);
    EXPECT_EQ(memo.top, kEntry);
    // What is not on the second is none: its place in the list is another's, the extent shrinks.
    const __u64 second[] = {kA, kC, kB};
    learner.learn(sample(second), unwound);
    EXPECT_EQ(memo.learnt, 2u);
    EXPECT_EQ(memo.slots, 3u);
    EXPECT_EQ(memo.extent, 3u);
    for (unsigned i = 0; i < memo.slots; i++)
        EXPECT_TRUE(memo.slot[i] == STACK_MEMO_SLOT(0, kA) ||
                    memo.slot[i] == STACK_MEMO_SLOT(2, kB));
    // Of another stack, or entered from elsewhere: counted, not learnt.
    learner.learn(sample(second, kEntry, 8), unwound);
    const __u64 elsewhere[] = {kA, kB, kC};
    learner.learn(sample(second, kC), elsewhere);
    EXPECT_EQ(memo.learnt, 4u);
    EXPECT_EQ(memo.top, kEntry);
    EXPECT_EQ(memos[0].learnt, 0u);
}

// A frame that is aligned is larger or smaller by chance: what lies above it has no place.
TEST(StackMemo, GivesUpWhereAddressesMove)
{
    stack_memo memos[2]{};
    stack_memo& memo = memos[1];
    StackMemos learner(memos);
    const __u64 unwound[] = {kA, kB, kC, kEntry};
    const __u64 first[] = {kA, kB, 1, kC, kC};
    learner.learn(sample(first), unwound);
    EXPECT_EQ(memo.ready, 1u);
    const __u64 left_over[] = {kA, kB, 1, kC};
    learner.learn(sample(left_over), unwound);
    EXPECT_EQ(memo.ready, 1u);
    EXPECT_EQ(memo.learnt, 2u);
    const __u64 moved[] = {kA, kB, 1, 2, kC};
    for (int i = 0; i < 2; i++) {
        learner.learn(sample(moved), unwound);
        EXPECT_EQ(memo.ready, 0u);
        EXPECT_EQ(memo.learnt, 2u); // not asked again
    }
}

TEST(StackMemo, TooManySlots)
{
    stack_memo memos[2]{};
    const std::vector<__u64> words(STACK_MEMO_SLOTS + 1, kA);
    const __u64 unwound[] = {kA, kEntry};
    StackMemos(memos).learn(sample(words), unwound);
    EXPECT_EQ(memos[1].ready, 0u);
    EXPECT_EQ(memos[1].learnt, 1u);
}

} // namespace
} // namespace corebox
