// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "slabratetop.h"
#include "output/task_fields.hpp"
#include "shape/top.hpp"
#include "symbols/kernel.hpp"
#include <map>

#include "slabratetop.skel.h"

namespace
{
using namespace corebox;
using P = decltype(slabratetop_bpf::progs);

struct Options : slabratetop_config {
    enum Sort { size, count, name } sort = size;
    std::optional<KernelSymbols> symbols{};
};

struct Row {
    std::uint64_t time_ns = 0;
    slab_key key{};
    slab_value value{};
    std::string cache, caller;
};

constexpr Example kExamples[] = {
    {"slabratetop", "Show the slab caches that most bytes are allocated from, every second"},
    {"slabratetop -S -C 10 1", "Print the callers that allocated most in 10 seconds"},
    {"slabratetop -s count -p 181", "Show what process 181 allocates, by number"},
};

constexpr Option kOptions[] = {
    choice<&Options::sort>('s', "sort", "size|count|name", "Sort by this (default: size)"),
    flag<&Options::callers>('S', "callers", "Show each calling function separately"),
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'r', "rows"}, {'C', "noclear"}};

// As in /proc/slabinfo: kmalloc-96, kmalloc-1k.
std::string kmalloc_name(std::uint64_t bytes)
{
    return bytes >= 1024 ? cat("kmalloc-", bytes / 1024, "k") : cat("kmalloc-", bytes);
}

constexpr Column kColumns[] = {
    col<[](const Row& r) { return WallTime{r.time_ns}; }>("time_ns", "TIME", 8,
                                                          "End of the interval", kJsonOnly),
    col<[](const Row& r) { return std::string_view(r.cache); }>("cache", "CACHE", 32,
                                                                "Name of the slab cache"),
    col<[](const Row& r) { return r.value.allocs; }>("allocs", "ALLOCS", -10,
                                                     "Allocations of the interval"),
    col<[](const Row& r) { return r.value.bytes; }>("bytes", "BYTES", -12,
                                                    "Bytes that they took, with padding"),
    col<[](const Row& r) { return std::string_view(r.caller); }>(
        "caller", "CALLER", 0, "Kernel function that allocates", costly("callers")),
};

constexpr Column kFields[] = {
    event_field<field<&slab_event::bytes>>("bytes", "Bytes that the allocation takes"),
    event_field<field<&slab_event::name>>("cache", "Name of the cache; empty: kmalloc"),
    task_field::pid,
    task_field::tid,
    task_field::comm,
    task_field::cpu};

// Its tracepoint went when the other one got the cache.
constexpr std::string_view kBefore61 = "__traceiter_kmem_cache_alloc_node";

constexpr Need kNeeds[] = {
    {.what = "allocations from caches",
     .rungs = {with_function(rung<&P::call_fentry, &P::callnode_fentry>(
                                 "fentry", "failed allocations, which count as well"),
                             kBefore61),
               with_function(rung<&P::call_kprobe, &P::callnode_kprobe>(
                                 "kprobe", "failed allocations, which count as well"),
                             kBefore61),
               rung<&P::cache_raw>("raw_tp")},
     .option = "!callers"},
    {.what = "allocations from caches, and their callers",
     .rungs = {with_function(rung<&P::call_kprobe, &P::callnode_kprobe>(
                                 "kprobe", "failed allocations, which count as well"),
                             kBefore61),
               rung<&P::cache_raw>("raw_tp")},
     .option = "callers"},
    {.what = "allocations by kmalloc",
     .rungs = {rung_any<&P::kmalloc_raw, &P::knode_raw>("raw_tp")}},
};

// Caches of one name, as each module may create them, have one row.
void settle(Options&, Entries& entries)
{
    std::map<std::pair<std::string, std::uint64_t>, std::size_t> places;
    std::size_t kept = 0;
    entries.drop_if([&](std::size_t i) {
        const auto& key = entries.key<slab_key>(i);
        const slab_value value = entries.value<slab_value>(i);
        if (!key.kmalloc) {
            const auto [place, is_new] =
                places.try_emplace({std::string(c_str(value.name)), key.caller}, kept);
            if (!is_new) {
                auto& first = entries.value<slab_value>(place->second);
                first.allocs += value.allocs;
                first.bytes += value.bytes;
                return true;
            }
        }
        kept++;
        return false;
    });
}

void decode(Row& row, const Entries& entries, std::size_t entry)
{
    row.key = entries.key<slab_key>(entry);
    entries.values<slab_value>(entry, [&](const slab_value& value) { row.value = value; });
    row.cache =
        row.key.kmalloc ? kmalloc_name(row.key.kmalloc) : std::string(c_str(row.value.name));
}

void name(Row& row, const Options& o)
{
    row.caller.clear();
    if (!o.symbols)
        return;
    const auto frame = o.symbols->lookup(row.key.caller, At::return_address);
    row.caller = frame ? std::string(frame->name) : to_hex(row.key.caller);
    if (frame && !frame->module.empty())
        row.caller += cat(" [", frame->module, "]");
}

constexpr Top<slabratetop_bpf, Options, Row> kTool{
    .about = {.name = "slabratetop",
              .area = "memory",
              .summary = "Show the slab caches that most memory is allocated from",
              .details = "Prints one line for each slab cache that the kernel allocated from in "
                         "the interval, the one with most bytes first. kmalloc has a line for "
                         "each size of its blocks.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .fields = kFields,
    .collect =
        [](slabratetop_bpf&, Options& o) {
            if (o.callers && !o.symbols)
                o.symbols = KernelSymbols::load();
        },
    .settle = settle,
    .decode = decode,
    .name = name,
    .weight = [](const Row& r, const Options& o) -> std::uint64_t {
        if (o.sort == Options::name) { // the first letters: the order of the alphabet
            std::uint64_t order = 0;
            for (std::size_t i = 0; i < 8; i++)
                order = order << 8 | (i < r.cache.size() ? std::uint8_t(r.cache[i]) : 0u);
            return ~order;
        }
        return o.sort == Options::count ? r.value.allocs : r.value.bytes;
    },
    .events = [](const Row& r) -> std::uint64_t { return r.value.allocs; },
    .also = Shared::callers,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
