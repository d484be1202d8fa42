// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "call_stacks.hpp"

namespace corebox
{

CallStacks::CallStacks(bpf_map* stacks, bpf_map* spill, bool kernel, bool user)
    : words_(options_, unit_, symbols_, stacks, spill)
{
    options_.kernel_only = !user;
    options_.user_only = !kernel;
}

const Frames* CallStacks::user(stack_task task, std::int32_t id)
{
    if (id >= 0)
        symbols_.note(task);
    return words_.user(task, id);
}

} // namespace corebox
