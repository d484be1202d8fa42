// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The programs that examples of man pages trace (scripts/examples), in one file: each is called by its
// name. They do what the page says that they do, and check nothing.
#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <linux/kvm.h>
#include <linux/major.h>
#include <linux/raid/md_p.h>
#include <linux/raid/md_u.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

// opensnoop -c. The system call itself: the C library's function has no frame of its own. At the end the
// program lives on for a moment, in which the tool reads what it has mapped.
static int open_file(const char *path)
{
	long result = SYS_open;

	__asm__ volatile("syscall"
			 : "+a"(result)
			 : "D"(path), "S"(O_RDONLY), "d"(0)
			 : "rcx", "r11", "memory");
	return result;
}

static int load_settings(void) { return open_file("/etc/app.conf") + 1; }
static int find_user(void) { return open_file("/etc/passwd") + 1; }

static int app(void)
{
	load_settings();
	find_user();
	usleep(300000);
	return 0;
}

// threadsnoop
static void *worker_one(void *arg)
{
	usleep(250000);
	return arg;
}

static void *worker_two(void *arg)
{
	usleep(250000);
	return arg;
}

static int web(void)
{
	void *(*const workers[])(void *) = {worker_one, worker_two, worker_one};

	for (int i = 0; i < 3; i++) {
		pthread_t thread;

		pthread_create(&thread, NULL, workers[i], NULL);
		pthread_join(thread, NULL);
	}
	return 0;
}

// futexctn, deadlock: two threads that wait for each other's locks, and later a third that takes the locks
// in the other order.
static pthread_mutex_t accounts = PTHREAD_MUTEX_INITIALIZER, audit_log = PTHREAD_MUTEX_INITIALIZER;

static void *transfer(void *arg)
{
	for (int i = 0; i < 20; i++) {
		pthread_mutex_lock(&accounts);
		pthread_mutex_lock(&audit_log);
		usleep(3000);
		pthread_mutex_unlock(&audit_log);
		pthread_mutex_unlock(&accounts);
	}
	return arg;
}

static void *print_report(void *arg)
{
	pthread_mutex_lock(&audit_log);
	pthread_mutex_lock(&accounts);
	pthread_mutex_unlock(&accounts);
	pthread_mutex_unlock(&audit_log);
	return arg;
}

static int bank(void)
{
	pthread_t threads[3];

	usleep(300000);
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, transfer, NULL);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	pthread_create(&threads[2], NULL, print_report, NULL);
	pthread_join(threads[2], NULL);
	usleep(300000);
	return 0;
}

// sofdsnoop: what is passed, with room for three descriptors.
static int pass(void)
{
	union {
		char bytes[CMSG_SPACE(3 * sizeof(int))];
		struct cmsghdr align;
	} control = {};
	char byte = 0;
	struct iovec data = {&byte, 1};
	struct msghdr message = {
		.msg_iov = &data, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	int ends[2];

	socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
	pid_t worker = fork();

	if (worker == 0) {
		prctl(PR_SET_NAME, "worker");
		return recvmsg(ends[1], &message, 0) != 1;
	}
	prctl(PR_SET_NAME, "supervisor");
	int fds[] = {open("/etc/passwd", O_RDONLY), socket(AF_UNIX, SOCK_DGRAM, 0), eventfd(0, 0)};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(header), fds, sizeof(fds));
	sendmsg(ends[0], &message, 0);
	return waitpid(worker, NULL, 0) != worker;
}

// shmsnoop
static int shm(void)
{
	const key_t key = 0x78020001;
	int id = shmget(key, 65536, IPC_CREAT | 0666);

	shmget(key, 65536, IPC_CREAT | IPC_EXCL | 0666);
	shmget(IPC_PRIVATE, 1 << 30, SHM_HUGETLB | (30 << 26) /* SHM_HUGE_1GB */ | 0600);
	void *segment = shmat(id, NULL, SHM_RDONLY);

	shmctl(id, IPC_RMID, NULL);
	shmdt(segment);
	return 0;
}

