// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/block.bpf.h"
#include "bpf/event.bpf.h"
/* It is about the array, which others flush than those who asked. */
#define FILTER_ALL_NAMESPACES
#include "bpf/filter.bpf.h"
#include "mdflush.h"

const volatile struct mdflush_config cfg = {};
HASH_MAP(flushing, __u64, struct mdflush_event, 8192);

static __always_inline int flush(void *ctx, struct bio *bio)
{
	struct mdflush_event e = {};
	struct gendisk *disk;
	__u64 key = (__u64)bio;

	if (!filter_current())
		return 0;
	disk = bio_disk(bio);
	if (!asked_for(!cfg.disk || disk_number(disk, false) == cfg.disk))
		return 0;
	task_info_current(&e.task);
	e.bytes = BPF_CORE_READ(bio, bi_iter.bi_size);
	BPF_CORE_READ_STR_INTO(&e.disk, disk, disk_name);
	if (!cfg.latency)
		event_output(ctx, &e, sizeof(e));
	else if (bpf_map_update_elem(&flushing, &key, &e, BPF_ANY))
		count_lost_map();
	return 0;
}

SEC("fentry/%flush")
int BPF_PROG(flush_fentry, void *mddev, struct bio *bio) { return flush(ctx, bio); }
SEC("kprobe/md_flush_request")
int BPF_KPROBE(flush_kprobe, void *mddev, struct bio *bio) { return flush(ctx, bio); }

static __always_inline int done(void *ctx, struct bio *bio)
{
	__u64 key = (__u64)bio;
	struct mdflush_event *e = bpf_map_lookup_elem(&flushing, &key);

	if (!e)
		return 0;
	e->lat_ns = time_since(e->task.time_ns);
	e->status = BPF_CORE_READ(bio, bi_status);
	event_output(ctx, e, sizeof(*e));
	bpf_map_delete_elem(&flushing, &key);
	return 0;
}

SEC("raw_tp/block_bio_complete")
int BPF_PROG(done_raw_tp, struct request_queue *queue, struct bio *bio) { return done(ctx, bio); }
