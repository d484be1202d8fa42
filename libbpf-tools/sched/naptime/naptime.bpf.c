// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"
#include "bpf/filter.bpf.h"
#include "naptime.h"

/* enum hrtimer_mode, v5.10 to v7.2 */
#define MODE_RELATIVE 1

static __always_inline int nap(void *ctx, __s64 ns, __u32 mode, __u32 clock, bool typed)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct task_struct *parent;
	struct nap_event e = {};

	if (!filter_current())
		return 0;
	task_info_read(&e.task, typed);
	e.ns = ns;
	e.absolute = !(mode & MODE_RELATIVE);
	e.clock = clock;
	parent = BPF_CORE_READ(task, real_parent);
	e.ppid = task_tgid(parent);
	bpf_probe_read_kernel(e.pcomm, COMM_LEN, BPF_CORE_READ(parent, group_leader, comm));
	event_output(ctx, &e, sizeof(e));
	return 0;
}

/* What nanosleep(2) and clock_nanosleep(2) call, of 32-bit programs too. */
SEC("fentry/hrtimer_nanosleep")
int BPF_PROG(nap_fentry, __s64 ns, __u32 mode, __u32 clock)
{
	return nap(ctx, ns, mode, clock, true);
}

SEC("kprobe/hrtimer_nanosleep")
int BPF_KPROBE(nap_kprobe, __s64 ns, __u32 mode, __u32 clock)
{
	return nap(ctx, ns, mode, clock, false);
}
