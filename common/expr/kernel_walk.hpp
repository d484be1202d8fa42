// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What the verifier makes of loads, and chains of types in BTF.
#pragma once
#include "kernel/btf.hpp"
#include <bpf/btf.h>

namespace corebox::expr
{

inline constexpr unsigned kMostHops = 32; // of typedefs, pointers and arrays in malformed BTF

inline bool is_modifier(int kind)
{
    return kind == BTF_KIND_CONST || kind == BTF_KIND_VOLATILE || kind == BTF_KIND_RESTRICT ||
           kind == BTF_KIND_TYPEDEF || kind == BTF_KIND_TYPE_TAG;
}

// Behind typedefs and qualifiers; `tag`: the type tag on the way ("user", "rcu").
template <class Btf>
std::uint32_t bare(const Btf& btf, std::uint32_t id, std::string_view* tag = nullptr,
                   std::string_view* alias = nullptr)
{
    for (unsigned hops = 0; id != 0 && hops < kMostHops; hops++) {
        const btf_type* t = btf.at(id);
        if (!t || !is_modifier(btf_kind(t)))
            break;
        if (tag && btf_kind(t) == BTF_KIND_TYPE_TAG)
            *tag = btf.string(t->name_off);
        if (alias && alias->empty() && btf_kind(t) == BTF_KIND_TYPEDEF)
            *alias = btf.string(t->name_off);
        id = t->type;
    }
    return id;
}

// See KernelStructs::walk. After btf.find().
std::int64_t walk_structure(const KernelBtf& btf, std::uint32_t structure, std::uint32_t offset,
                            std::uint32_t size);

} // namespace corebox::expr
