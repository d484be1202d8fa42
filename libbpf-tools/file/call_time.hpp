// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// User space of call_time.bpf.h.
#pragma once
#include "call_time.h"
#include "probe/launch.hpp"

namespace corebox
{

// Calls by kretprobe whose threads are gone and that were not seen to end.
std::uint64_t unreturned_starts(const bpf_object* object, const bpf_map* starts);

template <class S, class Options>
void calls_detached(S& s, Options&, Account& account)
{
    account.unreturned += unreturned_starts(s.obj, s.maps.cb_starts);
}

} // namespace corebox
