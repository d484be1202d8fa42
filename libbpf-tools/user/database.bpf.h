/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Statements of PostgreSQL, MySQL and MariaDB, from the first to the last that the server does for them.
 * The tool that includes this has `cfg`, which begins with a database_config, and these functions:
 *
 *	statement_began(s, text, size)   keeps what it needs of the text: `size` bytes, or, with
 *	                                 TEXT_ENDS, up to a NUL. Of `s` all but begin_ns is there.
 *	statement_ended(ctx, s, lat_ns, outcome)  of one that took cfg.min_ns or longer
 *	statement_dropped(s)             forgets what it has kept, of one that was shorter
 *
 * PostgreSQL's probes (src/backend/tcop/postgres.c, pquery.c; 15 to 18 have the same):
 *   statement__status(text)  at the begin of a message; NULL as the server becomes idle, also after an
 *                            error. That is the only end of a statement that failed
 *   query__start, query__done (text)  around a message of the simple protocol
 *   query__execute__start, query__execute__done  around a portal, and around each plan in it; the only
 *                            ones of the extended protocol
 * MySQL's is dispatch_command(), whose arguments changed with MySQL 5.7 (not in MariaDB). */
#pragma once
#include "bpf/filter.bpf.h"
#include "bpf/task_stack.bpf.h"
#include "bpf/usdt.bpf.h"
#include "database.h"

/* By thread. The exit of the thread ends what it runs: no entry stays. */
HASH_MAP(statements, __u32, struct statement, 8192);

static const struct statement no_statement;

static __always_inline void statement_began(struct statement *s, __u64 text, __u32 size);
static __always_inline void statement_ended(void *ctx, struct statement *s, __u64 lat_ns,
					    __u32 outcome);
static __always_inline void statement_dropped(struct statement *s);

static __always_inline struct statement *statement_of_thread(__u32 tid)
{
	return bpf_map_lookup_elem(&statements, &tid);
}

static __always_inline struct statement *statement_make(__u32 tid)
{
	return find_or_insert(&statements, &tid, &no_statement);
}

static __noinline void statement_begin(struct statement *s, __u64 text, __u32 size)
{
	statement_began(s, text, size);
	s->begin_ns = bpf_ktime_get_ns();
}

static __noinline void statement_finish(void *ctx, struct statement *s, __u32 outcome)
{
	__u64 lat_ns = time_since(s->begin_ns);

	if (asked_for(lat_ns >= cfg.min_ns))
		statement_ended(ctx, s, lat_ns, outcome);
	else
		statement_dropped(s);
	s->begin_ns = 0;
}

SEC("uprobe")
int postgres_status(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	__u32 tid = bpf_get_current_pid_tgid();
	struct statement *s = statement_of_thread(tid);
	__u64 text;

	if (!usdt_arg(ctx, 0, &text))
		return 0;
	if (!text) {
		if (s && s->begin_ns)
			statement_finish(ctx, s, STATEMENT_FAILED);
		if (s)
			bpf_map_delete_elem(&statements, &tid);
		return 0;
	}
	if (!s)
		s = statement_make(tid);
	if (s && !s->is_simple) {
		s->source = text;
		s->depth = 0;
	}
	return 0;
}

SEC("uprobe")
int postgres_query(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	struct statement *s = statement_make(bpf_get_current_pid_tgid());
	__u64 text;

	if (!s || !usdt_arg(ctx, 0, &text))
		return 0;
	s->is_simple = 1;
	s->depth = s->statements = 0;
	s->server = SERVER_POSTGRES;
	s->command = POSTGRES_QUERY;
	s->begin_ns = 0;
	if (filter_current())
		statement_begin(s, text, TEXT_ENDS);
	return 0;
}

SEC("uprobe")
int pg_query_done(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	struct statement *s = statement_of_thread(bpf_get_current_pid_tgid());

	if (!s || !s->is_simple)
		return 0;
	if (s->begin_ns)
		statement_finish(ctx, s, STATEMENT_DONE);
	s->is_simple = 0;
	s->source = 0;
	return 0;
}

/* Portals nest: EXECUTE of a prepared statement in SQL runs one in one. */
SEC("uprobe")
int postgres_portal(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	struct statement *s = statement_of_thread(bpf_get_current_pid_tgid());

	if (!s || s->depth++)
		return 0;
	if (s->is_simple) {
		s->statements++;
		return 0;
	}
	/* Without a text: what a server does for itself, or a message that began before the tool. */
	if (!s->source || !filter_current())
		return 0;
	s->server = SERVER_POSTGRES;
	s->command = POSTGRES_EXECUTE;
	s->statements = 1;
	statement_begin(s, s->source, TEXT_ENDS);
	return 0;
}

