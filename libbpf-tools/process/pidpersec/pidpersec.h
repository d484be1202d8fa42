/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/counters.h"

enum new_task {
	NEW_PROCESS,
	NEW_THREAD,
};
