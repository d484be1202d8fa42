// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Stacks of slow calls, by ids of bpf/stacks.bpf.h, whose maps they lie in: the BPF file includes
// bpf/stacks.bpf.h, and sends the members of a stack_key that take_stacks() or stack_id() fills.
#pragma once
#include "shape/stacks.hpp"

namespace corebox
{

class CallStacks
{
public:
    // The maps of bpf/stacks.bpf.h.
    CallStacks(bpf_map* stacks, bpf_map* spill, bool kernel, bool user);

    // In words, which live as long as this; never null. Asked for while the process lives: as soon
    // as the record is there.
    const Frames* kernel(std::int32_t id) { return words_.kernel(id); }
    const Frames* user(stack_task task, std::int32_t id);
    // Takes down now what the process has mapped, for it may end soon.
    void note(std::uint32_t pid) { symbols_.note({pid, ImageSymbols::image(pid)}); }

private:
    StackOptions options_;
    StackUnit unit_;
    ImageSymbols symbols_;
    StackWords words_;
};

// Before load, for a tool whose stacks are all of single events: leaves out the maps of sums.
template <class S>
void prepare_call_stacks(S& s, bool wanted)
{
    bpf_map__set_autocreate(s.maps.cb_stack_sums, false);
    bpf_map__set_autocreate(s.maps.cb_stack_tasks, false);
    if (!wanted) // the programs' calls vanish, not the maps
        for (bpf_map* map : {s.maps.cb_stacks, s.maps.cb_stacks_spill})
            bpf_map__set_max_entries(map, 1);
}

} // namespace corebox
