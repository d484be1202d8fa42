// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "lock_names.hpp"
#include "base/path.hpp"
#include "base/text.hpp"
#include <algorithm>
#include <charconv>

namespace corebox
{

LockNames LockNames::load() { return parse(read_file("/proc/kallsyms").value_or("")); }

// "ffffffff82a0c2e0 D rtnl_mutex"; a module's has "\t[nfs]" behind it.
LockNames LockNames::parse(std::string_view text)
{
    LockNames names;
    for (std::string_view line : split(text, '\n')) {
        std::uint64_t address = 0;
        const char* const end = line.data() + line.size();
        const auto [at, error] = std::from_chars(line.data(), end, address, 16);
        if (error != std::errc() || address == 0 || end - at < 4)
            continue;
        const char type = at[1];
        std::string_view name(at + 3, std::size_t(end - at - 3));
        name = name.substr(0, name.find('\t'));
        // Others than variables are kept without a name, to end the variable before them.
        const bool is_variable =
            std::string_view("bBdDrRsSgGvV").find(type) != std::string_view::npos;
        names.symbols_.push_back({address, is_variable ? std::string(name) : std::string()});
    }
    std::ranges::stable_sort(names.symbols_, {}, &Symbol::address);
    return names;
}

std::optional<std::uint64_t> LockNames::address_of(std::string_view name) const
{
    const auto found = std::ranges::find(symbols_, name, &Symbol::name);
    return found == symbols_.end() ? std::optional<std::uint64_t>() : found->address;
}

std::string LockNames::name_of(std::uint64_t address) const
{
    // Behind the last variable of a part of memory others begin that have no names here.
    constexpr std::uint64_t kMostWithin = 1 << 16;
    auto next = std::ranges::upper_bound(symbols_, address, {}, &Symbol::address);
    if (next == symbols_.begin())
        return to_hex(address);
    const Symbol* symbol = &*--next;
    // Of several names of one address the first.
    while (symbol != symbols_.data() && symbol[-1].address == symbol->address)
        symbol--;
    const std::uint64_t offset = address - symbol->address;
    if (symbol->name.empty() || offset > kMostWithin)
        return to_hex(address);
    return offset ? cat(symbol->name, "+", to_hex(offset)) : symbol->name;
}

} // namespace corebox
