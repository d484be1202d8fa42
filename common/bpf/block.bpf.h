/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Block layer: what changed between kernels, each in one place. 5.10+.
 *
 * `direct`: the request came as an argument of a tp_btf program and may be read as it is; the
 * pointers of raw_tp programs may not. It has to be a constant. */
#pragma once
#include "bpf/core.bpf.h"

/* Which argument of block_rq_insert, issue, merge and requeue is the request: the first since
 * a54895fa057c (v5.11, and stable 5.10.137), before that the second. block_rq_complete has it first
 * everywhere. User space asks the kernel's BTF. */
const volatile __u32 cb_request_arg = 0;

/* In assembly, since clang would make one load of the two, from an address that it computes, which
 * the verifier does not allow in a context. */
static __always_inline struct request *request_argument(void *ctx)
{
	struct request *rq;

	if (cb_request_arg)
		asm volatile("%0 = *(u64 *)(%1 + 8)" : "=r"(rq) : "r"(ctx));
	else
		asm volatile("%0 = *(u64 *)(%1 + 0)" : "=r"(rq) : "r"(ctx));
	return rq;
}

/* f3fa33acca9f (v5.16) moved request.rq_disk to request.q->disk. */
struct request___pre_v5_16 {
	struct gendisk *rq_disk;
} __attribute__((preserve_access_index));

/* The whole disk, NULL if it has none (any more). */
static __always_inline struct gendisk *request_gendisk(struct request *rq, bool direct)
{
	struct request___pre_v5_16 *old = (void *)rq;
	struct gendisk *disk;

	if (bpf_core_field_exists(old->rq_disk)) {
		disk = READ_FIELD(direct, old, rq_disk);
		barrier_var(disk); /* or clang makes one load, from an address it computes */
	} else {
		struct request_queue *queue = READ_FIELD(direct, rq, q);

		disk = READ_FIELD(direct, queue, disk);
		barrier_var(disk);
	}
	return disk;
}

/* major << 20 | minor */
static __always_inline __u32 disk_number(struct gendisk *disk, bool direct)
{
	return (__u32)READ_FIELD(direct, disk, major) << 20 |
	       READ_FIELD(direct, disk, first_minor);
}

/* At its issue: it comes again, since the driver had no room for it or has done a part of it only.
 * blk_mq_start_request() tells of the issue and then sets the deadline, which a new request does not
 * have. */
static __always_inline bool request_comes_again(struct request *rq, bool direct)
{
	return READ_FIELD(direct, rq, deadline);
}

/* 309dca309fc3 (v5.12) moved bio.bi_disk to bio.bi_bdev->bd_disk. */
struct bio___pre_v5_12 {
	struct gendisk *bi_disk;
} __attribute__((preserve_access_index));

/* The whole disk of a bio, for any kind of program. */
static __always_inline struct gendisk *bio_disk(struct bio *bio)
{
	struct bio___pre_v5_12 *old = (void *)bio;

	if (bpf_core_field_exists(old->bi_disk))
		return BPF_CORE_READ(old, bi_disk);
	return BPF_CORE_READ(bio, bi_bdev, bd_disk);
}

#define REQUEST_OP_MASK 0xff /* REQ_OP_BITS, linux/blk_types.h */

/* REQ_OP_... numbers moved (zone operations), and `enum req_opf` became req_op (342a72a33407,
 * v6.0): the kernel's own BTF tells. False where the kernel has no such operation. */
#define REQUEST_OP_IS(op, name)                                                      \
	(bpf_core_enum_value_exists(enum req_op, name) ?                             \
		 (op) == bpf_core_enum_value(enum req_op, name) :                    \
		 bpf_core_enum_value_exists(enum req_opf, name##___old) &&           \
			 (op) == bpf_core_enum_value(enum req_opf, name##___old))

enum req_opf {
	REQ_OP_SECURE_ERASE___old = 5,
	REQ_OP_WRITE_SAME___old = 7,
	REQ_OP_WRITE_ZEROES___old = 9,
	REQ_OP_ZONE_OPEN___old = 10,
	REQ_OP_ZONE_CLOSE___old = 11,
	REQ_OP_ZONE_FINISH___old = 12,
	REQ_OP_ZONE_APPEND___old = 13,
	REQ_OP_ZONE_RESET___old = 15,
	REQ_OP_ZONE_RESET_ALL___old = 17,
	REQ_OP_SCSI_IN___old = 32,
	REQ_OP_SCSI_OUT___old = 33,
	REQ_OP_DRV_IN___old = 34,
	REQ_OP_DRV_OUT___old = 35,
};
