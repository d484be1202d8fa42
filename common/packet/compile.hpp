// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// libpcap's compiler: from an expression of pcap-filter(7) to classic BPF. Of the library nothing
// else is linked.
#pragma once
#include <linux/filter.h>
#include <string>
#include <string_view>
#include <vector>

namespace corebox::packet
{

struct Compiled {
    std::vector<sock_filter> code;
    std::string error; // what libpcap says; empty: it compiled
};

// For packets that begin with their IP header (DLT_RAW).
Compiled compile(std::string_view expression);

} // namespace corebox::packet
