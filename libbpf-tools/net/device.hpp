// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A network device of the tool's own network namespace.
#pragma once
#include <cstdint>
#include <string_view>

namespace corebox
{

struct NetDevice {
    std::uint32_t ifindex = 0, netns = 0;
    unsigned tx_queues = 0, rx_queues = 0;
    bool has_xdp = false; // a program that takes packets before the kernel sees them
};

// Fails where there is none of that name.
NetDevice find_net_device(std::string_view name);

} // namespace corebox
