// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The kernel's functions that can be traced, and which of them a pattern chooses.
#pragma once
#include "probe/pattern.hpp"
#include "symbols/point.hpp"
#include <cstddef>
#include <span>
#include <vector>

namespace corebox
{
class KernelBtf;

// What the kernel's lists say, as texts: available_filter_functions (empty: none), the same with
// addresses (6.5+), /proc/kallsyms, and the kprobes' blacklist.
struct FunctionLists {
    std::string traceable, traceable_addresses, symbols, blacklist;
};

// The functions that a pattern chooses, by address. Where not all that share a name are traceable,
// the addresses tell which; without them these are left out, and *doubtful is set.
std::vector<KernelFunction> choose_functions(const FunctionPattern& pattern,
                                             const FunctionLists& lists, bool* doubtful = nullptr);
// Whether it chooses one of a module, of /proc/kallsyms.
bool chooses_of_modules(const FunctionPattern& pattern, std::string_view symbols);
// What a function's first bytes say of whether it can be traced from its entry. `called`: it can,
// if what it begins with is somebody's tracing. `unknown`: it does not look as known.
enum class Entry : std::uint8_t { site, called, other, unknown };
Entry entry_of(std::span<const std::byte> code);

// The running kernel's. COREBOX_FUNCTIONS=lists: by its lists, should what its memory tells be
// wrong on some kernel. `types`: see text_symbols().
std::vector<KernelFunction> find_functions(const FunctionPattern& pattern,
                                           KernelBtf* types = nullptr);
// Takes out those that tracing itself calls, unless the pattern is one's name; how many they were.
std::size_t leave_out_own(std::vector<KernelFunction>& functions, const FunctionPattern& pattern);

// Why no function of that very name can be traced, for a message: the kernel has none, or which of
// its rules forbids it.
std::string explain_untraceable(std::string_view name);

} // namespace corebox
