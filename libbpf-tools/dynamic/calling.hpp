// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Calling conventions: which words of a call's arguments a parameter is in. They are those of the
// System V ABI for x86-64 and of AAPCS64.
#pragma once
#include "expr/type.hpp"
#include <optional>
#include <span>
#include <vector>

namespace corebox
{

// For each parameter the number of its word, counted as the registers for integers are; none: it is
// in none of them (a floating-point number, a large structure).
using ArgumentWords = std::vector<std::optional<std::uint32_t>>;

// Of a program's function. `returns`: none where it is nothing or not known. `has_hidden_result`:
// the first word says where the result goes.
ArgumentWords place_arguments(const expr::Types& types, std::span<const expr::Parameter> parameters,
                              expr::TypeId returns = expr::TypeId::none,
                              bool has_hidden_result = false);

// Of a kernel's function, as its fentry and fexit programs see them: one behind the other, each as
// many words as its type takes (kernel/bpf/btf.c, btf_ctx_access()). `total`: where what it returns
// follows.
ArgumentWords place_in_trampoline(const expr::Types& types,
                                  std::span<const expr::Parameter> parameters,
                                  std::uint32_t& total);

// Which argument a DWARF register is; none: no argument's.
std::optional<std::uint32_t> argument_in_register(std::uint32_t dwarf_register);

} // namespace corebox
