// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "tcp_state.hpp"
#include <iterator>

namespace corebox
{

std::string_view tcp_state_name(unsigned state)
{
    static constexpr std::string_view kNames[] = {
        "UNKNOWN",   "ESTABLISHED", "SYN_SENT",     "SYN_RECV",      "FIN_WAIT1",
        "FIN_WAIT2", "TIME_WAIT",   "CLOSE",        "CLOSE_WAIT",    "LAST_ACK",
        "LISTEN",    "CLOSING",     "NEW_SYN_RECV", "BOUND_INACTIVE"};
    return kNames[state < std::size(kNames) ? state : 0];
}

} // namespace corebox
