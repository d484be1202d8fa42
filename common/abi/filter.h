/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who is traced; zero means "no restriction". Constant at load time, so unused tests vanish. */
#pragma once
#include "abi/types.h"

enum filter_kind {
	FILTER_PID = 1,
	FILTER_TID = 2,
	FILTER_TREE = 3,
};

struct task_filter {
	__u64 since_ns;    /* CLOCK_MONOTONIC: what pid, tid, ppid and the lists name began before */
	__u32 pid;         /* process (tgid) */
	__u32 tid;         /* thread */
	__u32 uid;         /* with by_uid */
	__u32 self;        /* the tool's own process, never traced */
	__u32 pidns;       /* inum of the tool's PID namespace, unless it is the initial one: then */
			   /* pid, tid, self and all ids in events are of that namespace */
	__u32 ppid;        /* parent process */
	__u8 by_uid;
	__u8 by_ids;       /* any of pid, tid, the lists and the tree */
	__u8 by_process;   /* pid, or by_pid_list */
	__u8 by_thread;    /* tid, or by_tid_list */
	__u8 by_pid_list;  /* cb_filter_ids holds FILTER_PID keys */
	__u8 by_tid_list;
	__u8 by_tree;      /* cb_filter_ids holds the FILTER_TREE keys of a command's processes */
	__u8 by_cgroup;     /* cb_cgroup_path says which: it and all below it */
	__u8 by_cgroup_map; /* --cgroupmap */
	__u8 by_mntns_map;  /* --mntnsmap */
	__u8 any;          /* whether any of these, self aside, restricts anything */
	char comm[COMM_LEN];
};

#define FILTER_IDS 16384 /* entries of cb_filter_ids */

/* Key of cb_filter_ids. */
#define FILTER_KEY(kind, id) ((__u64)(kind) << 32 | (__u32)(id))

/* Directories of cb_cgroup_path: the cgroup that is traced, the one it is in, and so on upwards. */
#define CGROUP_MAX_DEPTH 32
#define CGROUP_NAME_LEN 256 /* NAME_MAX, and a NUL */

struct filter_cgroup {
	__u64 id;
	char name[CGROUP_NAME_LEN];
};
