// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/core.bpf.h"
#include "bpf/top.bpf.h"
#include "virtiostat.h"

#define MAX_LISTS 32     /* of one buffer; drivers have up to a dozen */
#define MAX_ENTRIES 8192 /* of a list */
#define PART_ENTRIES 32  /* without bpf_loop() the verifier walks each of a loop */

#define SG_CHAIN 1ull /* linux/scatterlist.h: bits of page_link */
#define SG_END 2ull

TOP(struct virtiostat_key, struct virtiostat_value, 4096)

/* CONFIG_NEED_SG_DMA_LENGTH: not on every architecture. */
struct scatterlist___dma {
	unsigned int dma_length;
} __attribute__((preserve_access_index));

struct walk {
	__u64 entry; /* address of the next one */
	__u64 bytes;
	__u64 length_at; /* of an entry's length */
	bool ended;
};

static __always_inline long take_entry(struct walk *w)
{
	const struct scatterlist *sg = (void *)w->entry;
	__u64 link = 0;
	__u32 length = 0;

	if (bpf_core_read(&link, sizeof(link), &sg->page_link)) {
		w->ended = true;
		return 1;
	}
	if (link & SG_CHAIN) { /* the list goes on elsewhere */
		w->entry = link & ~(SG_CHAIN | SG_END);
		return 0;
	}
	bpf_probe_read_kernel(&length, sizeof(length), (void *)(w->entry + w->length_at));
	w->bytes += length;
	w->entry += bpf_core_type_size(struct scatterlist);
	w->ended = link & SG_END;
	return w->ended;
}

/* A driver that has mapped a list itself (`premapped`) gives its length as DMA sees it. Not a branch:
 * the verifier would look at all that follows twice. */
static __always_inline __u64 length_at(__u32 premapped)
{
	struct scatterlist___dma *dma = NULL;
	__u64 mapped = -(__u64)premapped, at = bpf_core_field_offset(struct scatterlist, length);

	barrier_var(mapped);
	if (bpf_core_field_exists(dma->dma_length))
		at += mapped & (bpf_core_field_offset(dma->dma_length) - at);
	return at;
}

static long next_entry(__u64 i, struct walk *w)
{
	return take_entry(w);
}

/* The bytes of a scatterlist. Not static: the verifier then looks at it once, not for each call. */
__noinline __u64 list_bytes(__u64 list, __u32 premapped)
{
	struct walk w = { .entry = list, .length_at = length_at(premapped) };

	bpf_loop(MAX_ENTRIES, next_entry, &w, 0);
	if (!w.ended)
		count_lost_map();
	return w.bytes;
}

/* Of this CPU: kprobe programs are not preempted. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct walk);
} cb_walk SEC(".maps");

/* A part of the list that is being walked: the verifier looks at it once, however often it is called.
 * Returns whether that was the last one. */
__noinline __u32 list_part(__u32 zero)
{
	struct walk *walk = bpf_map_lookup_elem(&cb_walk, &zero);
	struct walk w;

	if (!walk)
		return 1;
	w = *walk;
	for (int i = 0; i < PART_ENTRIES; i++)
		if (take_entry(&w))
			break;
	*walk = w;
	return w.ended;
}

/* The same before 5.17. */
__noinline __u64 list_bytes_old(__u64 list, __u32 premapped)
{
	__u32 zero = 0;
	struct walk *walk = bpf_map_lookup_elem(&cb_walk, &zero);

	if (!walk)
		return 0;
	walk->entry = list;
	walk->bytes = 0;
	walk->length_at = length_at(premapped);
	walk->ended = false;
	for (int i = 0; i < MAX_ENTRIES / PART_ENTRIES; i++)
		if (list_part(0))
			return walk->bytes;
	count_lost_map();
	return walk->bytes;
}

static __noinline void name_queue(struct virtiostat_value *v, __u64 queue)
{
	struct virtqueue *vq = (void *)queue;
	struct virtio_device *device = BPF_CORE_READ(vq, vdev);

	v->index = BPF_CORE_READ(vq, index);
	bpf_probe_read_kernel_str(v->driver, sizeof(v->driver),
				  BPF_CORE_READ(device, dev.driver, name));
	bpf_probe_read_kernel_str(v->device, sizeof(v->device),
				  BPF_CORE_READ(device, dev.kobj.name));
	bpf_probe_read_kernel_str(v->queue, sizeof(v->queue), BPF_CORE_READ(vq, name));
}

