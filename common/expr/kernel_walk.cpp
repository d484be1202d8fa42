// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "expr/kernel_walk.hpp"
#include "expr/generate.hpp"

namespace corebox::expr
{

namespace
{

std::int64_t size_of(const KernelBtf& btf, std::uint32_t id)
{
    std::uint64_t count = 1;
    for (unsigned hops = 0; hops < kMostHops; hops++) {
        id = bare(btf, id);
        const btf_type* t = id ? btf.at(id) : nullptr;
        if (!t)
            return -1;
        switch (btf_kind(t)) {
        case BTF_KIND_ARRAY:
            count *= btf_array(t)->nelems;
            id = btf_array(t)->type;
            break;
        case BTF_KIND_PTR:
            return std::int64_t(count * 8);
        case BTF_KIND_INT:
        case BTF_KIND_FLOAT:
        case BTF_KIND_ENUM:
        case BTF_KIND_ENUM64:
        case BTF_KIND_STRUCT:
        case BTF_KIND_UNION:
            return std::int64_t(count * t->size);
        default:
            return -1;
        }
    }
    return -1;
}

} // namespace

// As btf_struct_walk() of 5.10 to 7.2 does, where these agree; where they differ, as the strictest:
// what one of them refuses is refused. Unions and flexible arrays are 5.10's limits.
std::int64_t walk_structure(const KernelBtf& btf, std::uint32_t structure, std::uint32_t offset,
                            std::uint32_t size)
{
    for (unsigned hops = 0; hops < kMostHops; hops++) {
        const btf_type* s = btf.at(structure);
        if (!s || !btf_is_composite(s) || std::uint64_t(offset) + size > s->size)
            return KernelStructs::kRefused;
        bool goes_on = false;
        for (unsigned i = 0; i < btf_vlen(s) && !goes_on; i++) {
            const std::uint32_t bit = btf_member_bit_offset(s, i),
                                bits = btf_member_bitfield_size(s, i);
            std::uint32_t at = bit / 8;
            if (offset + size <= at)
                return KernelStructs::kRefused;
            if (bits != 0) { // the whole of the bitfield
                if (offset <= at)
                    return (bit + bits + 7) / 8 <= offset + size ? KernelStructs::kNumber
                                                                 : KernelStructs::kRefused;
                continue;
            }
            if (offset < at)
                return KernelStructs::kRefused;
            const std::int64_t whole = size_of(btf, btf_members(s)[i].type);
            if (whole < 0)
                return KernelStructs::kRefused;
            const std::uint32_t end = at + std::uint32_t(whole);
            if (offset >= end)
                continue;
            std::uint32_t id = bare(btf, btf_members(s)[i].type);
            while (btf_kind(btf.at(id)) == BTF_KIND_ARRAY)
                id = bare(btf, btf_array(btf.at(id))->type);
            const std::int64_t element = size_of(btf, id);
            if (element <= 0)
                return KernelStructs::kRefused;
            at += (offset - at) / std::uint32_t(element) * std::uint32_t(element);
            const btf_type* t = btf.at(id);
            if (btf_is_composite(t)) {
                structure = id;
                offset -= at;
                goes_on = true;
            } else if (btf_is_ptr(t)) {
                if (size != 8 || offset != at)
                    return KernelStructs::kRefused;
                // Tagged pointers (user, rcu, percpu) get flags that restrict what follows.
                std::string_view tag;
                const std::uint32_t target = bare(btf, t->type, &tag);
                const btf_type* to = target ? btf.at(target) : nullptr;
                return to && tag.empty() && btf_is_composite(to) ? std::int64_t(target)
                                                                 : KernelStructs::kNumber;
            } else
                return offset + size > end ? KernelStructs::kRefused : KernelStructs::kNumber;
        }
        if (!goes_on)
            return KernelStructs::kRefused;
    }
    return KernelStructs::kRefused;
}

} // namespace corebox::expr
