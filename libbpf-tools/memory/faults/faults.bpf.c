// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf/filter.bpf.h"
#include "bpf/stacks.bpf.h"
#include "bpf/syscall.bpf.h"
#include "bpf/task_event.bpf.h"
#include "bpf/top.bpf.h"
#include "faults.h"

/* linux/mm_types.h, enum vm_fault_reason and fault_flag: the same from 5.10 to 7.2. On 5.10 flags
 * are macros, which are not in its BTF. */
#define FAULT_IS_MAJOR 0x4
#define FAULT_FAILED (0x1 | 0x2 | 0x10 | 0x20 | 0x40 | 0x800) /* VM_FAULT_ERROR */
#define FAULT_RETRIED 0x400
#define FAULT_UNLOCKED 0x4000 /* VM_FAULT_COMPLETED: done, and the mapping is no longer locked */
#define FLAG_TRIED 0x20

const volatile struct faults_config cfg = {};
TOP(struct fault_key, struct fault_value, 16384)

struct fault {
	struct vm_area_struct *vma;
	__u64 address;
	__u32 flags;
	__u32 unused;
};
SYSCALL_ARGS(struct fault)

static __always_inline void read_name(char *name, struct file *file)
{
	bpf_probe_read_kernel_str(name, FAULTS_NAME_LEN,
				  BPF_CORE_READ(file, f_path.dentry, d_name.name));
}

static __noinline bool holds(struct file *file, __u64 address, bool major)
{
	struct fault_event e = { .address = address, .major = major };

	task_event_current(&e.task, 0);
	if (file)
		read_name(e.file, file);
	return where_holds(NULL, &e, sizeof(e));
}

static __always_inline int count_stack(void *ctx, bool major)
{
	struct stack_key key = {};
	__u64 ids = current_ids();

	key.pid = ids >> 32;
	if (cb_stack.threads)
		key.tid = ids;
	bpf_get_current_comm(key.comm, sizeof(key.comm));
	take_stacks(ctx, &key);
	stack_add(&key, major);
	return 0;
}

/* What the kernel counts as the task's faults: mm_account_fault(), mm/memory.c. */
static __always_inline int finished(void *ctx, const struct fault *fault, __u32 ret)
{
	bool major = ret & FAULT_IS_MAJOR || fault->flags & FLAG_TRIED;
	struct fault_key key = {};
	struct vm_area_struct *vma = fault->vma;
	struct fault_value *value;
	struct file *file = NULL;
	bool made;

	if (!asked_for(!cfg.major || major))
		return 0;
	if ((cfg.files || cb_where_on) && !(ret & FAULT_UNLOCKED))
		file = BPF_CORE_READ(vma, vm_file);
	if (cb_where_on && !holds(file, fault->address, major))
		return 0;
	if (cfg.stacks)
		return count_stack(ctx, major);
	key.pid = current_ids() >> 32;
	bpf_get_current_comm(key.comm, sizeof(key.comm));
	if (cfg.files) {
		key.memory = file ? FAULT_FILE :
			     ret & FAULT_UNLOCKED ? FAULT_UNKNOWN : FAULT_ANONYMOUS;
		if (file) {
			key.inode = BPF_CORE_READ(file, f_inode, i_ino);
			key.dev = BPF_CORE_READ(file, f_inode, i_sb, s_dev);
		}
	}
	value = top_entry(&key, &made);
	if (!value)
		return 0;
	__sync_fetch_and_add(&value->faults, 1);
	if (major)
		__sync_fetch_and_add(&value->major, 1);
	if (made && file)
		read_name(value->file, file);
	return 0;
}

/* A fault that is tried again ends there; one that fails ends in a signal or an error. */
static __always_inline bool is_done(__u32 ret)
{
	return !(ret & (FAULT_FAILED | FAULT_RETRIED));
}

SEC("fexit/handle_mm_fault")
int BPF_PROG(fault_fexit, struct vm_area_struct *vma, unsigned long address, unsigned int flags,
	     struct pt_regs *regs, unsigned int ret)
{
	struct fault fault = { .vma = vma, .address = address, .flags = flags };

	return is_done(ret) && filter_running(true) ? finished(ctx, &fault, ret) : 0;
}

SEC("kprobe/handle_mm_fault")
int BPF_KPROBE(fault_kprobe, struct vm_area_struct *vma, unsigned long address, unsigned int flags)
{
	struct fault fault = { .vma = vma, .address = address, .flags = flags };

	if (filter_current())
		args_keep(&fault);
	return 0;
}

SEC("kretprobe/handle_mm_fault")
int BPF_KRETPROBE(fault_kretprobe, unsigned int ret)
{
	struct fault fault;

	return args_take(&fault) && is_done(ret) ? finished(ctx, &fault, ret) : 0;
}
