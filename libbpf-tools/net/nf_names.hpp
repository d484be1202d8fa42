// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What families and hooks of netfilter are called (uapi/linux/netfilter.h and its like of
// families).
#pragma once
#include <span>
#include <string_view>

namespace corebox
{

inline constexpr unsigned kNfFamilies = 16; // numbers, more than there are

// "ip"; empty: there is none of that number.
constexpr std::string_view nf_family_name(unsigned family)
{
    constexpr std::string_view kNames[kNfFamilies] = {"", "inet",   "ip", "arp", "",   "netdev",
                                                      "", "bridge", "",   "",    "ip6"};
    return family < kNfFamilies ? kNames[family] : std::string_view();
}

inline constexpr unsigned kNfHooks = 6;

// "input"; empty: the family has none of that number.
constexpr std::string_view nf_hook_name(unsigned family, unsigned hook)
{
    constexpr std::string_view kPackets[kNfHooks] = {"prerouting", "input",       "forward",
                                                     "output",     "postrouting", "ingress"};
    constexpr std::string_view kArp[] = {"input", "output", "forward"};
    constexpr std::string_view kDevice[] = {"ingress", "egress"};
    const std::string_view family_name = nf_family_name(family);
    const std::span<const std::string_view> names =
        family_name.empty()       ? std::span(kArp).first(0)
        : family_name == "arp"    ? std::span(kArp)
        : family_name == "netdev" ? std::span(kDevice)
                                  : std::span<const std::string_view>(kPackets);
    return hook < names.size() ? names[hook] : std::string_view();
}

} // namespace corebox
