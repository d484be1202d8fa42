// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What the tools that include dcache.bpf.h need.
#pragma once
#include "probe/ladder.hpp"

namespace corebox
{

// P: the skeleton's programs.
template <class P>
inline constexpr Need kDcacheNeeds[] = {
    {"look-ups of path walks",
     {rung<&P::walk_fexit>("fexit"), rung<&P::walk_kprobe, &P::walk_kretprobe>("kprobe")}},
    {"other look-ups",
     {rung<&P::search_fexit>("fexit"), rung<&P::search_kprobe, &P::search_kret>("kprobe")}},
    {"the file system being asked",
     {rung<&P::asked_fentry>("fentry"), rung<&P::asked_kprobe>("kprobe")}},
};

} // namespace corebox
