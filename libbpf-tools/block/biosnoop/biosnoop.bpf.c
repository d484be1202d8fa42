// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"
#include "bpf/path.bpf.h"

/* Where the file of the request can be seen: a mount of the one who asks for it. */
#define REQUEST_MORE struct vfsmount *mnt;
#include "../request.bpf.h"
#include "../request_file.bpf.h"
#include "../request_kind.bpf.h"
#include "biosnoop.h"

const volatile struct biosnoop_config cfg = {};
EVENT_SCRATCH(struct biosnoop_event, 1)

static __always_inline void request_made(void *ctx, struct request_origin *origin, struct bio *bio)
{
	if (cfg.files)
		origin->mnt = bio_mount(bio, cfg.direct_end);
}

static __always_inline void request_issued(void *ctx, struct request *rq, struct request_start *r)
{
}

static __always_inline void fill(struct biosnoop_request *e, struct request *rq,
				 const struct request_start *r, __u64 now, int error)
{
	e->time_ns = now;
	e->queue_ns = time_between(r->origin.made_ns, r->ns);
	e->lat_ns = time_between(r->ns, now);
	e->sector = r->sector;
	e->bytes = r->bytes;
	e->disk = request_disk_named(rq, true);
	e->flags = (r->flags & REQUEST_FLAGS) | request_kind(r->flags);
	e->error = error;
	e->pid = r->origin.pid;
	e->tid = r->origin.tid;
	e->requeues = r->requeues;
	e->unused = 0;
	__builtin_memcpy(e->comm, r->origin.comm, sizeof(e->comm));
}

static __always_inline void request_done(void *ctx, struct request *rq, struct request_start *r,
					 __u64 now, int error)
{
	if (time_between(r->ns, now) < cfg.min_ns) {
		count_filtered();
		return;
	}
	if (cfg.files) {
		struct biosnoop_event *e = event_scratch(0);
		__u64 size;

		if (!e)
			return;
		fill(&e->request, rq, r, now, error);
		size = offsetof(struct biosnoop_event, path) +
		       bio_path(&e->path, rq->bio, r->origin.mnt, cfg.direct_end);
		barrier_var(size); /* or clang compares another register */
		if (size <= sizeof(*e))
			event_output(ctx, e, size);
	} else {
		struct biosnoop_request e;

		fill(&e, rq, r, now, error);
		event_output(ctx, &e, sizeof(e));
	}
}
