// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "../transfer.bpf.h"
#include "bpf/mode.bpf.h"
#include "bpf/task_event.bpf.h"
#include "bpf/top.bpf.h"
#include "filetop.h"

const volatile struct filetop_config cfg = {};
TOP(struct file_key, struct file_stat, 16384)

/* On the stack: another program may come in between on this CPU. */
static __noinline int holds(struct file *file, long ret, bool write, __u32 mode)
{
	struct filetop_event e = { .bytes = ret, .mode = mode, .write = write };

	task_event_current(&e.task, 0);
	e.inode = BPF_CORE_READ(file, f_inode, i_ino);
	bpf_probe_read_kernel_str(e.name, sizeof(e.name),
				  BPF_CORE_READ(file, f_path.dentry, d_name.name));
	return where_holds(NULL, &e, sizeof(e));
}

/* Counts a call that moved `ret` bytes, or failed. */
static __always_inline void transferred(struct file *file, long ret, bool write, bool direct)
{
	struct inode *inode = READ_FIELD(direct, file, f_inode);
	__u64 ids = current_ids();
	struct file_key key = { .tid = ids };
	struct file_stat *s;
	__u32 mode;
	bool made;

	mode = READ_FIELD(direct, inode, i_mode);
	if (!asked_for(cfg.all_types || (mode & S_IFMT) == S_IFREG))
		return;
	if (cfg.by_dir) {
		struct dentry *dentry = READ_FIELD(direct, file, f_path.dentry);
		struct dentry *parent = READ_FIELD(direct, dentry, d_parent);
		struct inode *dir = READ_FIELD(direct, parent, d_inode);
		struct super_block *sb = READ_FIELD(direct, dir, i_sb);

		if (!asked_for(READ_FIELD(direct, dir, i_ino) == cfg.dir_inode &&
			       READ_FIELD(direct, sb, s_dev) == cfg.dir_dev))
			return;
	}
	if (cb_where_on && !holds(file, ret, write, mode))
		return;
	key.inode = READ_FIELD(direct, inode, i_ino);
	{
		struct super_block *sb = READ_FIELD(direct, inode, i_sb);

		key.dev = READ_FIELD(direct, sb, s_dev);
	}
	s = top_entry(&key, &made);
	if (!s)
		return;
	transfer_add(&s->sums, ret, write);
	if (!made)
		return;
	s->pid = ids >> 32;
	s->mode = mode;
	bpf_get_current_comm(s->comm, sizeof(s->comm));
	bpf_probe_read_kernel_str(s->name, sizeof(s->name),
				  BPF_CORE_READ(file, f_path.dentry, d_name.name));
}
