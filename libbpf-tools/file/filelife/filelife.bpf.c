// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"
#include "bpf/filter.bpf.h"
#include "bpf/mode.bpf.h"
#include "../layers.bpf.h"
#include "../vfs_create.bpf.h"
#include "bpf/path_mount.bpf.h"
#include "filelife.h"

const volatile struct life_config cfg = {};
/* Deletion and rename: one may interrupt the other where the kernel preempts itself. */
EVENT_SCRATCH(struct life_event, 2)

/* LRU: files that nobody deletes make room for new ones. The map does not tell which it forgets, so
 * they are counted: user space makes it larger by what CPUs keep free for themselves, so that it
 * forgets nothing before there are LIFE_BIRTHS. */
__u64 remembered = 0, forgotten = 0;

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, LIFE_BIRTHS);
	__type(key, struct life_key);
	__type(value, struct life_birth);
} births SEC(".maps");

static __always_inline struct life_key life_key(struct inode *inode)
{
	return (struct life_key){ .inode = BPF_CORE_READ(inode, i_ino),
				  .device = BPF_CORE_READ(inode, i_sb, s_dev),
				  .generation = BPF_CORE_READ(inode, i_generation) };
}

static __always_inline void born(struct inode *inode)
{
	struct life_key key = life_key(inode);
	struct life_birth birth = { bpf_ktime_get_ns(), current_ids() >> 32 };

	if (bpf_map_update_elem(&births, &key, &birth, BPF_ANY))
		count_lost_map();
	else if (remembered < LIFE_BIRTHS)
		__sync_fetch_and_add(&remembered, 1);
	else
		__sync_fetch_and_add(&forgotten, 1);
}

/* `dentry` is the name of a file that its file system has deleted. */
static __always_inline int died(void *ctx, __u32 slot, struct dentry *dentry, bool replaced,
				bool typed)
{
	struct inode *inode = BPF_CORE_READ(dentry, d_inode);
	struct life_birth *birth;
	struct life_event *e;
	struct life_key key;
	__u64 size;
	long n;

	if (!inode || BPF_CORE_READ(inode, i_nlink))
		return 0; /* it lives on under another name */
	key = life_key(inode);
	birth = bpf_map_lookup_elem(&births, &key);
	if (!birth) {
		/* Older than the tool, or forgotten: as many deaths as births were are lost. */
		if (forgotten && (BPF_CORE_READ(inode, i_mode) & S_IFMT) == S_IFREG &&
		    (cfg.layers || !is_done_in_layer(dentry)) && filter_current()) {
			__sync_fetch_and_add(&forgotten, -1);
			count_lost_map();
		}
		return 0;
	}
	e = event_scratch(slot);
	if (!e || !filter_current())
		goto out;
	task_info_read(&e->task, typed);
	e->age_ns = time_between(birth->time_ns, e->task.time_ns);
	e->creator = birth->pid;
	e->replaced = replaced;
	if (cfg.full_path) {
		size = path_record_dentry(&e->path, dentry, NULL);
	} else {
		n = bpf_probe_read_kernel_str(e->path.data, PATH_NAME_LEN,
					      BPF_CORE_READ(dentry, d_name.name));
		if (n < 0 || n > PATH_NAME_LEN)
			n = 0;
		e->path.path_len = n;
		e->path.dir_len = 0;
		size = offsetof(struct path_record, data) + n;
	}
	size += offsetof(struct life_event, path);
	if (size <= sizeof(*e))
		event_output(ctx, e, size);
out:
	if (!bpf_map_delete_elem(&births, &key))
		__sync_fetch_and_add(&remembered, -1);
	return 0;
}

/* Each open comes by here, with this flag if it has made the file, whether or not it then succeeds.
 * What atomic_open of a network file system makes too. */
static __always_inline int opened(struct file *file)
{
	if (BPF_CORE_READ(file, f_mode) & FMODE_CREATED)
		born(BPF_CORE_READ(file, f_inode));
	return 0;
}

SEC("fentry/security_file_open")
int BPF_PROG(open_fentry, struct file *file)
{
	return file->f_mode & FMODE_CREATED ? opened(file) : 0;
}
SEC("kprobe/security_file_open")
int BPF_KPROBE(open_kprobe, struct file *file) { return opened(file); }

/* Where a kernel has no security hooks. */
SEC("fexit/vfs_open")
int BPF_PROG(open_fexit, const struct path *path, struct file *file, int ret)
{
	return opened(file);
}

/* Other ways to make a file. */
HASH_MAP(cb_args, __u32, struct dentry *, 1024);

SEC("kprobe/vfs_create")
int BPF_KPROBE(create_kprobe, void *first, struct dentry *second, struct dentry *third)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct dentry *dentry = vfs_create_name(second, third);

	if (cfg.layers || !is_done_in_layer(dentry))
		call_keep(&cb_args, &tid, &dentry);
	return 0;
}

SEC("kretprobe/vfs_create")
int BPF_KRETPROBE(create_return, int ret)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct dentry **dentry = bpf_map_lookup_elem(&cb_args, &tid);
	struct inode *inode;

	if (!dentry)
		return 0;
	inode = BPF_CORE_READ(*dentry, d_inode);
	bpf_map_delete_elem(&cb_args, &tid);
	if (!ret && inode)
		born(inode);
	return 0;
}

/* Called for a name that was deleted, while it still is that of the file, and not where deleting
 * failed. Its arguments are the same on every kernel, those of vfs_unlink() are not. */
SEC("fentry/d_delete")
int BPF_PROG(delete_fentry, struct dentry *dentry)
{
	return died(ctx, 0, dentry, false, true);
}
SEC("kprobe/d_delete")
int BPF_KPROBE(delete_kprobe, struct dentry *dentry)
{
	return died(ctx, 0, dentry, false, false);
}

/* The same of a rename: `target` had the new name until now. */
SEC("fentry/d_move")
int BPF_PROG(move_fentry, struct dentry *dentry, struct dentry *target)
{
	return died(ctx, 1, target, true, true);
}
SEC("kprobe/d_move")
int BPF_KPROBE(move_kprobe, struct dentry *dentry, struct dentry *target)
{
	return died(ctx, 1, target, true, false);
}
