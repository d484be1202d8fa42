// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"
#include "bpf/filter.bpf.h"
#include "@name@.h"

const volatile struct @name@_config cfg = {};

static __always_inline int report(void *ctx, const struct path *path)
{
	struct @name@_event e = {};
	struct dentry *dentry = BPF_CORE_READ(path, dentry);

	if (!filter_current())
		return 0;
	if (cfg.no_roots && !asked_for(dentry != BPF_CORE_READ(dentry, d_parent)))
		return 0;
	task_info_current(&e.task);
	bpf_probe_read_kernel_str(e.dir, sizeof(e.dir), BPF_CORE_READ(dentry, d_name.name));
	event_output(ctx, &e, sizeof(e));
	return 0;
}

SEC("fentry/set_fs_pwd")
int BPF_PROG(chdir_fentry, struct fs_struct *fs, const struct path *path)
{
	return report(ctx, path);
}

SEC("kprobe/set_fs_pwd")
int BPF_KPROBE(chdir_kprobe, struct fs_struct *fs, const struct path *path)
{
	return report(ctx, path);
}
