// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "../disk.bpf.h"
#include "../request_event.bpf.h"
#include "biopattern.h"

#define FIRST_COMMAND 32 /* REQ_OP_SCSI_IN, REQ_OP_DRV_IN and above: no sector */
#define REQUEST_OP_FLUSH 2

HASH_MAP(cb_disks, __u32, struct biopattern_disk, 4096);

static __always_inline struct biopattern_disk *find_disk(__u32 number)
{
	static const struct biopattern_disk zero;

	return find_or_insert(&cb_disks, &number, &zero);
}

/* In the order in which the driver gets the requests. They complete in another when several are
 * under way, which says nothing of how they were asked for. */
static __always_inline int issue(void *ctx, bool direct)
{
	struct request *rq = request_argument(ctx);
	__u32 op = READ_FIELD(direct, rq, cmd_flags) & REQUEST_OP_MASK;
	__u32 bytes = READ_FIELD(direct, rq, __data_len);
	struct biopattern_disk *disk;
	__u64 sector, end;

	/* Has no place on the disk: it neither follows another nor is another's predecessor. */
	if (!bytes || op == REQUEST_OP_FLUSH || op >= FIRST_COMMAND)
		return 0;
	if (request_comes_again(rq, direct))
		return 0;
	if (!asked_for(request_is_on_disk(rq, direct)))
		return 0;
	if (!request_holds(rq, direct, 0))
		return 0;
	sector = READ_FIELD(direct, rq, __sector);
	disk = find_disk(request_disk_named(rq, direct));
	if (!disk)
		return 0;
	end = disk->end;
	disk->end = sector + (bytes >> 9);
	__sync_fetch_and_add(&disk->bytes, bytes);
	if (!end)
		__sync_fetch_and_add(&disk->first, 1);
	else if (end == sector)
		__sync_fetch_and_add(&disk->sequential, 1);
	else
		__sync_fetch_and_add(&disk->random, 1);
	return 0;
}

SEC("tp_btf/block_rq_issue")
int issue_tp_btf(__u64 *ctx)
{
	return issue(ctx, true);
}

SEC("raw_tp/block_rq_issue")
int issue_raw_tp(__u64 *ctx)
{
	return issue(ctx, false);
}
