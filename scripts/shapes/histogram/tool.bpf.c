// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/filter.bpf.h"
#include "bpf/hist.bpf.h"
#include "@name@.h"

const volatile struct @name@_config cfg = {};

HISTS(struct @name@_key, 8192)

static __always_inline int count(const struct path *path)
{
	struct @name@_key key = {};
	struct dentry *dentry = BPF_CORE_READ(path, dentry);

	if (!filter_current())
		return 0;
	if (cfg.no_roots && !asked_for(dentry != BPF_CORE_READ(dentry, d_parent)))
		return 0;
	bpf_get_current_comm(key.comm, sizeof(key.comm));
	hists_count(&key, BPF_CORE_READ(dentry, d_name.len), 1);
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
