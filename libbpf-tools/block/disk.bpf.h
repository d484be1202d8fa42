/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which disks' requests count, and what disks are called: a disk may be gone when a report shows its
 * name, and the paths of a multipath NVMe namespace are hidden, with a number that sysfs does not
 * have (GENHD_FL_HIDDEN). 5.10+. */
#pragma once
#include "bpf/block.bpf.h"
#include "disk.h"

const volatile struct disk_filter cb_disk = {};

HASH_MAP(cb_disk_notes, __u32, struct disk_note, 1024); /* by number */

/* The ids of disks that have a note, by a hash of their number. One that has to share its place with
 * another is looked up each time. */
#define KNOWN_DISKS_BITS 8
#define KNOWN_DISK(number) ((number) * 0x9e3779b1 >> (32 - KNOWN_DISKS_BITS)) /* Fibonacci */
__u64 cb_known_disks[1 << KNOWN_DISKS_BITS];

/* Whether a disk's name, in map memory, is the filter's. */
static __always_inline bool disk_name_is_wanted(const char *name)
{
	enum { FIRST, DIGITS, LAST } state = FIRST;
	__u32 last = 0;

	for (int i = 0; i < DISK_NAME_LEN; i++) {
		if (state == FIRST && (!cb_disk.numbered || cb_disk.first[i])) {
			if (name[i] != cb_disk.first[i])
				return false;
			if (!name[i])
				return true;
			continue;
		}
		if (state != LAST && name[i] >= '0' && name[i] <= '9') {
			state = DIGITS;
			continue;
		}
		if (state == FIRST)
			return false;
		state = LAST;
		if (last >= DISK_NAME_LEN || name[i] != cb_disk.last[last])
			return false;
		if (!name[i])
			return true;
		last++;
	}
	return false;
}

/* Not inlined, and with numbers: see flush_for() in request.bpf.h. Whether the name is wanted. */
static __noinline bool disk_look_up(__u64 disk, __u64 id, __u32 number)
{
	struct disk_note *known = bpf_map_lookup_elem(&cb_disk_notes, &number), note = {};

	if (known && known->id == id)
		return known->wanted;
	bpf_probe_read_kernel(note.name, sizeof(note.name),
			      (void *)disk + bpf_core_field_offset(struct gendisk, disk_name));
	bpf_map_update_elem(&cb_disk_notes, &number, &note, BPF_ANY);
	known = bpf_map_lookup_elem(&cb_disk_notes, &number);
	if (!known)
		return false;
	known->wanted = cb_disk.by_name && disk_name_is_wanted(known->name);
	known->id = id; /* last: until then others look for themselves */
	cb_known_disks[KNOWN_DISK(number)] = id;
	return known->wanted;
}

/* A number that no other disk ever gets. 6.1 has it; on 5.10 the address has to do. */
static __always_inline __u64 disk_id(struct gendisk *disk, bool direct)
{
	if (bpf_core_field_exists(disk->diskseq))
		return READ_FIELD(direct, disk, diskseq);
	return (__u64)disk;
}

/* The number of the request's disk, major << 20 | minor, for a report that shows its name, which is
 * noted at the first request; 0: it has none (any more). */
static __always_inline __u32 request_disk_named(struct request *rq, bool direct)
{
	struct gendisk *disk = request_gendisk(rq, direct);
	__u32 number;
	__u64 id;

	if (!disk)
		return 0;
	number = disk_number(disk, direct);
	id = disk_id(disk, direct);
	if (cb_known_disks[KNOWN_DISK(number)] != id)
		disk_look_up((__u64)disk, id, number);
	return number;
}

/* Whether it is on the disk that is asked for, and in the range of the partition. */
static __always_inline bool request_is_on_disk(struct request *rq, bool direct)
{
	if (cb_disk.by_name || cb_disk.device) {
		struct gendisk *disk = request_gendisk(rq, direct);
		__u32 number;

		if (!disk)
			return false;
		number = disk_number(disk, direct);
		if (cb_disk.by_name ?
			    !disk_look_up((__u64)disk, disk_id(disk, direct), number) :
			    number != cb_disk.device)
			return false;
	}
	return !cb_disk.sectors ||
	       READ_FIELD(direct, rq, __sector) - cb_disk.first_sector < cb_disk.sectors;
}
