// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// libpcap, reduced to its compiler: what it would ask of devices, files and libc's name services.
#pragma once

struct pcap;

namespace corebox::packet
{

// For packets that begin with their IP header (DLT_RAW); null: no memory.
pcap* open_compiler();

} // namespace corebox::packet
