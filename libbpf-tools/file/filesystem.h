/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* Operations of a file system that fsslower and fsdist time; each is a slot of filesystems.cpp. */
enum fs_op {
	FS_READ,
	FS_WRITE,
	FS_OPEN,
	FS_FSYNC,
	FS_GETATTR,
	FS_COMMIT,
	FS_OPS
};
