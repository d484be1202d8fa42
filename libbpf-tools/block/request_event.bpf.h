/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* --where of tools that count requests: request_holds() where they count one. 5.10+. */
#pragma once
#include "bpf/where.bpf.h"
#include "request_event.h"
#include "request_kind.bpf.h"

static __always_inline void request_event_fill(struct request_event *e, struct request *rq,
					       bool direct)
{
	struct gendisk *disk = request_gendisk(rq, direct);

	__builtin_memset(e, 0, sizeof(*e));
	e->sector = READ_FIELD(direct, rq, __sector);
	e->bytes = READ_FIELD(direct, rq, __data_len);
	e->kind = request_kind(READ_FIELD(direct, rq, cmd_flags));
	bpf_probe_read_kernel(e->disk, sizeof(e->disk),
			      (void *)disk + bpf_core_field_offset(struct gendisk, disk_name));
}

/* Of a tool that knows the request only. */
static __always_inline bool request_holds(struct request *rq, bool direct, __u64 ns)
{
	struct request_event e;

	if (!cb_where_on)
		return true;
	request_event_fill(&e, rq, direct);
	e.lat_ns = ns;
	return where_holds(NULL, &e, sizeof(e));
}

#ifdef REQUEST_MORE
/* The same with who asked for it (request.bpf.h), for request_done(). */
static __always_inline bool request_of_holds(struct request *rq, const struct request_start *r,
					     __u64 ns)
{
	struct request_event e;

	if (!cb_where_on)
		return true;
	request_event_fill(&e, rq, true);
	e.lat_ns = ns;
	e.sector = r->sector;
	e.bytes = r->bytes;
	e.kind = request_kind(r->flags);
	e.pid = r->origin.pid;
	e.tid = r->origin.tid;
	__builtin_memcpy(e.comm, r->origin.comm, sizeof(e.comm));
	return where_holds(NULL, &e, sizeof(e));
}
#endif
