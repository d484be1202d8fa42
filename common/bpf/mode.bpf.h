/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Bits of inodes and open files that are macros, which the kernel's type information does not have.
 * The same from 5.10 to 7.2. */
#pragma once

/* inode.i_mode, uapi/linux/stat.h */
#define S_IFMT 0170000
#define S_IFREG 0100000
#define S_IFDIR 0040000

/* file.f_mode, linux/fs.h */
#define FMODE_OPENED 0x80000 /* the file system's open has succeeded; v4.19 */
#define FMODE_CREATED 0x100000 /* this open has made the file; v4.19 */
#define FMODE_NOACCOUNT 0x20000000 /* the kernel's own, as a file below overlayfs's; v4.19 */
