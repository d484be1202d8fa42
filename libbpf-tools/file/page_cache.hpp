// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What the tools that include page_cache.bpf.h need, and what its numbers mean.
#pragma once
#include "base/text.hpp"
#include "page_cache.h"
#include "probe/ladder.hpp"
#include <algorithm>

namespace corebox
{

// A kprobe on a function that is not there costs more than all the other probes: 5.10 looks through
// all its symbols for it, and then the others are loaded and attached once more.
inline Obstacle no_folios(const Facts& facts)
{
    if (facts.has(Facts::Name::btf_tracepoint, "writeback_dirty_page") == Answer::yes)
        return {Cause::no_function, "filemap_read_folio"};
    return {};
}

// P: the skeleton's programs.
template <class P>
inline constexpr Need kPageCacheNeeds[] = {
    {"reads",
     {rung<&P::read_fentry>("fentry"), rung<&P::oldread_fentry>("fentry"),
      rung<&P::read_kprobe>("kprobe"), rung<&P::oldread_kprobe>("kprobe")}},
    {"pages read from storage",
     {rung<&P::readin_fentry>("fentry"), rung<&P::readin_kprobe>("kprobe")}},
    {"pages becoming dirty",
     {rung<&P::dirty_tp_btf>("tp_btf"), rung<&P::olddirty_tp_btf>("tp_btf"),
      rung<&P::dirty_raw_tp>("raw_tp"), rung<&P::olddirty_raw_tp>("raw_tp")}},
    {.what = "page faults",
     .rungs = {rung<&P::fault_fentry>("fentry"), rung<&P::fault_kprobe>("kprobe")},
     .optional = true,
     .without = "page faults"},
    {.what = "reads of tmpfs",
     .rungs = {rung<&P::shmem_fentry>("fentry"), rung<&P::shmem_kprobe>("kprobe")},
     .optional = true,
     .without = "reads of tmpfs"},
    {.what = "pages read one by one",
     .rungs = {rung<&P::single_fentry>("fentry"),
               rung<&P::single_kprobe>("kprobe", {}, nullptr, no_folios)},
     .optional = true,
     .without = "pages read without read-ahead (MADV_RANDOM)"},
    {.what = "sendfile and splice",
     .rungs = {rung_any<&P::splice_fexit, &P::shsplice_fexit>("fexit")},
     .optional = true,
     .without = "sendfile and splice since 6.5"},
    {.what = "pages of tmpfs becoming dirty",
     .rungs = {rung_any<&P::shdirty_fexit, &P::oldshdirt_fexit>("fexit")},
     .optional = true,
     .without = "tmpfs pages becoming dirty"},
};

// A page that was asked for is a hit or a miss. What was read from storage was missing, but not
// more than was asked for: the rest was read ahead.
struct PageCacheUse {
    std::uint64_t asked = 0, misses = 0, hits = 0;

    constexpr PageCacheUse(std::uint64_t reads, std::uint64_t faults, std::uint64_t read_in)
        : asked(reads + faults), misses(std::min(asked, read_in)), hits(asked - misses)
    {
    }
};

// "98.76%" needs parts in hundredths of a percent; 0 of nothing.
constexpr std::uint64_t share_percent_2(std::uint64_t part, std::uint64_t whole)
{
    return whole ? std::uint64_t(static_cast<unsigned __int128>(part) * 10'000 / whole) : 0;
}

struct MemoryUse {
    std::uint64_t buffers_kib = 0, cached_kib = 0;
};

// From /proc/meminfo, which is read without the page cache.
MemoryUse memory_use();

} // namespace corebox
