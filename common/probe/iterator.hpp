// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Programs that the kernel runs for each of something: sockets, tasks, elements of a map.
#pragma once
#include "session/session.hpp"
#include <bpf/libbpf.h>

namespace corebox
{

// Runs a loaded iterator once, over all that it iterates over: of "iter/bpf_map_elem" the elements
// of `map`. False with errno set.
bool run_iterator(const bpf_program* program, const bpf_map* map = nullptr);

// Of a rung: nothing attaches such a program, its tool runs it.
inline std::vector<bpf_link*> leave_iterator(const Session&, const bpf_program*)
{
    return links_elsewhere();
}

} // namespace corebox
