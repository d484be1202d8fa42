// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Where the types of a kernel without BTF of its own come from: a file that the user names, the
// bundle that this program carries (make BTF_BUNDLE=DIR), or a directory where bundles are
// installed. scripts/min-btf makes such files; each is some kilobytes.
#pragma once
#include "kernel/btf.hpp"
#include <memory>
#include <string>
#include <string_view>

namespace corebox
{

// `given`: what --btf names, a file (raw BTF, or an ELF file with it) or a directory with
// RELEASE.btf; empty: not given. Null where the kernel has BTF of its own and nothing was given,
// and where no types are to be found. Fails where what was given is not there or no BTF.
std::unique_ptr<KernelBtf> types_from_elsewhere(std::string_view given);

} // namespace corebox
