// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Stacks of slow calls, by ids of bpf/stacks.bpf.h, whose maps they lie in: the BPF file includes
// bpf/stacks.bpf.h, and sends the members of a stack_key that take_stacks() or stack_id() fills.
#pragma once
#include "shape/stacks.hpp"
#include <algorithm>
#include <memory>
#include <set>
#include <utility>

namespace corebox
{

class CallStacks
{
public:
    // The maps of bpf/stacks.bpf.h.
    CallStacks(bpf_map* stacks, bpf_map* spill, bool kernel, bool user);

    // Before the stacks of a record of a process are asked for. Of very many processes those that
    // were met before are forgotten: what the functions below gave ends then.
    void meet(stack_task task);
    // In words, which live until the next meet(); never null. Asked for while the process lives: as
    // soon as the record is there.
    const Frames* kernel(std::int32_t id) { return known_->words.kernel(id); }
    const Frames* user(stack_task task, std::int32_t id);
    // Takes down now what the process has mapped, for it may end soon.
    void note(std::uint32_t pid) { known_->symbols.note({pid, ImageSymbols::image(pid)}); }

private:
    struct Known {
        Known(const CallStacks& of, bpf_map* stacks, bpf_map* spill)
            : words(of.options_, of.unit_, symbols, stacks, spill)
        {
        }
        ImageSymbols symbols;
        StackWords words;
    };

    StackOptions options_;
    StackUnit unit_;
    bpf_map* stacks_;
    bpf_map* spill_;
    std::set<std::pair<std::uint32_t, std::uint32_t>> met_; // process, image
    std::unique_ptr<Known> known_;
};

// Before load, for a tool whose stacks are all of single events: leaves out the maps of sums.
// `storage`: room for so many stacks; 0: there are none.
template <class S>
void prepare_call_stacks(S& s, std::uint32_t storage)
{
    bpf_map__set_autocreate(s.maps.cb_stack_sums, false);
    bpf_map__set_autocreate(s.maps.cb_stack_tasks, false);
    // Without stacks the programs' calls vanish, not the maps.
    bpf_map__set_max_entries(s.maps.cb_stacks, std::max(storage, 1u));
    bpf_map__set_max_entries(s.maps.cb_stacks_spill, std::max(storage / STACK_SPILL_SHARE, 1u));
}

} // namespace corebox
