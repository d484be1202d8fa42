// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Values with units: columns such as lat_us, whatever the record has them in, and times as they are
// written. What has no unit counts in that of the column.
#include "expr/check.hpp"

namespace corebox::expr
{

namespace
{

bool is_same(const Measure& a, const Measure& b)
{
    return a.per_unit == b.per_unit && a.ns_per_unit == b.ns_per_unit;
}

} // namespace

bool Checker::has_unit(const Operand& o) const
{
    return o.kind == Operand::Kind::literal
               ? o.token->number.unit == Number::Unit::time
               : o.kind == Operand::Kind::value &&
                     (o.measure.per_unit != 1 || o.measure.ns_per_unit != 0);
}

bool Checker::is_time(const Operand& o) const
{
    return has_unit(o) && (o.kind == Operand::Kind::literal || o.measure.ns_per_unit != 0);
}

NodeId Checker::scale(const Operand& literal, const Measure& measure, bool& is_cut)
{
    const Number& n = literal.token->number;
    unsigned __int128 value = n.value, divisor = 1;
    value *= measure.per_unit;
    if (n.unit == Number::Unit::time) {
        if (measure.ns_per_unit == 0)
            refuse(literal, "a time is compared with something that is no time");
        divisor = measure.ns_per_unit;
    } else
        for (unsigned i = 0; i < n.decimals; i++)
            divisor *= 10;
    is_cut = value % divisor != 0;
    value /= divisor;
    if (value >> 63 != 0)
        refuse(literal, "the number has more than 64 bits in the units of the column");
    return make_int(code_, std::int64_t(value));
}

NodeId Checker::in_ns(const Operand& o)
{
    if (o.kind == Operand::Kind::literal)
        return o.node;
    const TypeId type = types_.integer(8, types_[promoted(code_, o.type)].is_signed);
    const auto by = [&](Op op, NodeId a, std::uint64_t b) {
        return b == 1
                   ? a
                   : make_binary(code_, op, a, make_constant(code_, std::int64_t(b), type), type);
    };
    const auto [per_unit, ns_per_unit] = o.measure;
    const NodeId raw = convert(code_, o.node, type);
    if (ns_per_unit % per_unit == 0)
        return by(Op::multiply, raw, ns_per_unit / per_unit);
    return by(Op::divide, by(Op::multiply, raw, ns_per_unit), per_unit);
}

// The value as the record has it.
NodeId Checker::raw_of(Operand o)
{
    o.measure = {};
    return number_of(o);
}

std::optional<Operand> Checker::calculate_units(const Tree& tree, Op op, const Operand& a,
                                                const Operand& b)
{
    constexpr Measure kNanoseconds{1, 1};
    const bool is_sum = op == Op::add || op == Op::subtract;
    if ((!has_unit(a) && !has_unit(b)) || (!is_sum && op != Op::multiply && op != Op::divide))
        return std::nullopt;
    const auto result = [&](NodeId x, NodeId y, const Measure& measure) {
        Operand o = of_value(make_arithmetic(code_, op, x, y), tree);
        o.measure = measure;
        return o;
    };
    const bool a_is_written = a.kind == Operand::Kind::literal,
               b_is_written = b.kind == Operand::Kind::literal;
    if (is_sum && has_unit(a) && has_unit(b) && !a_is_written && !b_is_written &&
        is_same(a.measure, b.measure))
        return result(a.node, b.node, a.measure);
    if (is_sum && a_is_written != b_is_written) {
        const Operand &written = a_is_written ? a : b, &value = a_is_written ? b : a;
        if (has_unit(value)) {
            bool is_cut = false;
            const NodeId scaled = scale(written, value.measure, is_cut);
            if (is_cut)
                refuse(written, "the column has no such fraction");
            return a_is_written ? result(scaled, b.node, value.measure)
                                : result(a.node, scaled, value.measure);
        }
    }
    if (is_time(a) && is_time(b) && op != Op::multiply)
        return result(in_ns(a), in_ns(b), is_sum ? kNanoseconds : Measure{});
    // A multiple, or a part.
    const auto measure = [&](const Operand& o) {
        return o.kind == Operand::Kind::literal ? kNanoseconds : o.measure;
    };
    if (!is_sum && has_unit(a) && !has_unit(b))
        return result(raw_of(a), number_of(b), measure(a));
    if (op == Op::multiply && has_unit(b) && !has_unit(a))
        return result(number_of(a), raw_of(b), measure(b));
    return std::nullopt;
}

std::optional<NodeId> Checker::compare_units(Sign sign, const Operand& a, const Operand& b)
{
    if (a.kind == Operand::Kind::literal || !has_unit(a))
        return std::nullopt;
    if (b.kind == Operand::Kind::literal)
        return compare_measured(sign, a, b);
    if (has_unit(b) && is_same(a.measure, b.measure))
        return compare_numbers(sign, a.node, b.node);
    if (is_time(a) && is_time(b))
        return compare_numbers(sign, in_ns(a), in_ns(b));
    return std::nullopt;
}

NodeId Checker::compare_measured(Sign sign, const Operand& value, const Operand& literal)
{
    bool is_cut = false;
    const NodeId limit = scale(literal, value.measure, is_cut);
    if (is_cut && (sign == Sign::equal || sign == Sign::not_equal))
        refuse(literal, "never equal: the column has no such fraction");
    if (is_cut) // between two values: x < 1.5 is x <= 1
        sign = sign == Sign::less            ? Sign::less_equal
               : sign == Sign::greater_equal ? Sign::greater
                                             : sign;
    return compare_numbers(sign, value.node, limit);
}

} // namespace corebox::expr
