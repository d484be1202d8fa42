/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/counters.h"

enum vfs_call {
	VFS_READ,
	VFS_WRITE,
	VFS_FSYNC,
	VFS_OPEN,
	VFS_CREATE,
	VFS_UNLINK,
	VFS_MKDIR,
	VFS_RMDIR,
};

struct vfsstat_config {
	bool layers; /* what overlayfs does in its layers too */
};
