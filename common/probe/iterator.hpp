// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Programs of section iter/..., which the kernel runs when it is asked to: for each task, socket or
// entry of a map.
#pragma once
#include "probe/launch.hpp"

namespace corebox
{

// Of an iterator over entries of a map: which. Null with errno set: refused.
Link attach_iterator(const bpf_program* program, const bpf_map* map = nullptr);

// Runs an attached one to its end; it writes no text. False with errno set: it could not.
bool run_iterator(const bpf_link* link);

} // namespace corebox
