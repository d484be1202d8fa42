// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// User space of run_queue.bpf.h.
#pragma once
#include "probe/launch.hpp"
#include "run_queue.h"
#include "threads.hpp"

namespace corebox
{

// Switches first: of a wait whose begin is seen, the end has to be seen too, or its begin would be
// taken for that of a later one.
template <class P>
inline constexpr Need kWaitsForCpu{
    "waits for a CPU",
    {rung<&P::switch_tp_btf, &P::wakeup_tp_btf, &P::new_tp_btf>("tp_btf"),
     rung<&P::switch_raw_tp, &P::wakeup_raw_tp, &P::new_raw_tp>("raw_tp")}};

} // namespace corebox
