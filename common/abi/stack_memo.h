/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Kernel stacks that are known again without being unwound: bpf/stack_memo.bpf.h looks them up,
 * shape/stack_memo.hpp learns them. */
#pragma once
#include "abi/types.h"

#define STACK_MEMO_WORDS 256  /* of deeper stacks none is learnt */
#define STACK_MEMO_PLACES 2048
#define STACK_MEMO_WAYS 4     /* places for a stack id: the one it says, and those behind */
#define STACK_MEMO_SLOTS 40
#define STACK_MEMO_SAMPLES 32 /* of a stack at most, to tell its slots from what looks like one */

/* What has to stand where for a stack to be this one. A slot is a return address whose upper 16 bits,
 * all ones in the kernel, are the place of the word on the stack, counted from where it was taken. */
#define STACK_MEMO_SLOT(place, address) ((__u64)(place) << 48 | ((__u64)(address) << 16 >> 16))
struct stack_memo {
	__u32 ready; /* written last by user space */
	__s32 id;    /* written by user space */
	__s32 asked; /* whose place this is to be: two CPUs may ask at once, and one gets it */
	__u32 samples, learnt; /* asked for, and looked at by user space */
	__u32 slots;
	__u32 extent; /* words from the first to the last slot */
	__u32 gone;   /* written by user space: its addresses do not always lie in the same places */
	__u64 slot[STACK_MEMO_SLOTS];
	__u64 top; /* the stack's last word */
};

/* Asks user space to learn a stack. */
struct stack_sample {
	__u32 words;
	__s32 id;
	__u32 place; /* of its memo */
	__u32 unused;
	__u64 top;
	__u64 word[STACK_MEMO_WORDS]; /* as many as there are, without the last one */
};
