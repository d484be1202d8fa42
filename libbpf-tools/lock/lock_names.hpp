// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Names of the kernel's locks that are variables: of itself and of its modules.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace corebox
{

class LockNames
{
public:
    // Of /proc/kallsyms, or text like it; none where the kernel hides addresses.
    static LockNames load();
    static LockNames parse(std::string_view text);

    std::optional<std::uint64_t> address_of(std::string_view name) const;
    // "rtnl_mutex"; "init_mm+0x78", of a lock within a variable; the address where it has no name:
    // it lies in memory that was allocated.
    std::string name_of(std::uint64_t address) const;

private:
    struct Symbol {
        std::uint64_t address;
        std::string name;
    };
    std::vector<Symbol> symbols_; // by address, with the ends of what may be named
};

} // namespace corebox
