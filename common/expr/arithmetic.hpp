// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What operators compute on numbers: for constants, for the evaluator, and as the rule for code.
#pragma once
#include "expr/ir.hpp"
#include <optional>

namespace corebox::expr
{

// The value as one of the type: cut to its size and extended to 64 bits by its sign.
std::int64_t wrap(std::int64_t value, const Type& type);

// The operator on one value or two, which are of this type as wrap() gives them (b of a shift: of
// any type). None: a division by zero, or no operator of numbers. Comparisons are 1 or 0.
std::optional<std::int64_t> calculate(Op op, const Type& type, std::int64_t a, std::int64_t b = 0);

// The lowest `bytes` bytes in the other order.
std::uint64_t swapped(std::uint64_t value, unsigned bytes);

} // namespace corebox::expr
