/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Including this file gives a tool the task filter and with it its options: user space finds
 * rodata->cb_filter. Test the task that the event is about: filter_current() where that is the
 * running one, filter_task() where it is not (the woken task, the issuer). 5.10+.
 *
 * In a container what tasks outside its PID namespace do is filtered: they have no number in it, and
 * would all look as one. A tool whose event is about something else than the running task, and which
 * does not tell tasks apart by number, defines FILTER_ALL_NAMESPACES before the include. */
#pragma once
#include "bpf/task.bpf.h"

/* FILTER_KEY(kind, id) of every listed process and thread (value 0) and of the traced command's tree
 * (when the process began; 0: the command itself, which user space put in). Where the tool is in a PID
 * namespace also, for each process of the tree, its signal_struct with its id: no address in the
 * kernel is as small as a FILTER_KEY. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FILTER_IDS); /* not BPF_F_NO_PREALLOC: 5.10 warns of it, or refuses it */
	__type(key, __u64);
	__type(value, __u64);
} cb_filter_ids SEC(".maps");

/* Pinned by the user (BCC's --cgroupmap, --mntnsmap); user space puts the pinned maps in place. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, __u64);
} cb_cgroup_map SEC(".maps"), cb_mntns_map SEC(".maps");

/* --cgroup. A directory that is removed and made again (systemd does so with each start of a unit) is
 * another cgroup of the same path: cb_cgroup_mkdir puts its id in. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CGROUP_MAX_DEPTH);
	__type(key, __u32);
	__type(value, struct filter_cgroup);
} cb_cgroup_path SEC(".maps");

/* v5.10 keeps the ids of a cgroup's ancestors, 7f203bc89eb6 (v6.1) their pointers. */
struct cgroup___pre_v6_1 {
	__u64 ancestor_ids[1];
} __attribute__((preserve_access_index));

struct cgroup___v6_1 {
	struct cgroup *ancestors[1];
} __attribute__((preserve_access_index));

static __noinline __u64 cgroup_ancestor(struct cgroup *cgroup, int level)
{
	struct cgroup___v6_1 *now = (void *)cgroup;
	struct cgroup___pre_v6_1 *old = (void *)cgroup;
	struct cgroup *ancestor = NULL;
	__u64 id = 0;

	if (bpf_core_field_exists(now->ancestors)) {
		bpf_probe_read_kernel(&ancestor, sizeof(ancestor),
				      (void *)now + bpf_core_field_offset(now->ancestors) +
					      level * sizeof(ancestor));
		return BPF_CORE_READ(ancestor, kn, id);
	}
	bpf_probe_read_kernel(&id, sizeof(id),
			      (void *)old + bpf_core_field_offset(old->ancestor_ids) +
				      level * sizeof(id));
	return id;
}

static __noinline bool task_in_cgroup(struct task_struct *task)
{
	struct cgroup *cgroup = BPF_CORE_READ(task, cgroups, dfl_cgrp);
	int depth = BPF_CORE_READ(cgroup, level);
	__u32 traced = 0;
	struct filter_cgroup *path = bpf_map_lookup_elem(&cb_cgroup_path, &traced);
	__u64 id;

	if (!path)
		return false;
	id = path->id;
	for (int level = 0; level < CGROUP_MAX_DEPTH; level++) {
		if (level > depth)
			return false;
		if (cgroup_ancestor(cgroup, level) == id)
			return true;
	}
	return false;
}

static __always_inline __u64 *filter_listed(enum filter_kind kind, __u32 id)
{
	__u64 key = FILTER_KEY(kind, id);

	return bpf_map_lookup_elem(&cb_filter_ids, &key);
}

/* When a process began; `task` is any of its threads. exec by another thread keeps the time, as it
 * keeps the number (de_thread()). */
static __noinline __u64 process_start(struct task_struct *task)
{
	return BPF_CORE_READ(task, group_leader, start_time);
}

/* The kernel uses a number again once its task is gone. A task that began after the filter was made
 * is not the one that the user named, whatever its number. NULL: the running task. */
static __noinline bool filter_was_there(struct task_struct *task)
{
	__u64 start;

	if (!task && HAS_HELPER(get_current_task_btf)) {
		struct task_struct *current = bpf_get_current_task_btf();

		start = cb_filter.by_thread ? current->start_time :
					      current->group_leader->start_time;
	} else {
		if (!task)
			task = (void *)bpf_get_current_task();
		start = cb_filter.by_thread ? BPF_CORE_READ(task, start_time) : process_start(task);
	}
	return start <= cb_filter.since_ns;
}

