/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/types.h"

struct kvmexit_config {
	/* Where the tracepoint's record has its fields: they moved over the years, and no BTF that is
	 * always there tells of them. */
	__u32 reason_at, isa_at, vcpu_at;
	__u32 vcpu; /* with by_vcpu: only this one */
	bool by_vcpu;
};

/* What --where may ask of an exit. */
struct kvmexit_event {
	__u32 pid, tid, vcpu, reason;
	char comm[COMM_LEN];
};

struct kvmexit_key {
	__u32 generation;
	__u32 tid;
	__u32 reason;
	__u32 vcpu;
};

/* One thread's, so updates need not be atomic. */
struct kvmexit_count {
	__u64 count;
	__u32 pid;
	__u32 isa; /* KVM_ISA_VMX, KVM_ISA_SVM of linux/kvm.h's trace: whose numbers the reasons are */
};
