// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What tools that probe the functions of a pattern say of those they leave out.
#pragma once
#include "base/text.hpp"
#include "session/session.hpp"

namespace corebox
{

inline void say_left_out(std::size_t own, const Session& session)
{
    if (own)
        say(session.tool, cat("left out ", own, own == 1 ? " function" : " functions",
                              " of tracing itself, which can be named in full"));
}

} // namespace corebox
