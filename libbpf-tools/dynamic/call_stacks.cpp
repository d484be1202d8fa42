// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "call_stacks.hpp"

namespace corebox
{

CallStacks::CallStacks(bpf_map* stacks, bpf_map* spill, bool kernel, bool user)
    : stacks_(stacks), spill_(spill)
{
    options_.kernel_only = !user;
    options_.user_only = !kernel;
    known_ = std::make_unique<Known>(*this, stacks_, spill_);
}

void CallStacks::meet(stack_task task)
{
    constexpr std::size_t kMostMet = 1024; // each with its mappings, names and stacks
    if (met_.contains({task.pid, task.image}))
        return;
    if (met_.size() == kMostMet) {
        met_.clear();
        known_ = std::make_unique<Known>(*this, stacks_, spill_);
    }
    met_.emplace(task.pid, task.image);
}

const Frames* CallStacks::user(stack_task task, std::int32_t id)
{
    if (id >= 0)
        known_->symbols.note(task);
    return known_->words.user(task, id);
}

} // namespace corebox