SEC("uprobe")
int pg_portal_done(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	struct statement *s = statement_of_thread(bpf_get_current_pid_tgid());

	if (!s || !s->depth || --s->depth || s->is_simple || !s->begin_ns)
		return 0;
	statement_finish(ctx, s, STATEMENT_DONE);
	return 0;
}

/* MariaDB's thread pool leaves a statement that waits for its commit and goes on with it later, maybe in
 * another thread (DISPATCH_COMMAND_WOULDBLOCK): the begin of these, by process and THD. */
struct suspended_key {
	__u64 session;
	__u32 pid, unused;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct suspended_key);
	__type(value, __u64);
} suspended SEC(".maps");

bool any_suspended = false;

#define MYSQL_SUSPENDED 2

static __always_inline bool mysql_has_text(__u8 command)
{
	return command == MYSQL_QUERY || command == MYSQL_PREPARE || command == MYSQL_INIT_DB ||
	       command == MYSQL_CREATE_DB || command == MYSQL_DROP_DB;
}

static __always_inline bool mysql_has_id(__u8 command)
{
	return (command >= MYSQL_EXECUTE && command <= MYSQL_RESET) || command == MYSQL_FETCH ||
	       command == MYSQL_BULK_EXECUTE;
}

static __always_inline bool is_execution(__u8 command)
{
	return command == MYSQL_EXECUTE || command == MYSQL_BULK_EXECUTE;
}

/* One that is there already is of a call whose return was not seen. */
static __noinline void mysql_begin(__u64 session, __u32 command, __u64 text, __u32 size)
{
	struct suspended_key key = { .session = session };
	__u64 ids = bpf_get_current_pid_tgid(), *begin_ns;
	struct statement *s;

	if (!filter_current())
		return;
	s = statement_make(ids);
	if (!s)
		return;
	s->server = SERVER_MYSQL;
	s->command = command;
	s->session = session;
	s->prepared = 0;
	s->id = 0;
	if (mysql_has_id(s->command) && size >= sizeof(s->id))
		bpf_probe_read_user(&s->id, sizeof(s->id), (void *)text);
	statement_begin(s, text, mysql_has_text(s->command) ? size : 0);
	if (!any_suspended)
		return;
	key.pid = ids >> 32;
	begin_ns = bpf_map_lookup_elem(&suspended, &key);
	if (begin_ns) {
		s->begin_ns = *begin_ns;
		bpf_map_delete_elem(&suspended, &key);
	}
}

SEC("uprobe")
int BPF_KPROBE(mysql_packet, int command, void *thd, void *packet, __u32 size)
{
	use_task_stack(ctx);
	mysql_begin((__u64)thd, command, (__u64)packet, size);
	return 0;
}

/* COM_DATA of MySQL 5.7 and later (include/mysql/com_data.h): commands with a text have its address and
 * length first, those with a prepared statement its number. */
struct com_data {
	__u64 text;
	__u32 size;
};

SEC("uprobe")
int BPF_KPROBE(mysql_data, void *thd, void *data, int command)
{
	use_task_stack(ctx);
	struct com_data d = {};
	bool has_id = mysql_has_id(command);

	if ((has_id || mysql_has_text(command)) &&
	    bpf_probe_read_user(&d, sizeof(d), data))
		d.size = 0;
	mysql_begin((__u64)thd, command, has_id ? (__u64)data : d.text,
		    has_id ? sizeof(__u32) : d.size);
	return 0;
}

SEC("uretprobe")
int BPF_KRETPROBE(mysql_done, __u64 ret)
{
	use_task_stack(ctx);
	__u64 ids = bpf_get_current_pid_tgid();
	__u32 tid = ids;
	struct statement *s = statement_of_thread(tid);
	struct suspended_key key = {};

	if (!s || s->server != SERVER_MYSQL)
		return 0;
	if ((__u8)ret == MYSQL_SUSPENDED) {
		key.session = s->session;
		key.pid = ids >> 32;
		any_suspended = true;
		bpf_map_update_elem(&suspended, &key, &s->begin_ns, BPF_ANY);
		statement_dropped(s);
	} else {
		statement_finish(ctx, s, STATEMENT_DONE);
	}
	bpf_map_delete_elem(&statements, &tid);
	return 0;
}

/* Also where a statement ended with its thread: a server that was killed, a connection that was closed by
 * force. */
static __always_inline int thread_ended(void *ctx)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct statement *s = statement_of_thread(tid);

	if (!s)
		return 0;
	if (s->begin_ns)
		statement_finish(ctx, s, STATEMENT_DIED);
	bpf_map_delete_elem(&statements, &tid);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(exit_tp_btf, struct task_struct *task)
{
	return thread_ended(ctx);
}

SEC("raw_tp/sched_process_exit")
int BPF_PROG(exit_raw_tp, struct task_struct *task)
{
	return thread_ended(ctx);
}
