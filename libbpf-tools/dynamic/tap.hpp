// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Where a specification is traced: sets of points whose arguments are in the same places, so that
// one program serves all points of a set.
#pragma once
#include "place.hpp"
#include "probe/points.hpp"
#include "session/session.hpp"
#include <string>
#include <vector>

namespace corebox
{

struct Tap {
    Place place{};
    std::vector<Point> points{};
    std::uint64_t offset = 0; // behind the entry of a function
    // Whether it is one function or event that fentry, fexit or tp_btf could attach to.
    bool may_be_typed = false;
};

// Fails where there is nothing to trace, with what could have been meant. `reads`: expressions read
// arguments or fields, so that points where these differ are apart.
std::vector<Tap> find_taps(const ProbeSpec& spec, const Session& session, bool reads);

} // namespace corebox
