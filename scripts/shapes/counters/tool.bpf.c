// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/counters.bpf.h"
#include "@name@.h"

const volatile struct @name@_config cfg = {};

static __always_inline int count(const struct path *path)
{
	struct dentry *dentry = BPF_CORE_READ(path, dentry);
	bool root = dentry == BPF_CORE_READ(dentry, d_parent);

	if (!counters_wanted())
		return 0;
	if (!cfg.no_roots || !root)
		counters_add(CHANGES, 1);
	if (root)
		counters_add(ROOTS, 1);
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