// setuidsnoop
static int service(void)
{
	const gid_t groups[] = {4, 5, 6};

	setgroups(3, groups);
	setgid(100);
	setregid(101, -1);
	setresgid(102, 103, 104);
	setfsgid(105);
	setfsuid(8);
	setresuid(1000, 0, 1001);
	setuid(1002);
	if (setuid(0) == 0)
		return 1;
	execl("/tmp/suid", "suid", NULL);
	return 1;
}

// kvmexit: a virtual machine that writes N times to a port and halts.
static int machine(int n)
{
	enum { page = 4096 };
	// Real mode: out 0x10, al; dec cx; jnz back to the out; hlt.
	const unsigned char code[] = {0xe6, 0x10, 0x49, 0x75, 0xfb, 0xf4};
	void *memory = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct kvm_userspace_memory_region region = {
		.guest_phys_addr = page, .memory_size = page, .userspace_addr = (unsigned long)memory,
	};
	struct kvm_regs registers = {.rip = page, .rcx = n, .rflags = 2};
	struct kvm_sregs segments;
	int kvm = open("/dev/kvm", O_RDWR), vm = ioctl(kvm, KVM_CREATE_VM, 0);

	memcpy(memory, code, sizeof(code));
	ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region);
	int cpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	struct kvm_run *state = mmap(NULL, ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0),
				     PROT_READ | PROT_WRITE, MAP_SHARED, cpu, 0);

	ioctl(cpu, KVM_GET_SREGS, &segments);
	segments.cs.base = segments.cs.selector = 0;
	ioctl(cpu, KVM_SET_SREGS, &segments);
	ioctl(cpu, KVM_SET_REGS, &registers);
	do {
		if (ioctl(cpu, KVM_RUN, 0) != 0)
			return 1;
	} while (state->exit_reason == KVM_EXIT_IO);
	return state->exit_reason != KVM_EXIT_HLT;
}

// mdflush: makes /dev/mdN, a mirror of two disks, without a superblock. It lives as long as the guest.
static int mirror(int number, char *members[2])
{
	mdu_array_info_t array = {
		.minor_version = 90, .level = 1, .size = 8 << 10 /* KiB */, .raid_disks = 2,
		.nr_disks = 2, .active_disks = 2, .working_disks = 2, .not_persistent = 1,
		.state = 1 /* MD_SB_CLEAN */,
	};
	mdu_param_t run = {};
	char path[32];

	snprintf(path, sizeof(path), "/dev/md%d", number);
	mknod(path, S_IFBLK | 0600, makedev(MD_MAJOR, number));
	int fd = open(path, O_RDWR);

	ioctl(fd, SET_ARRAY_INFO, &array);
	for (int i = 0; i < 2; i++) {
		struct stat st;

		stat(members[i], &st);
		mdu_disk_info_t disk = {
			.number = i, .raid_disk = i, .major = major(st.st_rdev),
			.minor = minor(st.st_rdev), .state = 1 << MD_DISK_ACTIVE | 1 << MD_DISK_SYNC,
		};

		ioctl(fd, ADD_NEW_DISK, &disk);
	}
	return ioctl(fd, RUN_ARRAY, &run) != 0;
}

int main(int argc, char *argv[])
{
	const char *slash = strrchr(argv[0], '/'), *name = slash ? slash + 1 : argv[0];

	if (strcmp(name, "app") == 0)
		return app();
	if (strcmp(name, "web") == 0)
		return web();
	if (strcmp(name, "bank") == 0)
		return bank();
	if (strcmp(name, "pass") == 0)
		return pass();
	if (strcmp(name, "shm") == 0)
		return shm();
	if (strcmp(name, "service") == 0)
		return service();
	if (strcmp(name, "suid") == 0)
		return 0;
	if (strcmp(name, "machine") == 0)
		return machine(argc > 1 ? atoi(argv[1]) : 70);
	if (strcmp(name, "mirror") == 0 && argc == 4)
		return mirror(atoi(argv[1]), argv + 2);
	fprintf(stderr, "examples: no program %s\n", name);
	return 2;
}
