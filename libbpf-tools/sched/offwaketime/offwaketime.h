/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "../wakers.h"
#define OFF_TASK_MORE __s32 kernel, user; __u32 image; struct waker waker;
#include "../offcpu.h"
