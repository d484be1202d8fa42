/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Names of cgroups that have been seen, on both sides. */
#pragma once
#include "abi/cgroup_note.h"

#define CGROUP_NOTES 1024