/* Whether the task is of the traced command's tree. */
static __noinline bool filter_in_tree(struct task_struct *task, __u32 tgid)
{
	__u64 *kept = filter_listed(FILTER_TREE, tgid), start;

	if (!kept)
		return false;
	start = process_start(task ? task : (void *)bpf_get_current_task());
	return *kept ? *kept == start : start <= cb_filter.since_ns;
}

static __always_inline bool filter_comm(const char *comm)
{
	for (int i = 0; i < COMM_LEN; i++) {
		if (comm[i] != cb_filter.comm[i])
			return false;
		if (!comm[i])
			break;
	}
	return true;
}

/* The restrictions that need the task_struct. */
static __noinline bool filter_by_task(struct task_struct *task)
{
	if (cb_filter.by_cgroup && !task_in_cgroup(task))
		return false;
	if (cb_filter.ppid && (cb_filter.ppid != task_ppid(task) ||
			       process_start(BPF_CORE_READ(task, real_parent)) > cb_filter.since_ns))
		return false;
	if (cb_filter.by_cgroup_map) {
		__u64 id = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);

		if (!bpf_map_lookup_elem(&cb_cgroup_map, &id))
			return false;
	}
	if (cb_filter.by_mntns_map) {
		__u64 id = BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);

		if (!bpf_map_lookup_elem(&cb_mntns_map, &id))
			return false;
	}
	return true;
}

static __noinline bool filter_by_lists(struct task_struct *task, __u64 ids)
{
	if (cb_filter.by_pid_list && !filter_listed(FILTER_PID, ids >> 32))
		return false;
	if (cb_filter.by_tid_list && !filter_listed(FILTER_TID, (__u32)ids))
		return false;
	return !cb_filter.by_tree || filter_in_tree(task, ids >> 32);
}

/* `ids` are those of the task; NULL: the running one. */
static __always_inline bool filter_by_ids(struct task_struct *task, __u64 ids)
{
	if (!cb_filter.by_ids)
		return true;
	if (cb_filter.pid && cb_filter.pid != ids >> 32)
		return false;
	if (cb_filter.tid && cb_filter.tid != (__u32)ids)
		return false;
	if ((cb_filter.by_pid_list || cb_filter.by_tid_list || cb_filter.by_tree) &&
	    !filter_by_lists(task, ids))
		return false;
	return !(cb_filter.by_process || cb_filter.by_thread) || filter_was_there(task);
}

/* Not so the idle tasks, which have no number anywhere. */
static __always_inline bool filter_is_outside(__u64 ids)
{
#ifdef FILTER_ALL_NAMESPACES
	return false;
#else
	return cb_filter.pidns && !ids;
#endif
}

static __always_inline bool filter_current_outside(__u64 ids)
{
	return filter_is_outside(ids) && (__u32)bpf_get_current_pid_tgid();
}

static __always_inline bool filter_task_outside(struct task_struct *task, __u64 ids)
{
	return filter_is_outside(ids) && BPF_CORE_READ(task, pid);
}

static __noinline bool filter_current_comm(void)
{
	char comm[COMM_LEN];

	bpf_get_current_comm(comm, sizeof(comm));
	return filter_comm(comm);
}

static __noinline bool filter_task_comm(struct task_struct *task)
{
	char comm[COMM_LEN];

	BPF_CORE_READ_STR_INTO(&comm, task, comm);
	return filter_comm(comm);
}

static __always_inline bool filter_needs_task(void)
{
	return cb_filter.by_cgroup || cb_filter.ppid || cb_filter.by_cgroup_map ||
	       cb_filter.by_mntns_map;
}

/* Whether the running task is traced. What is not is counted, the tool itself excepted. */
static __always_inline bool filter_current(void)
{
	__u64 ids;

	/* The verifier drops one block instead of a branch for each test. */
	if (!cb_filter.any) /* nor is there a PID namespace */
		return bpf_get_current_pid_tgid() >> 32 != cb_filter.self;
	ids = current_ids();
	if (ids >> 32 == cb_filter.self)
		return false;
	if (!filter_by_ids(NULL, ids) || filter_current_outside(ids))
		goto filtered;
	if (cb_filter.by_uid && cb_filter.uid != (__u32)bpf_get_current_uid_gid())
		goto filtered;
	if (cb_filter.comm[0] && !filter_current_comm())
		goto filtered;
	if (filter_needs_task() &&
	    !filter_by_task((struct task_struct *)bpf_get_current_task()))
		goto filtered;
	return true;
filtered:
	count_filtered();
	return false;
}

/* The same. `typed`, a constant: the program may read the running task (bpf/task.bpf.h), which costs
 * half of asking for its numbers. */
static __always_inline bool filter_running(bool typed)
{
	if (typed && HAS_HELPER(get_current_task_btf) && !cb_filter.any)
		return (__u32)bpf_get_current_task_btf()->tgid != cb_filter.self;
	return filter_current();
}

