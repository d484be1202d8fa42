/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/task.h"

enum sig_call {
	CALL_NONE,
	CALL_KILL,
	CALL_TKILL,
	CALL_TGKILL,
	CALL_RT_SIGQUEUEINFO,
	CALL_RT_TGSIGQUEUEINFO,
	CALL_PIDFD_SEND_SIGNAL,
};

struct sig_config {
	__u64 signals;    /* bit n-1: signal n is asked for; 0 with !by_signal: all are */
	__s32 target;     /* process or thread, or what a call names as its target; 0: all */
	bool by_signal;
	bool zero;        /* with by_signal: calls with signal 0 too */
	bool failed;      /* only what was not delivered */
};

/* `result` of a generated signal: TRACE_SIGNAL_DELIVERED ..., trace/events/signal.h. */
enum sig_outcome {
	OUTCOME_DELIVERED,
	OUTCOME_IGNORED,
	OUTCOME_PENDING,
	OUTCOME_OVERFLOW,
	OUTCOME_LOST_INFO,
};

struct sig_event {
	struct task_info task; /* the sender */
	__s32 sig;
	__s32 code;       /* si_code of a generated signal */
	__s32 result;     /* sig_outcome, or what the call returned */
	__s32 target;     /* as the call gave it: negative for process groups and all */
	__u32 target_pid; /* where known */
	__u32 target_tid;
	__u32 targets;    /* of a call: tasks that it generated a signal for */
	char comm[COMM_LEN]; /* of the target, or the first one; copied in words (comm_of()) */
	__u8 call;        /* enum sig_call */
	__u8 group;       /* to the process, not to one thread of it */
};
