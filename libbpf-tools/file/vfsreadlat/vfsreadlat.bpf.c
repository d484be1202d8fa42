// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#define CALL_KINDS 1
#include "../call_time.bpf.h"
#include "bpf/hist.bpf.h"
#include "bpf/task_event.bpf.h"
#include "vfsreadlat.h"

const volatile struct vfsreadlat_config cfg = {};
HIST()
HISTS(struct vfsreadlat_key, 32768)

static __always_inline int enter(bool kprobe)
{
	if (filter_current())
		call_enter(0, kprobe);
	return 0;
}

static __always_inline int leave(void)
{
	struct vfsreadlat_key key = {};
	__u64 ns;

	if (!call_leave(0, &ns) || !current_holds(ns))
		return 0;
	if (!cfg.by_process) {
		hist_count(ns, cfg.unit_ns);
		return 0;
	}
	key.pid = current_ids() >> 32;
	bpf_get_current_comm(key.comm, sizeof(key.comm));
	hists_count(&key, ns, cfg.unit_ns);
	return 0;
}

SEC("fentry/vfs_read")
int read_fentry(void *ctx) { return enter(false); }
SEC("fexit/vfs_read")
int read_fexit(void *ctx) { return leave(); }
SEC("kprobe/vfs_read")
int read_kprobe(void *ctx) { return enter(true); }
SEC("kretprobe/vfs_read")
int read_kretp(void *ctx) { return leave(); }
