// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/event.bpf.h"
#include "bpf/call_argument.bpf.h"
#include "bpf/call_place.bpf.h"
#include "bpf/filter.bpf.h"
#include "bpf/point_number.bpf.h"
#include "bpf/task_stack.bpf.h"
#include "gethostlatency.h"

#define AF_INET 2   /* linux/socket.h */
#define AF_INET6 10
#define ERANGE 34

const volatile struct resolve_config cfg = {};

/* What resolvers give back, as glibc's and musl's netdb.h have them on machines of 64 bits. */
struct user_addrinfo {
	__s32 flags, family, socktype, protocol;
	__u32 length;
	__u64 address, name, next;
};
struct user_hostent {
	__u64 name, aliases;
	__s32 family, length;
	__u64 addresses;
};

/* The outermost call of a thread. The event is made in here: there is no room for it on the stack. */
struct resolve_call {
	__u64 sp, start_ns;
	__u64 asked;           /* the name or address */
	__u64 result, service; /* where the function puts them; of getaddrinfo() what is asked for */
	__u64 h_errno;         /* this function, or one that it calls, puts it there */
	__u32 result_len, service_len;
	__u32 family;          /* of the address that is asked for */
	struct resolve_event event;
};

HASH_MAP(cb_calls, __u32, struct resolve_call, RESOLVE_THREADS);
static const struct resolve_call no_call;

static __always_inline __u16 read_text(char *to, __u32 size, __u64 from)
{
	long len = from ? bpf_probe_read_user_str(to, size, (void *)from) : 0;

	return len > 0 ? len : 0;
}

static __always_inline void read_address(struct resolve_address *to, __u16 family, __u64 from)
{
	long err = -1;

	if (family == AF_INET)
		err = bpf_probe_read_user(to->bytes, 4, (void *)from);
	else if (family == AF_INET6)
		err = bpf_probe_read_user(to->bytes, 16, (void *)from);
	to->family = err ? 0 : family;
}

static __always_inline void read_sockaddr(struct resolve_address *to, __u64 from)
{
	__u16 family = 0;

	if (!bpf_probe_read_user(&family, sizeof(family), (void *)from))
		read_address(to, family, from + (family == AF_INET6 ? 8 : 4));
}

/* What is asked for. The caller's string or address may lie in what the function overwrites
 * (gethostbyname() answers in memory of its own), so it is read at the entry; or in a page that only the
 * function touches: then at the return. */
static __noinline void read_asked(struct resolve_call *call, struct resolve_event *e)
{
	if (e->asked.family)
		return;
	if (e->function == RESOLVE_GETNAMEINFO)
		read_sockaddr(&e->asked, call->asked);
	else if (e->function == RESOLVE_GETHOSTBYADDR || e->function == RESOLVE_GETHOSTBYADDR_R)
		read_address(&e->asked, call->family, call->asked);
	else if (!e->host_len)
		e->host_len = read_text(e->host, sizeof(e->host), call->asked);
	if (e->function == RESOLVE_GETADDRINFO && !e->service_len)
		e->service_len = read_text(e->service, sizeof(e->service), call->service);
}

static __always_inline void read_hostent(struct resolve_event *e, __u64 at)
{
	struct user_hostent host;
	__u64 first = 0;

	if (bpf_probe_read_user(&host, sizeof(host), (void *)at))
		return;
	if (e->function == RESOLVE_GETHOSTBYADDR || e->function == RESOLVE_GETHOSTBYADDR_R) {
		e->result_len = read_text(e->result, sizeof(e->result), host.name);
		return;
	}
	if (!bpf_probe_read_user(&first, sizeof(first), (void *)host.addresses) && first)
		read_address(&e->found, host.family, first);
}

static __always_inline void fail_with(struct resolve_event *e, enum resolve_error error, __s32 code)
{
	e->error = error;
	e->code = code;
}

static __always_inline void read_h_errno(struct resolve_call *call, struct resolve_event *e)
{
	__s32 code = 0;

	if (call->h_errno)
		bpf_probe_read_user(&code, sizeof(code), (void *)call->h_errno);
	fail_with(e, code ? RESOLVE_H_ERRNO : RESOLVE_FAILED, code);
}

static __always_inline void read_result(struct resolve_call *call, struct resolve_event *e, __u64 ret)
{
	struct user_addrinfo info;
	__u64 at = 0;

	switch (e->function) {
	case RESOLVE_GETADDRINFO:
		if ((__s32)ret) {
			fail_with(e, RESOLVE_EAI, ret);
			return;
		}
		if (!bpf_probe_read_user(&at, sizeof(at), (void *)call->result) &&
		    !bpf_probe_read_user(&info, sizeof(info), (void *)at))
			read_sockaddr(&e->found, info.address);
		return;
	case RESOLVE_GETNAMEINFO:
		if ((__s32)ret) {
			fail_with(e, RESOLVE_EAI, ret);
			return;
		}
		if (call->result_len)
			e->result_len = read_text(e->result, sizeof(e->result), call->result);
		if (call->service_len)
			e->service_len = read_text(e->service, sizeof(e->service), call->service);
		return;
	case RESOLVE_GETHOSTBYNAME:
	case RESOLVE_GETHOSTBYNAME2:
	case RESOLVE_GETHOSTBYADDR:
		if (ret)
			read_hostent(e, ret);
		else
			read_h_errno(call, e);
		return;
	case RESOLVE_GETHOSTBYNAME_R:
	case RESOLVE_GETHOSTBYNAME2_R:
	case RESOLVE_GETHOSTBYADDR_R:
		bpf_probe_read_user(&at, sizeof(at), (void *)call->result);
		if (!(__s32)ret && at)
			read_hostent(e, at);
		else if ((__s32)ret == ERANGE)
			fail_with(e, RESOLVE_ERRNO, ERANGE);
		else
			read_h_errno(call, e);
		return;
	default:
		if ((__s32)ret < 0)
			read_h_errno(call, e);
		else
			e->answer_bytes = ret;
	}
}

