/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whose a socket is. Most of what TCP does runs in an interrupt, where the running task is a stranger:
 * the owner is the task that connected, accepted or listened, noted while it did. Sockets that are
 * older than the tool get theirs from the descriptors of all tasks (cb_file_owners), or have none,
 * which is shown as such. A socket that is handed on, by fork, exec or SCM_RIGHTS, keeps its owner.
 *
 * A tool that keeps something of its own with each socket defines SOCK_NOTES as its type before the
 * include. 5.10+. */
#pragma once
#include "bpf/owner.bpf.h"
#include "bpf/sock.bpf.h"

struct sock_entry {
	struct sock_owner owner;
#ifdef SOCK_NOTES
	SOCK_NOTES notes;
#endif
};

/* By the address of the struct sock, until that is destroyed. User space sets the size. One hash is
 * right on all kernels and the cheapest: with a local storage of the socket a connection costs half as
 * much again, and before 6.1 and on CPUs without cmpxchg16b there is none. */
HASH_MAP(cb_owners, __u64, struct sock_entry, 16384);

static __always_inline struct sock_entry *sock_find(struct sock *sk)
{
	__u64 key = (__u64)sk;

	return bpf_map_lookup_elem(&cb_owners, &key);
}

/* The entry of a socket, made without an owner on first use. NULL: there was no room, which is
 * counted. */
static __always_inline struct sock_entry *sock_find_or_make(struct sock *sk)
{
	struct sock_entry fresh = {};
	__u64 key = (__u64)sk;

	fresh.owner.traced = !cb_filter.any;
	return find_or_insert(&cb_owners, &key, &fresh);
}

/* Notes that the running task is the owner, unless the socket has one, and returns its entry. NULL:
 * there was no room, which is counted. `typed`: see task.bpf.h. */
static __always_inline struct sock_entry *sock_own(struct sock *sk, bool typed)
{
	struct sock_entry *entry = sock_find_or_make(sk);

	if (!entry || entry->owner.pid)
		return entry;
	owner_read(&entry->owner, typed);
	entry->owner.traced = filter_task((struct task_struct *)bpf_get_current_task());
	return entry;
}

/* Whether events of a socket are traced: one without a known owner is, unless tasks are restricted.
 * Counts what is not. */
static __always_inline bool sock_wanted(const struct sock_entry *entry)
{
	return asked_for(entry ? entry->owner.traced : !cb_filter.any);
}

/* To be called when a socket is destroyed. */
static __always_inline void sock_forget(struct sock *sk)
{
	__u64 key = (__u64)sk;

	bpf_map_delete_elem(&cb_owners, &key);
}

/* Older sockets: the kit reads this iterator once all is attached. It goes through the descriptors of
 * every task, in all network namespaces: 1.4 us a socket, where a list of sockets (iter/tcp) shows one
 * namespace and no owner. A descriptor that several tasks have is the first task's. */
SEC("iter/task_file")
int cb_file_owners(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct sock_entry *entry;
	struct socket *socket;
	struct sock *sk;
	__u64 ids;

	if (!task || !file || (file->f_inode->i_mode & S_IFMT) != S_IFSOCK)
		return 0;
	socket = file->private_data;
	sk = BPF_CORE_READ(socket, sk);
	if (!sk || !conn_family(sk, false))
		return 0;
	entry = sock_find_or_make(sk);
	if (!entry || entry->owner.pid)
		return 0;
	ids = ids_of(task, true);
	entry->owner.pid = ids >> 32;
	entry->owner.tid = ids;
	entry->owner.uid = task->cred->uid.val;
	bpf_probe_read_kernel(entry->owner.comm, COMM_LEN, task->comm);
	entry->owner.traced = filter_task(task);
	return 0;
}
