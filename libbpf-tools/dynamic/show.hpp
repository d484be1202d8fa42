// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Captured arguments in words: for a message, and as JSON.
#pragma once
#include "abi/stacks.h"
#include "capture.hpp"
#include "symbols/image.hpp"
#include "symbols/kernel.hpp"
#include <optional>

namespace corebox
{

class ArgumentWriter
{
public:
    explicit ArgumentWriter(const expr::Types& types) : types_(types) {}

    // As its conversion says; "-" where it is missing. Not escaped. `task`: whose user symbols.
    void append_text(std::string& out, const Captured& argument, const CapturedValue& value,
                     stack_task task);
    // One JSON value, and a member "NAME_hex" behind it where text is no UTF-8.
    void append_json(std::string& out, const Captured& argument, const CapturedValue& value,
                     stack_task task);

private:
    // What names a number; empty: its digits do.
    std::string name_of(const Captured& argument, std::uint64_t number, stack_task task);
    std::string shown_bytes(const Captured& argument, std::span<const std::byte> bytes) const;

    const expr::Types& types_;
    std::optional<KernelSymbols> kernel_; // read with the first function of the kernel
    ImageSymbols user_;
};

// A value of a type from its bytes: "{.family = 2, .port = 20480}" without members that are 0, or
// JSON with all.
void append_value(std::string& out, const expr::Types& types, expr::TypeId type,
                  std::span<const std::byte> bytes, bool json);

// The same in text, a line a member, of which those of the structure have `indent` + 2 blanks.
// Escaped. Of a structure that was not read whole it says so.
void append_lines(std::string& out, const expr::Types& types, expr::TypeId type,
                  std::span<const std::byte> bytes, std::size_t indent);

// "A|B|0x40" of a number whose bits an enumeration names.
std::string name_flags(const expr::Types& types, expr::TypeId enumeration, std::uint64_t bits);

} // namespace corebox
