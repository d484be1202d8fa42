/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "abi/counters.h"

enum numamove_counter {
    NUMA_MIGRATIONS,
    NUMA_PAGES,
    NUMA_FAILURES,
    NUMA_NS, /* of both */
};
