// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/filter.bpf.h"
#include "bpf/stacks.bpf.h"
#include "@name@.h"

const volatile struct @name@_config cfg = {};

static __always_inline int count(void *ctx, const struct path *path)
{
	struct stack_key key = {};
	struct dentry *dentry = BPF_CORE_READ(path, dentry);

	if (!filter_current())
		return 0;
	if (cfg.no_roots && !asked_for(dentry != BPF_CORE_READ(dentry, d_parent)))
		return 0;
	bpf_get_current_comm(key.comm, sizeof(key.comm));
	key.pid = current_ids() >> 32;
	take_stacks(ctx, &key);
	stack_add(&key, 0);
	return 0;
}

SEC("fentry/set_fs_pwd")
int BPF_PROG(chdir_fentry, struct fs_struct *fs, const struct path *path)
{
	return count(ctx, path);
}

SEC("kprobe/set_fs_pwd")
int BPF_KPROBE(chdir_kprobe, struct fs_struct *fs, const struct path *path)
{
	return count(ctx, path);
}
