// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// From classic BPF, which libpcap emits, to the BPF of the kernel.
#pragma once
#include <linux/bpf.h>
#include <linux/filter.h>
#include <span>
#include <vector>

namespace corebox::packet
{

// The body of `int cb_packet(const struct packet_view *view)` (bpf/packet.bpf.h): 1 where the
// program accepts the packet, else 0. As in classic BPF, a program that reads behind the packet's
// end (here: that of its linear part), or divides by 0, rejects it. Fails (Failure, usage) for what
// cannot be had here.
std::vector<bpf_insn> translate(std::span<const sock_filter> program);

} // namespace corebox::packet
