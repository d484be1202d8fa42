// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"
#include "bpf/event_stacks.bpf.h"
#include "bpf/filter.bpf.h"
#include "bpf/syscall.bpf.h"
#include "capable.h"

const volatile struct capable_config cfg = {};

struct check {
	struct user_namespace *user_ns;
	__s32 cap;
	__u32 opts;
};
SYSCALL_ARGS(struct check)

EVENT_SCRATCH(struct capable_event, 1)

/* Without fexit the kernel stack is taken at the entry: at a kretprobe 5.10 cannot see the callers.
 * LRU: those of checks whose return is missed are never taken. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct event_stacks);
} entry_stacks SEC(".maps");

static __always_inline bool wanted(const struct check *c)
{
	/* Every mmap asks without audit on 7.2: decided before anything else. */
	if (!asked_for(cfg.all || !(c->opts & CAP_OPT_NOAUDIT) || c->opts == CAP_OPTS_UNKNOWN))
		return false;
	if (cfg.caps && !asked_for((__u32)c->cap < 64 && cfg.caps >> (c->cap & 63) & 1))
		return false;
	return filter_current();
}

/* What the check's stacks are, if not from `ctx`. */
static __always_inline __u64 entry_stacks_take(struct event_stacks *stacks)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct event_stacks *kept = bpf_map_lookup_elem(&entry_stacks, &tid);
	__u64 size;

	if (!kept) { /* evicted, or there was no room for it */
		stacks->image = 0;
		stacks->kernel_len = stacks->user_len = 0;
		__sync_fetch_and_add(&account()->lost_stack, 1);
		return offsetof(struct event_stacks, addresses);
	}
	size = offsetof(struct event_stacks, addresses) + kept->kernel_len + kept->user_len;
	if (size > sizeof(*stacks))
		size = sizeof(*stacks);
	bpf_probe_read_kernel(stacks, size, kept);
	bpf_map_delete_elem(&entry_stacks, &tid);
	return size;
}

static __always_inline int report(void *ctx, const struct check *c, int ret, bool at_entry)
{
	struct user_namespace *user_ns = c->user_ns;
	struct capable_event *e;
	__u64 size;

	if (cfg.deny && !asked_for(ret)) {
		__u32 tid = bpf_get_current_pid_tgid();

		if (at_entry && cb_event_stacks.kernel)
			bpf_map_delete_elem(&entry_stacks, &tid);
		return 0;
	}
	e = event_scratch(0);
	if (!e)
		return 0;
	task_info_current(&e->task);
	e->cap = c->cap;
	e->opts = c->opts;
	e->ret = ret;
	e->user_ns = BPF_CORE_READ(user_ns, ns.inum);
	e->cgroup = bpf_get_current_cgroup_id();
	size = offsetof(struct capable_event, stacks) +
	       (at_entry && cb_event_stacks.kernel ? entry_stacks_take(&e->stacks) :
						     event_stacks_fill(ctx, &e->stacks));
	if (size <= sizeof(*e))
		event_output(ctx, e, size);
	return 0;
}

SEC("fexit/cap_capable")
int BPF_PROG(check_fexit, const struct cred *cred, struct user_namespace *ns, int cap,
	     unsigned int opts, int ret)
{
	struct check c = { ns, cap, opts };

	return wanted(&c) ? report(ctx, &c, ret, false) : 0;
}

SEC("kprobe/cap_capable")
int BPF_KPROBE(check_kprobe, const struct cred *cred, struct user_namespace *ns, int cap,
	       unsigned int opts)
{
	struct check c = { ns, cap, opts };

	if (!wanted(&c))
		return 0;
	args_keep(&c);
	if (cb_event_stacks.kernel) {
		struct capable_event *e = event_scratch(0);
		__u32 tid = bpf_get_current_pid_tgid();

		if (e) {
			event_stacks_fill(ctx, &e->stacks);
			bpf_map_update_elem(&entry_stacks, &tid, &e->stacks, BPF_ANY);
		}
	}
	return 0;
}

SEC("kretprobe/cap_capable")
int BPF_KRETPROBE(check_kretprobe, int ret)
{
	struct check c;

	return args_take(&c) ? report(ctx, &c, ret, true) : 0;
}

/* Seen on 6.18 and 7.2, not on 6.12. It does not tell whether the check is audited. */
SEC("tp_btf/cap_capable")
int BPF_PROG(check_tp, const struct cred *cred, struct user_namespace *target_ns,
	     const struct user_namespace *capable_ns, int cap, int ret)
{
	struct check c = { target_ns, cap, CAP_OPTS_UNKNOWN };

	return wanted(&c) ? report(ctx, &c, ret, false) : 0;
}