static __noinline int send(void *ctx, struct resolve_event *e)
{
	if (!filter_current())
		return 0;
	task_info_current(&e->task);
	event_output(ctx, e,
		     e->result_len ? sizeof(*e) : offsetof(struct resolve_event, result));
	return 0;
}

/* Where a function that fails puts its h_errno. An outer function has it from the inner one. */
static __always_inline __u64 h_errno_of(struct pt_regs *ctx, __u32 function)
{
	switch (function) {
	case RESOLVE_GETHOSTBYNAME_R:
		return user_argument(ctx, 5);
	case RESOLVE_GETHOSTBYNAME2_R:
		return user_argument(ctx, 6);
	case RESOLVE_GETHOSTBYADDR_R:
		return user_argument(ctx, 7);
	case RESOLVE_RES_NQUERY:
	case RESOLVE_RES_NSEARCH:
	case RESOLVE_RES_NQUERYDOMAIN:
		return user_argument(ctx, 0) + cfg.res_h_errno;
	default:
		return 0;
	}
}

static __always_inline void note_places(struct pt_regs *ctx, struct resolve_call *call,
					struct resolve_event *e)
{
	call->asked = user_argument(ctx, 0);
	switch (e->function) {
	case RESOLVE_GETADDRINFO:
		call->result = user_argument(ctx, 3);
		call->service = user_argument(ctx, 1);
		break;
	case RESOLVE_GETNAMEINFO:
		call->result = user_argument(ctx, 2);
		call->result_len = call->result ? user_argument(ctx, 3) : 0;
		call->service = user_argument(ctx, 4);
		call->service_len = call->service ? user_argument(ctx, 5) : 0;
		break;
	case RESOLVE_GETHOSTBYNAME_R:
		call->result = user_argument(ctx, 4);
		break;
	case RESOLVE_GETHOSTBYNAME2_R:
		call->result = user_argument(ctx, 5);
		break;
	case RESOLVE_GETHOSTBYADDR:
		call->family = user_argument(ctx, 2);
		break;
	case RESOLVE_GETHOSTBYADDR_R:
		call->family = user_argument(ctx, 2);
		call->result = user_argument(ctx, 6);
		break;
	case RESOLVE_RES_NQUERY:
	case RESOLVE_RES_NSEARCH:
	case RESOLVE_RES_NQUERYDOMAIN:
		call->asked = user_argument(ctx, 1);
	}
}

static __always_inline int enter(struct pt_regs *ctx, __u32 function)
{
	__u64 sp = PT_REGS_SP(ctx), h_errno = h_errno_of(ctx, function);
	__u32 tid = bpf_get_current_pid_tgid();
	struct resolve_call *call = bpf_map_lookup_elem(&cb_calls, &tid);

	if (call && sp <= call->sp && is_under_way(call->sp)) {
		if (h_errno)
			call->h_errno = h_errno;
		return 0;
	}
	if (call) {
		fail_with(&call->event, RESOLVE_NO_RETURN, 0);
		send(ctx, &call->event);
		bpf_map_delete_elem(&cb_calls, &tid);
	}
	call = find_or_insert(&cb_calls, &tid, &no_call);
	if (!call)
		return 0;
	call->sp = sp;
	call->h_errno = h_errno;
	call->event.function = function;
	note_places(ctx, call, &call->event);
	read_asked(call, &call->event);
	call->start_ns = bpf_ktime_get_ns();
	return 0;
}

SEC("uprobe")
int enter_resolver(struct pt_regs *ctx)
{
	__u32 name;

	use_task_stack(ctx);
	name = uprobe_function(ctx);
	return enter(ctx, name < RESOLVE_FUNCTIONS ?
				  name :
				  name - RESOLVE_FUNCTIONS + RESOLVE_RES_QUERY);
}

SEC("uretprobe")
int resolved(struct pt_regs *ctx)
{
	use_task_stack(ctx);
	__u64 now = bpf_ktime_get_ns(), sp = PT_REGS_SP(ctx);
	__u32 tid = bpf_get_current_pid_tgid();
	struct resolve_call *call = bpf_map_lookup_elem(&cb_calls, &tid);

	if (!call || sp - CALL_RETURNED_BYTES != call->sp)
		return 0;
	call->event.lat_ns = time_between(call->start_ns, now);
	read_asked(call, &call->event);
	read_result(call, &call->event, PT_REGS_RC(ctx));
	send(ctx, &call->event);
	bpf_map_delete_elem(&cb_calls, &tid);
	return 0;
}

SEC("raw_tp/sched_process_exit")
int thread_ends(void *ctx)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct resolve_call *call = bpf_map_lookup_elem(&cb_calls, &tid);

	if (!call)
		return 0;
	fail_with(&call->event, RESOLVE_NO_RETURN, 0);
	send(ctx, &call->event);
	bpf_map_delete_elem(&cb_calls, &tid);
	return 0;
}
