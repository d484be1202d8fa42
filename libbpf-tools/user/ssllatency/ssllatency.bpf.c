// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "../tls.bpf.h"
#include "bpf/hist.bpf.h"
#include "bpf/task_event.bpf.h"
#include "ssllatency.h"

const volatile struct ssllatency_config tls_cfg = { .unit_ns = 1 };

HISTS(struct ssllatency_key, 16384)

/* Of handshakes OpenSSL says 1, GnuTLS and NSS say 0. */
static __always_inline bool did_well(__u32 function, __u32 operation, __s64 result)
{
	if (operation == TLS_HANDSHAKE)
		return function == TLS_SSL_DO_HANDSHAKE ? result == 1 : !result;
	return result > 0;
}

static __noinline bool wanted(void *ctx, __u32 function, __u32 operation, __s64 result, __u64 ns)
{
	struct ssllatency_event e = { .result = result, .operation = operation, .function = function };

	task_event_current(&e.task, ns);
	return where_holds(ctx, &e, sizeof(e));
}

static __always_inline int tls_done(void *ctx, const struct tls_call *call, __s64 result)
{
	__u64 ns = time_since(call->start_ns);
	__u32 operation = tls_operation_of(call->function);
	struct ssllatency_key key = {
		.operation = operation,
		.function = tls_cfg.per_function ? call->function : 0,
		.pid = tls_cfg.per_process ? current_ids() >> 32 : 0,
	};

	if (!tls_cfg.failed && !asked_for(did_well(call->function, operation, result)))
		return 0;
	if (cb_where_on && !wanted(ctx, call->function, operation, result, ns))
		return 0;
	hists_count(&key, ns, tls_cfg.unit_ns);
	return 0;
}
