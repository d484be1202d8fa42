// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#pragma once
#include "session/session.hpp"

namespace corebox
{

// BCC's --port of a tool that looks at one side of connections: `side`, for which the kit has an
// option, too.
inline void restrict_ports(const PortSet& asked, PortSet& side, std::string_view option)
{
    if (!asked.given)
        return;
    if (side.given)
        fail_usage(cat("--port and --", option, " are the same here; omit one"));
    side = asked;
}

} // namespace corebox