struct sums {
	__u64 in_bytes, out_bytes;
	__u32 in, out;
};

static __always_inline int count(__u64 queue, const struct sums *sums)
{
	struct virtiostat_key key = { .queue = queue };
	struct virtiostat_value *v;
	bool made;

	v = top_entry(&key, &made);
	if (!v)
		return 0;
	if (made)
		name_queue(v, queue);
	__sync_fetch_and_add(&v->buffers, 1);
	if (sums->in) {
		__sync_fetch_and_add(&v->in_sgs, sums->in);
		__sync_fetch_and_add(&v->in_bytes, sums->in_bytes);
	}
	if (sums->out) {
		__sync_fetch_and_add(&v->out_sgs, sums->out);
		__sync_fetch_and_add(&v->out_bytes, sums->out_bytes);
	}
	return 0;
}

static __always_inline int add_lists(__u64 queue, __u64 lists, __u32 out, __u32 in, bool old)
{
	struct sums sums = { .in = in, .out = out };

	for (__u32 i = 0; i < MAX_LISTS && i < out + in; i++) {
		/* All ones for the first `out` lists: a branch would have the verifier look at each
		 * of them as the last one, which takes it seconds on 5.10. */
		__s64 is_out = (__s64)((__u64)i - out) >> 63;
		__u64 list = 0, bytes;

		barrier_var(is_out);
		if (bpf_probe_read_kernel(&list, sizeof(list), (void *)(lists + i * sizeof(list))))
			break;
		bytes = old ? list_bytes_old(list, false) : list_bytes(list, false);
		sums.out_bytes += bytes & is_out;
		sums.in_bytes += bytes & ~is_out;
	}
	return count(queue, &sums);
}

static __always_inline int add_out(__u64 queue, __u64 list, bool premapped, bool old)
{
	struct sums sums = { .out = 1 };

	sums.out_bytes = old ? list_bytes_old(list, premapped) : list_bytes(list, premapped);
	return count(queue, &sums);
}

static __always_inline int add_in(__u64 queue, __u64 list, bool premapped, bool old)
{
	struct sums sums = { .in = 1 };

	sums.in_bytes = old ? list_bytes_old(list, premapped) : list_bytes(list, premapped);
	return count(queue, &sums);
}

/* As numbers: as they are, the verifier knows no pointers to pointers before 6.17 or so. */
static __always_inline __u64 argument(void *ctx, __u32 n)
{
	__u64 value = 0;

	bpf_get_func_arg(ctx, n, &value);
	return value;
}

/* Whether the queue had room for it. */
static __always_inline bool added(void *ctx)
{
	__u64 result = 0;

	bpf_get_func_ret(ctx, &result);
	return !(__u32)result;
}

#define FEXIT(name, function, add)                                                        \
	SEC("fexit/" #function)                                                           \
	int name##_fexit(__u64 *ctx)                                                      \
	{                                                                                 \
		return added(ctx) ? add : 0;                                              \
	}
#define KPROBE(name, function, add)                                                       \
	SEC("kprobe/" #function)                                                          \
	int name##_kprobe(struct pt_regs *ctx)                                            \
	{                                                                                 \
		return add;                                                               \
	}

FEXIT(sgs, virtqueue_add_sgs,
      add_lists(argument(ctx, 0), argument(ctx, 1), argument(ctx, 2), argument(ctx, 3),
		false))
KPROBE(sgs, virtqueue_add_sgs,
       add_lists(PT_REGS_PARM1(ctx), PT_REGS_PARM2(ctx), PT_REGS_PARM3(ctx), PT_REGS_PARM4(ctx),
		 true))

#define BUFFER(name, function, add, premapped)                                            \
	FEXIT(name, function, add(argument(ctx, 0), argument(ctx, 1), premapped, false))  \
	KPROBE(name, function, add(PT_REGS_PARM1(ctx), PT_REGS_PARM2(ctx), premapped, true))
BUFFER(out, virtqueue_add_outbuf, add_out, false)
BUFFER(in, virtqueue_add_inbuf, add_in, false)
BUFFER(inctx, virtqueue_add_inbuf_ctx, add_in, false)
BUFFER(inclean, virtqueue_add_inbuf_cache_clean, add_in, false)
BUFFER(outpre, virtqueue_add_outbuf_premapped, add_out, true)
BUFFER(inpre, virtqueue_add_inbuf_premapped, add_in, true)
