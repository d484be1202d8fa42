// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// --pcap: a tool's packets are selected by an expression of pcap-filter(7), in the kernel.
#pragma once
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace corebox::packet
{

// The object, which includes bpf/packet.bpf.h, with the expression as body of cb_packet(). Fails
// with a usage error where libpcap does not compile it, or it asks for what cannot be had here.
std::vector<std::byte> give_expression(std::span<const std::byte> object,
                                       std::string_view expression);

} // namespace corebox::packet