/* The same for any task; does not count, since a tool may ask twice for one event. */
static __always_inline bool filter_task(struct task_struct *task)
{
	__u64 ids = task_ids(task);

	if (ids >> 32 == cb_filter.self)
		return false;
	if (!cb_filter.any)
		return true;
	if (!filter_by_ids(task, ids) || filter_task_outside(task, ids))
		return false;
	if (cb_filter.by_uid && cb_filter.uid != BPF_CORE_READ(task, cred, uid.val))
		return false;
	if (cb_filter.comm[0] && !filter_task_comm(task))
		return false;
	return !filter_needs_task() || filter_by_task(task);
}

/* `-- command`: its process is put into the map before it runs; its children follow here.
 * raw_tp: same arguments on every kernel, and no BTF needed. Loaded with by_tree only. */
SEC("raw_tp/sched_process_fork")
int cb_tree_fork(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *parent = (void *)ctx->args[0], *child = (void *)ctx->args[1];
	__u64 tgid = task_tgid(child), key = FILTER_KEY(FILTER_TREE, tgid);
	__u64 start = process_start(child);

	if (!filter_in_tree(parent, task_tgid(parent)))
		return 0;
	if (bpf_map_update_elem(&cb_filter_ids, &key, &start, BPF_ANY))
		count_lost_map();
	if (cb_filter.pidns) {
		key = (__u64)BPF_CORE_READ(child, signal);
		if (bpf_map_update_elem(&cb_filter_ids, &key, &tgid, BPF_ANY))
			count_lost_map();
	}
	return 0;
}

SEC("raw_tp/sched_process_free")
int cb_tree_free(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)ctx->args[0];
	__u32 tgid = BPF_CORE_READ(task, tgid);
	__u64 key, *kept;

	/* A thread's end is not the process's; the leader is freed last or was replaced by exec. */
	if ((__u32)BPF_CORE_READ(task, pid) != tgid)
		return 0;
	/* release_task() took its ids in namespaces; not earlier, since a process that ends still does
	 * much. Its signal_struct goes with its last task. */
	if (cb_filter.pidns) {
		key = (__u64)BPF_CORE_READ(task, signal);
		kept = bpf_map_lookup_elem(&cb_filter_ids, &key);
		if (!kept)
			return 0;
		tgid = *kept;
		bpf_map_delete_elem(&cb_filter_ids, &key);
	}
	/* This comes some time after release_task() (delayed_put_task_struct()): another process of the
	 * tree may have the number by now. */
	kept = filter_listed(FILTER_TREE, tgid);
	if (!kept || (*kept && *kept != BPF_CORE_READ(task, start_time)))
		return 0;
	key = FILTER_KEY(FILTER_TREE, tgid);
	bpf_map_delete_elem(&cb_filter_ids, &key);
	return 0;
}

static __noinline bool cgroup_has_name(struct cgroup *cgroup, const char *name)
{
	char own[CGROUP_NAME_LEN];

	if (bpf_probe_read_kernel_str(own, sizeof(own), BPF_CORE_READ(cgroup, kn, name)) < 0)
		return false;
	for (int i = 0; i < CGROUP_NAME_LEN; i++) {
		if (own[i] != name[i])
			return false;
		if (!own[i])
			break;
	}
	return true;
}

/* Runs before anything can enter the new cgroup: user space sees its directory later
 * (kernfs_activate() in cgroup_mkdir()). Loaded with by_cgroup only. */
SEC("raw_tp/cgroup_mkdir")
int cb_cgroup_mkdir(struct bpf_raw_tracepoint_args *ctx)
{
	struct cgroup *cgroup = (void *)ctx->args[0];
	int level = BPF_CORE_READ(cgroup, level);
	struct filter_cgroup *part, *above;
	__u64 parent;

	/* Version 2 is the hierarchy with number 0. */
	if (level < 1 || level > CGROUP_MAX_DEPTH || BPF_CORE_READ(cgroup, root, hierarchy_id))
		return 0;
	parent = cgroup_ancestor(cgroup, level - 1);
	for (int i = 0; i < CGROUP_MAX_DEPTH - 1; i++) {
		__u32 at = i, up = i + 1; /* not `i` itself: what lies on the stack has no bounds */

		part = bpf_map_lookup_elem(&cb_cgroup_path, &at);
		above = bpf_map_lookup_elem(&cb_cgroup_path, &up);
		if (!part || !above || above->id != parent)
			continue;
		if (cgroup_has_name(cgroup, part->name))
			part->id = BPF_CORE_READ(cgroup, kn, id);
		break;
	}
	return 0;
}
