// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/filter.bpf.h"
#include "bpf/top.bpf.h"
#include "@name@.h"

const volatile struct @name@_config cfg = {};

TOP(struct @name@_key, struct @name@_stat, 10240)

static __always_inline int count(const struct path *path)
{
	struct dentry *dentry = BPF_CORE_READ(path, dentry);
	struct @name@_key key = {};
	struct @name@_stat *s;
	bool made;

	if (!filter_current())
		return 0;
	if (cfg.no_roots && !asked_for(dentry != BPF_CORE_READ(dentry, d_parent)))
		return 0;
	key.pid = current_ids() >> 32;
	s = top_entry(&key, &made);
	if (!s)
		return 0;
	__sync_fetch_and_add(&s->changes, 1);
	if (made)
		bpf_get_current_comm(s->comm, sizeof(s->comm));
	return 0;
}

SEC("fentry/set_fs_pwd")
int BPF_PROG(chdir_fentry, struct fs_struct *fs, const struct path *path)
{
	return count(path);
}

SEC("kprobe/set_fs_pwd")
int BPF_KPROBE(chdir_kprobe, struct fs_struct *fs, const struct path *path)
{
	return count(path);
}
