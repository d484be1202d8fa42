// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"
#include "dbslower.h"

const volatile struct database_config cfg = {};

#include "../database.bpf.h"

/* Each has the record that it will be, so that nothing is copied twice. The text is kept as the statement
 * begins: MySQL overwrites it with the answer, and PostgreSQL frees it after an error. */
struct short_text {
	struct database_event e;
	char text[TEXT_SHORT];
};
struct middle_text {
	struct database_event e;
	char text[TEXT_MIDDLE];
};
struct long_text {
	struct database_event e;
	char text[TEXT_LONG];
};

/* By thread. Where there is no room for a longer text, its first bytes are shown. */
HASH_MAP(short_texts, __u32, struct short_text, 4096);
HASH_MAP(middle_texts, __u32, struct middle_text, 256);
HASH_MAP(long_texts, __u32, struct long_text, 32);

/* What entries begin as. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct long_text);
} no_text SEC(".maps");

/* By process and address of the server's Prepared_statement; one at a used address replaces the old. */
struct prepared_key {
	__u64 statement;
	__u32 pid, unused;
};

#define PREPARED_MAP(name, value_type, entries)        \
	struct {                                       \
		__uint(type, BPF_MAP_TYPE_LRU_HASH);   \
		__uint(max_entries, entries);          \
		__type(key, struct prepared_key);      \
		__type(value, value_type);             \
	} name SEC(".maps")

PREPARED_MAP(prepared_short, struct short_text, 4096);
PREPARED_MAP(prepared_middle, struct middle_text, 512);
PREPARED_MAP(prepared_long, struct long_text, 64);

/* Reads what has room. False: there is more, or maybe. */
static __always_inline bool text_read(struct database_event *e, char *to, __u32 room, __u64 from,
				      __u32 size)
{
	__u64 n = size;
	long read;

	e->text_size = size;
	e->text_len = 0;
	e->text_state = TEXT_THERE;
	if (size == TEXT_ENDS) {
		read = bpf_probe_read_user_str(to, room, (void *)from);
		if (read <= 0) {
			e->text_state = TEXT_UNREADABLE;
			return true;
		}
		e->text_len = read - 1;
		if (read == room)
			return false;
		e->text_size = read - 1;
		return true;
	}
	/* Or the compiler compares another copy of it, and the verifier does not see the bound. */
	asm volatile("" : "+r"(n));
	if (n > room)
		n = room;
	if (bpf_probe_read_user(to, n, (void *)from))
		e->text_state = TEXT_UNREADABLE;
	else
		e->text_len = n;
	return size <= room;
}

static __always_inline void *text_entry(void *map, const void *key, const void *initial)
{
	return bpf_map_update_elem(map, key, initial, BPF_ANY) ? NULL :
								 bpf_map_lookup_elem(map, key);
}

/* Keeps a text in the smallest of three maps that has room for it. The short one says in which. */
static __always_inline void text_keep(void *short_map, void *middle_map, void *long_map,
				      const void *key, __u64 from, __u32 size)
{
	__u32 zero = 0;
	struct long_text *empty = bpf_map_lookup_elem(&no_text, &zero), *l;
	struct middle_text *m;
	struct short_text *s;

	if (!empty)
		return;
	s = text_entry(short_map, key, empty);
	if (!s || text_read(&s->e, s->text, sizeof(s->text), from, size))
		return;
	m = text_entry(middle_map, key, empty);
	if (m) {
		s->e.room = ROOM_MIDDLE;
		if (text_read(&m->e, m->text, sizeof(m->text), from, size))
			return;
	}
	l = text_entry(long_map, key, empty);
	if (l) {
		s->e.room = ROOM_LONG;
		text_read(&l->e, l->text, sizeof(l->text), from, size);
	}
}

static __noinline void text_forget(__u32 tid, __u32 room)
{
	bpf_map_delete_elem(&short_texts, &tid);
	if (room == ROOM_SHORT)
		return;
	bpf_map_delete_elem(&middle_texts, &tid);
	if (room == ROOM_LONG)
		bpf_map_delete_elem(&long_texts, &tid);
}

