/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#define OFF_TASK_MORE __s32 kernel, user; __u32 image;
#include "../offcpu.h"
