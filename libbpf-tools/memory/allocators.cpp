// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "allocators.hpp"
#include "base/text.hpp"
#include <algorithm>

namespace corebox
{
namespace
{

// Functions with the same arguments. Two that one address has are attached once.
struct Family {
    std::string_view program;
    std::array<std::string_view, 20> names;
};

constexpr Family kAllocating[] = {
    {"malloc_enter", {"malloc"}},
    // operator new and new[], with alignment, and without exceptions; what may lead to malloc().
    {"new_enter",
     {"_Znwm", "_Znam", "_ZnwmRKSt9nothrow_t", "_ZnamRKSt9nothrow_t", "_ZnwmSt11align_val_t",
      "_ZnamSt11align_val_t", "_ZnwmSt11align_val_tRKSt9nothrow_t",
      "_ZnamSt11align_val_tRKSt9nothrow_t", "mallocx", "valloc", "pvalloc"}},
    {"calloc_enter", {"calloc"}},
    {"realloc_enter", {"realloc", "rallocx"}},
    {"rearray_enter", {"reallocarray"}},
    {"posix_enter", {"posix_memalign"}},
    {"aligned_enter", {"memalign", "aligned_alloc"}},
};

constexpr Family kMapping[] = {
    {"mmap_enter", {"mmap", "mmap64"}},
    {"mremap_enter", {"mremap"}},
};

constexpr Family kFreeing[] = {
    {"free_enter",
     {"free", "cfree", "free_sized", "free_aligned_sized", "dallocx", "sdallocx", "_ZdlPv",
      "_ZdaPv", "_ZdlPvm", "_ZdaPvm", "_ZdlPvRKSt9nothrow_t", "_ZdaPvRKSt9nothrow_t",
      "_ZdlPvSt11align_val_t", "_ZdaPvSt11align_val_t", "_ZdlPvmSt11align_val_t",
      "_ZdaPvmSt11align_val_t", "_ZdlPvSt11align_val_tRKSt9nothrow_t",
      "_ZdaPvSt11align_val_tRKSt9nothrow_t"}},
    {"munmap_enter", {"munmap"}},
};

// Of these, C++'s own libraries free by free() and are not among those that free.
constexpr std::array<std::string_view, 10> kAllocators = {
    "c", "ld-musl-", "jemalloc", "tcmalloc", "tcmalloc_minimal", "mimalloc"};
constexpr std::array<std::string_view, 10> kWithCxx = {
    "c",        "ld-musl-", "jemalloc", "tcmalloc", "tcmalloc_minimal",
    "mimalloc", "stdc++",   "c++",      "c++abi"};

} // namespace

AllocatorSites::AllocatorSites(std::string_view prefix, bool mappings)
{
    Functions& returns = sites_["alloc_return"];
    returns.site = {.libraries = kWithCxx, .in_program = true};
    const auto add = [&](const Family& family, const auto& libraries, bool optional) {
        Functions& functions = sites_[std::string(family.program)];
        functions.site = {.libraries = libraries, .in_program = true, .optional = optional};
        for (const std::string_view name : family.names)
            if (!name.empty())
                functions.names.push_back(
                    prefix.empty() ? name : prefixed_.emplace_back(cat(prefix, name)));
        functions.site.symbols = functions.names;
        return std::span(functions.names);
    };
    const auto add_allocating = [&](std::span<const Family> families) {
        for (const Family& family : families)
            for (const std::string_view name : add(family, kWithCxx, true))
                returns.names.push_back(name);
    };
    for (const Family& family : kFreeing)
        add(family, kAllocators, family.program != "free_enter");
    add_allocating(kAllocating);
    if (mappings)
        add_allocating(kMapping);
    returns.site.symbols = returns.names;
}

} // namespace corebox