static __noinline void record_fill(const struct statement *s, struct database_event *e)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	task_info_read(&e->task, false);
	e->id = s->id;
	e->statements = s->statements;
	e->server = s->server;
	e->command = s->command;
	/* Its backends write it over their arguments (src/backend/utils/misc/ps_status.c). */
	e->title[0] = 0;
	if (s->server == SERVER_POSTGRES &&
	    bpf_probe_read_user_str(e->title, sizeof(e->title),
				    (void *)BPF_CORE_READ(task, mm, arg_start)) < 0)
		e->title[0] = 0;
}

/* The text follows `e`; `room` is a constant. */
static __always_inline void record_send(void *ctx, const struct statement *s, struct database_event *e,
					__u32 room, __u64 lat_ns, __u8 outcome)
{
	__u64 size = e->text_len;

	asm volatile("" : "+r"(size));
	if (size > room)
		size = room;
	e->lat_ns = lat_ns;
	e->outcome = outcome;
	record_fill(s, e);
	event_output(ctx, e, sizeof(*e) + size);
}

/* The longest that is still there: an LRU map evicts. */
static __always_inline void text_send(void *ctx, const struct statement *s, void *middle_map,
				      void *long_map, const void *key, struct short_text *t, __u64 lat_ns,
				      __u8 outcome)
{
	struct middle_text *m;
	struct long_text *l;

	if (t->e.room == ROOM_LONG) {
		l = bpf_map_lookup_elem(long_map, key);
		if (l) {
			record_send(ctx, s, &l->e, sizeof(l->text), lat_ns, outcome);
			return;
		}
	}
	if (t->e.room != ROOM_SHORT) {
		m = bpf_map_lookup_elem(middle_map, key);
		if (m) {
			record_send(ctx, s, &m->e, sizeof(m->text), lat_ns, outcome);
			return;
		}
	}
	record_send(ctx, s, &t->e, sizeof(t->text), lat_ns, outcome);
}

static __always_inline void statement_began(struct statement *s, __u64 text, __u32 size)
{
	__u32 tid = bpf_get_current_pid_tgid();

	text_keep(&short_texts, &middle_texts, &long_texts, &tid, text, size);
}

static __always_inline void statement_dropped(struct statement *s)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct short_text *t = bpf_map_lookup_elem(&short_texts, &tid);

	if (t)
		text_forget(tid, t->e.room);
}

static __always_inline void statement_ended(void *ctx, struct statement *s, __u64 lat_ns,
					    __u32 outcome)
{
	__u64 ids = bpf_get_current_pid_tgid();
	__u32 tid = ids;
	struct short_text *t = bpf_map_lookup_elem(&short_texts, &tid), *prepared;
	struct prepared_key key = { .statement = s->prepared, .pid = ids >> 32 };

	if (!t) {
		count_lost_map();
		return;
	}
	prepared = s->prepared ? bpf_map_lookup_elem(&prepared_short, &key) : NULL;
	if (prepared) {
		text_send(ctx, s, &prepared_middle, &prepared_long, &key, prepared, lat_ns, outcome);
	} else {
		if (s->server == SERVER_MYSQL && !mysql_has_text(s->command))
			t->e.text_state = is_execution(s->command) ? TEXT_UNKNOWN : TEXT_NONE;
		text_send(ctx, s, &middle_texts, &long_texts, &tid, t, lat_ns, outcome);
	}
	text_forget(tid, t->e.room);
}

SEC("uprobe")
int BPF_KPROBE(mysql_prepare, void *statement, void *text, __u64 size)
{
	use_task_stack(ctx);
	__u64 ids = bpf_get_current_pid_tgid();
	struct prepared_key key = { .statement = (__u64)statement, .pid = ids >> 32 };

	/* MariaDB's is an unsigned int, whose register may have more. */
	if (statement_of_thread(ids))
		text_keep(&prepared_short, &prepared_middle, &prepared_long, &key, (__u64)text,
			  (__u32)size);
	return 0;
}

SEC("uprobe")
int BPF_KPROBE(mysql_execute, void *statement)
{
	use_task_stack(ctx);
	struct statement *s = statement_of_thread(bpf_get_current_pid_tgid());

	if (s && is_execution(s->command))
		s->prepared = (__u64)statement;
	return 0;
}
