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

// An entry of the bundle, in the section corebox_btf: like tools, entries need no list.
struct alignas(32) BundledTypes {
    const char* release; // of `uname -r`
    const unsigned char* packed;
    std::uint32_t packed_size, size;
};

// `given`: what --btf names, a file (raw BTF, or an ELF file with it) or a directory with
// RELEASE.btf; empty: not given. Null where the kernel has BTF of its own and nothing was given,
// and where no types are to be found. Fails where what was given is not there or no BTF.
std::unique_ptr<KernelBtf> types_from_elsewhere(std::string_view given);

} // namespace corebox
