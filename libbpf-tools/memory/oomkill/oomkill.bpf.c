// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/cgroup_note.bpf.h"
#include "bpf/event.bpf.h"
#include "bpf/event_stacks.bpf.h"
#include "bpf/filter.bpf.h"
#include "oomkill.h"

const volatile struct oomkill_config cfg = {};

EVENT_SCRATCH(struct oomkill_event, 1)

/* What is under way. The kernel holds oom_lock from out_of_memory() to the last kill, so there is one. */
struct oom_control *oom_now = NULL;
struct signal_struct *oom_first = NULL; /* the process that was killed first; not yet: NULL */

/* f1a7941243c1 (v6.2) made counters of CPUs of them. */
struct mm_rss_stat___pre_v6_2 {
	atomic_long_t count[4];
} __attribute__((preserve_access_index));
struct mm_struct___pre_v6_2 {
	struct mm_rss_stat___pre_v6_2 rss_stat;
} __attribute__((preserve_access_index));

/* What the kernel log shows, too: what CPUs have not added yet is missing. */
static __always_inline __u64 rss_bytes(struct mm_struct *mm, __u32 counter)
{
	struct mm_struct___pre_v6_2 *old = (void *)mm;
	__s64 pages = 0;

	if (bpf_core_field_exists(old->rss_stat.count))
		bpf_probe_read_kernel(&pages, sizeof(pages),
				      (void *)old + bpf_core_field_offset(old->rss_stat.count) +
					      counter * sizeof(pages));
	else
		bpf_probe_read_kernel(&pages, sizeof(pages),
				      (void *)mm + bpf_core_field_offset(mm->rss_stat) +
					      counter * bpf_core_type_size(struct percpu_counter) +
					      bpf_core_field_offset(struct percpu_counter, count));
	return pages > 0 ? pages * cfg.page_bytes : 0;
}

/* Of the hierarchy that limits memory: on a host with version 1 that is one of its own. */
static __always_inline struct kernfs_node *memory_cgroup(struct task_struct *task)
{
	struct css_set *set = BPF_CORE_READ(task, cgroups);
	struct cgroup_subsys_state *state = NULL;
	__u64 id = bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id);

	bpf_probe_read_kernel(&state, sizeof(state),
			      (void *)set + bpf_core_field_offset(set->subsys) + id * sizeof(state));
	return BPF_CORE_READ(state, cgroup, kn);
}

static __always_inline int killed(void *ctx, struct oom_control *oc, struct task_struct *victim,
				  bool chosen)
{
	struct oomkill_event *e = event_scratch(0);
	struct mm_struct *mm;
	__u64 size;

	if (!e || !asked_for(filter_task(victim)))
		return 0;
	__builtin_memset(e, 0, offsetof(struct oomkill_event, cgroup));
	task_info_current(&e->trigger);
	e->pid = task_tgid(victim);
	e->uid = BPF_CORE_READ(victim, cred, uid.val);
	e->score_adj = BPF_CORE_READ(victim, signal, oom_score_adj);
	comm_of(victim, e->comm, false);
	mm = BPF_CORE_READ(victim, mm);
	e->total_vm = BPF_CORE_READ(mm, total_vm) * cfg.page_bytes;
	e->file = rss_bytes(mm, MM_FILEPAGES);
	e->anon = rss_bytes(mm, MM_ANONPAGES);
	e->swap = rss_bytes(mm, MM_SWAPENTS);
	e->shmem = rss_bytes(mm, MM_SHMEMPAGES);
	e->page_tables = BPF_CORE_READ(mm, pgtables_bytes.counter);
	e->gfp = BPF_CORE_READ(oc, gfp_mask);
	e->order = BPF_CORE_READ(oc, order);
	e->scope = BPF_CORE_READ(oc, constraint);
	e->pages = BPF_CORE_READ(oc, totalpages);
	e->chosen = chosen;
	if (chosen)
		e->points = BPF_CORE_READ(oc, chosen_points);
	e->cgroup.used = 0;
	e->limit.used = 0;
	cgroup_note_fill(&e->cgroup, memory_cgroup(victim));
	if (e->scope == OOM_SCOPE_CGROUP)
		cgroup_note_fill(&e->limit, BPF_CORE_READ(oc, memcg, css.cgroup, kn));
	size = offsetof(struct oomkill_event, stacks) + event_stacks_fill(ctx, &e->stacks);
	if (size <= sizeof(*e))
		event_output(ctx, e, size);
	return 0;
}

static __always_inline int begin(struct oom_control *oc)
{
	oom_now = oc;
	oom_first = NULL;
	return 0;
}

/* Called for the chosen process and, of a cgroup that is killed as a whole, for each of its processes:
 * for the chosen one again. */
static __always_inline int victim(void *ctx, struct task_struct *task)
{
	struct signal_struct *process = BPF_CORE_READ(task, signal), *first = oom_first;
	struct oom_control *oc = oom_now;

	if (!oc || first == process)
		return 0;
	if (!first)
		oom_first = process;
	return killed(ctx, oc, task, !first);
}

SEC("fentry/oom_kill_process")
int BPF_PROG(begin_fentry, struct oom_control *oc) { return begin(oc); }
SEC("fentry/__oom_kill_process")
int BPF_PROG(victim_fentry, struct task_struct *task) { return victim(ctx, task); }

SEC("kprobe/oom_kill_process")
int BPF_KPROBE(begin_kprobe, struct oom_control *oc) { return begin(oc); }
SEC("kprobe/__oom_kill_process")
int BPF_KPROBE(victim_kprobe, struct task_struct *task) { return victim(ctx, task); }

/* Where the compiler has inlined the other. */
SEC("kprobe/oom_kill_process")
int BPF_KPROBE(chosen_kprobe, struct oom_control *oc)
{
	return killed(ctx, oc, BPF_CORE_READ(oc, chosen), true);
}
