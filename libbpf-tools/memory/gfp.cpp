// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "gfp.hpp"
#include "base/text.hpp"

namespace corebox
{
namespace
{

// include/linux/gfp_types.h: these bits are the same from v5.10 to v7.2. The sets come first, the
// largest before those that it contains.
struct Flags {
    std::uint32_t bits;
    std::string_view name;
};
constexpr Flags kFlags[] = {
    {0x1c24ca, "GFP_TRANSHUGE"},
    {0x1c20ca, "GFP_TRANSHUGE_LIGHT"},
    {0x100cca, "GFP_HIGHUSER_MOVABLE"},
    {0x100cc2, "GFP_HIGHUSER"},
    {0x100cc0, "GFP_USER"},
    {0x400cc0, "GFP_KERNEL_ACCOUNT"},
    {0xcc0, "GFP_KERNEL"},
    {0xc40, "GFP_NOFS"},
    {0x820, "GFP_ATOMIC"},
    {0xc00, "GFP_NOIO"},
    {0x800, "GFP_NOWAIT"},
    {0x1, "GFP_DMA"},
    {0x2, "__GFP_HIGHMEM"},
    {0x4, "GFP_DMA32"},
    {0x8, "__GFP_MOVABLE"},
    {0x10, "__GFP_RECLAIMABLE"},
    {0x20, "__GFP_HIGH"},
    {0x40, "__GFP_IO"},
    {0x80, "__GFP_FS"},
    {0x100, "__GFP_ZERO"},
    {0x400, "__GFP_DIRECT_RECLAIM"},
    {0x1000, "__GFP_WRITE"},
    {0x2000, "__GFP_NOWARN"},
    {0x4000, "__GFP_RETRY_MAYFAIL"},
    {0x8000, "__GFP_NOFAIL"},
    {0x10000, "__GFP_NORETRY"},
    {0x20000, "__GFP_MEMALLOC"},
    {0x40000, "__GFP_COMP"},
    {0x80000, "__GFP_NOMEMALLOC"},
    {0x100000, "__GFP_HARDWALL"},
    {0x200000, "__GFP_THISNODE"},
    {0x400000, "__GFP_ACCOUNT"},
};

} // namespace

std::string gfp_text(std::uint32_t flags)
{
    std::string text;
    const auto add = [&](std::string_view name) {
        if (!text.empty())
            text += '|';
        text += name;
    };
    for (const Flags& set : kFlags)
        if ((flags & set.bits) == set.bits) {
            add(set.name);
            flags &= ~set.bits;
        }
    if (flags || text.empty())
        add(cat("0x", to_hex(flags)));
    return text;
}

} // namespace corebox
