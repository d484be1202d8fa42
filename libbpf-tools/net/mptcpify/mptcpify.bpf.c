// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "abi/conn.h"
#include "bpf/event.bpf.h"
#include "bpf/filter.bpf.h"
#include "mptcpify.h"

const volatile struct mptcpify_config cfg = {};

#define SOCK_TYPE_MASK 0xf /* linux/net.h: the rest are flags */

static __always_inline bool is_target(void)
{
	__u64 comm[COMM_LEN / 8] = {};

	if (!cfg.targets)
		return true;
	bpf_get_current_comm(comm, sizeof(comm));
	for (__u32 i = 0; i < MPTCPIFY_TARGETS && i < cfg.targets; i++)
		if (cfg.target[i].words[0] == comm[0] && cfg.target[i].words[1] == comm[1])
			return true;
	return false;
}

/* What it returns is the protocol of the socket; 0: as asked for. */
SEC("fmod_ret/update_socket_protocol")
int BPF_PROG(force_fmod_ret, int family, int type, int protocol, int ret)
{
	struct mptcpify_event e = { .family = family };

	if ((family != CONN_IPV4 && family != CONN_IPV6) ||
	    (type & SOCK_TYPE_MASK) != SOCK_STREAM || (protocol && protocol != CONN_TCP))
		return 0;
	if (!asked_for(is_target()) || !filter_current())
		return 0;
	task_info_read(&e.task, true);
	if (!where_holds(ctx, &e, sizeof(e)))
		return 0;
	event_send(ctx, &e, sizeof(e));
	return CONN_MPTCP;
}
