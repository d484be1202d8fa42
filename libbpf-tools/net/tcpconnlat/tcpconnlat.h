/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include "../connect.h"

struct tcpconnlat_config {
	__u64 min_ns;
};
