// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Names of netfilter, and what its modules' types look like on this kernel.
#pragma once
#include "netfilter.h"
#include "tool/need.hpp"
#include <string_view>
#include <vector>

namespace corebox
{

// "ip", "inet"; "input", "ingress".
std::string_view nf_family_name(unsigned family);
std::string_view nf_hook_name(unsigned family, unsigned hook);

// Of the modules that are loaded; reads the kernel's BTF.
nf_offsets read_nf_offsets();

// The functions that evaluate rules, of the modules that are loaded: "%nft", "%ipt", "%ip6t".
std::vector<Target> rule_targets();

} // namespace corebox
