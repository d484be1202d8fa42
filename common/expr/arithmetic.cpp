// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "expr/arithmetic.hpp"

namespace corebox::expr
{

std::int64_t wrap(std::int64_t value, const Type& type)
{
    const auto bits = std::uint64_t(value);
    switch (type.kind == Type::Kind::boolean ? 0 : type.size) {
    case 0:
        return type.kind == Type::Kind::boolean ? value != 0 : value;
    case 1:
        return type.is_signed ? std::int64_t(std::int8_t(bits)) : std::int64_t(std::uint8_t(bits));
    case 2:
        return type.is_signed ? std::int64_t(std::int16_t(bits))
                              : std::int64_t(std::uint16_t(bits));
    case 4:
        return type.is_signed ? std::int64_t(std::int32_t(bits))
                              : std::int64_t(std::uint32_t(bits));
    default:
        return value;
    }
}

std::uint64_t swapped(std::uint64_t value, unsigned bytes)
{
    return __builtin_bswap64(value) >> (64 - 8 * bytes);
}

std::optional<std::int64_t> calculate(Op op, const Type& type, std::int64_t a, std::int64_t b)
{
    const auto ua = std::uint64_t(a), ub = std::uint64_t(b);
    const unsigned shift = unsigned(ub) & (type.size * 8 - 1);
    std::uint64_t result = 0;
    switch (op) {
    case Op::add:
        result = ua + ub;
        break;
    case Op::subtract:
        result = ua - ub;
        break;
    case Op::multiply:
        result = ua * ub;
        break;
    case Op::divide:
    case Op::modulo:
        if (b == 0)
            return std::nullopt;
        if (!type.is_signed)
            result = op == Op::divide ? ua / ub : ua % ub;
        else if (b == -1) // wraps, where the processor would trap
            result = op == Op::divide ? 0 - ua : 0;
        else
            result = std::uint64_t(op == Op::divide ? a / b : a % b);
        break;
    case Op::bit_and:
        result = ua & ub;
        break;
    case Op::bit_or:
        result = ua | ub;
        break;
    case Op::bit_xor:
        result = ua ^ ub;
        break;
    case Op::shift_left:
        result = ua << shift;
        break;
    case Op::shift_right:
        result = type.is_signed ? std::uint64_t(a >> shift) : ua >> shift;
        break;
    case Op::negate:
        result = 0 - ua;
        break;
    case Op::complement:
        result = ~ua;
        break;
    case Op::truth:
        return a != 0;
    case Op::equal:
        return a == b;
    case Op::not_equal:
        return a != b;
    case Op::less:
        return type.is_signed ? a < b : ua < ub;
    case Op::less_or_equal:
        return type.is_signed ? a <= b : ua <= ub;
    default:
        return std::nullopt;
    }
    return wrap(std::int64_t(result), type);
}

} // namespace corebox::expr
