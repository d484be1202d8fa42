/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* Of an open that io_uring did in a worker thread, before 5.19. No errno is that small. */
#define URING_RESULT_UNKNOWN (-0x7fffffff)
