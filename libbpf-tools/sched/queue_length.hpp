// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// User space of queue_length.bpf.h.
#pragma once
#include "probe/launch.hpp"
#include "queue_length.h"

namespace corebox
{

// The way to the run queues by the kernel's own variables.
inline constexpr std::string_view kByVariable = "runqueues";

// A rung's obstacle: tasks do not know their queue.
Obstacle tasks_without_queue(const Facts& facts);

// Where the kernel keeps the run queues, from its symbols; fails where it does not tell.
run_queues find_run_queues();

// Samplers of run queues: `Task` looks from the running task, `Variable` where the symbols say.
template <auto Task, auto Variable>
consteval Need run_queues_need(AttachFn attach)
{
    return {"the run queues",
            {rung<Task>("cpu-clock", {}, attach, tasks_without_queue),
             rung<Variable>(kByVariable, {}, attach)}};
}

// Once the rungs are chosen.
template <class S>
void resolve_run_queues(S& s, const Launcher& launcher)
{
    for (const Rung* rung : launcher.plan().rungs)
        if (rung->name == kByVariable)
            s.rodata->cb_queues = find_run_queues();
}

} // namespace corebox
