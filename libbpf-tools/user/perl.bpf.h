/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What perl's interpreter is about to call. Perl has no probes and no stable layout; these offsets are
 * those of 5.36 with threads, as distributions build it (its headers: intrpvar.h, sv.h, cv.h, gv.h, hv.h,
 * cop.h). Whatever is read is checked: of another layout come subs without names, not wrong ones. */
#pragma once
#include "runtime.bpf.h"

enum { PERL_STACK_SP = 0, PERL_CURSTACKINFO = 224,      /* struct interpreter */
       PERL_SI_CXIX = 32, PERL_SI_CXMAX = 36,           /* struct stackinfo */
       PERL_SV_ANY = 0, PERL_SV_FLAGS = 12, PERL_SV_U = 16,
       PERL_CV_STASH = 32, PERL_CV_GV = 56, PERL_CV_FLAGS = 92,
       PERL_GV_NAME = 32, PERL_GV_STASH = 40, PERL_GP_CV = 16,
       PERL_HV_MAX = 24, PERL_HV_NAME = 32, PERL_HV_NAME_COUNT = 60,
       PERL_HEK_LENGTH = 4, PERL_HEK_KEY = 8,
       PERL_TYPE_MASK = 0xff, PERL_PVGV = 9, PERL_PVHV = 12, PERL_PVCV = 13,
       PERL_ROK = 0x800, PERL_ISXSUB = 0x8, PERL_NAMED = 0x8000 };

#define PERL_MOST_NAME 1024

static __always_inline __u64 perl_pointer(__u64 at)
{
	__u64 value = 0;

	bpf_probe_read_user(&value, sizeof(value), (void *)at);
	return value;
}

static __always_inline __u32 perl_word(__u64 at)
{
	__u32 value = 0;

	bpf_probe_read_user(&value, sizeof(value), (void *)at);
	return value;
}

/* The text of a HEK: a length, and a NUL behind the text. */
static __always_inline __u16 perl_hek(char *to, __u32 room, __u64 hek)
{
	__u32 length;
	char end = 1;

	if (!hek)
		return 0;
	length = perl_word(hek + PERL_HEK_LENGTH);
	if (!length || length > PERL_MOST_NAME)
		return 0;
	bpf_probe_read_user(&end, 1, (void *)(hek + PERL_HEK_KEY + length));
	return end ? 0 : runtime_text(to, room, hek + PERL_HEK_KEY, true, length);
}

static __always_inline __u32 perl_type(__u64 sv)
{
	return perl_word(sv + PERL_SV_FLAGS) & PERL_TYPE_MASK;
}

/* The CV behind what a call has on the stack: the CV, its glob, or a reference to either. 0: a name that
 * is looked up while the program runs, an object that overloads &{}. */
static __always_inline __u64 perl_code(__u64 interpreter)
{
	__u64 sv = perl_pointer(perl_pointer(interpreter + PERL_STACK_SP));
	__u32 flags = perl_word(sv + PERL_SV_FLAGS), type = flags & PERL_TYPE_MASK;

	if (!sv)
		return 0;
	if (type != PERL_PVCV && type != PERL_PVGV && (flags & PERL_ROK)) {
		sv = perl_pointer(sv + PERL_SV_U);
		type = perl_type(sv);
	}
	if (type == PERL_PVGV) {
		sv = perl_pointer(perl_pointer(sv + PERL_SV_U) + PERL_GP_CV);
		type = perl_type(sv);
	}
	return type == PERL_PVCV ? sv : 0;
}

/* A sub that is written in C: it has no pp_leavesub. */
static __always_inline bool perl_is_xsub(__u64 cv)
{
	return perl_word(perl_pointer(cv + PERL_SV_ANY) + PERL_CV_FLAGS) & PERL_ISXSUB;
}

/* Of a sub: its package and its name; `name` is zeroed. */
static __always_inline void perl_read_name(__u64 cv, struct runtime_name *name)
{
	__u64 body = perl_pointer(cv + PERL_SV_ANY), hek, stash, gv;

	if (!cv)
		return;
	if (perl_word(body + PERL_CV_FLAGS) & PERL_NAMED) {
		hek = perl_pointer(body + PERL_CV_GV);
		stash = perl_pointer(body + PERL_CV_STASH);
	} else {
		gv = perl_pointer(body + PERL_CV_GV);
		if (perl_type(gv) != PERL_PVGV)
			return;
		gv = perl_pointer(gv + PERL_SV_ANY);
		hek = perl_pointer(gv + PERL_GV_NAME);
		stash = perl_pointer(gv + PERL_GV_STASH);
	}
	name->method_length = perl_hek(name->method, RUNTIME_METHOD, hek);
	if (perl_type(stash) != PERL_PVHV)
		return;
	stash = perl_pointer(stash + PERL_SV_ANY);
	hek = perl_pointer(stash + PERL_HV_NAME);
	/* A package of several names has a table of them. */
	if (perl_word(stash + PERL_HV_NAME_COUNT))
		hek = perl_pointer(hek);
	name->klass_length = perl_hek(name->klass, RUNTIME_CLASS, hek);
}

/* Where perl's own stack of contexts is: a sub pushes one, and die() pops all above its eval. False: of
 * another layout. */
static __always_inline bool perl_context(__u64 interpreter, __u64 *stack, __s64 *index)
{
	__u64 si = perl_pointer(interpreter + PERL_CURSTACKINFO);
	__s32 cxix = perl_word(si + PERL_SI_CXIX), most = perl_word(si + PERL_SI_CXMAX);

	*stack = si;
	*index = cxix;
	return si && cxix >= -1 && cxix <= most && most > 0;
}
