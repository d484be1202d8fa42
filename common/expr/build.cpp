// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "expr/build.hpp"
#include "expr/arithmetic.hpp"

namespace corebox::expr
{

namespace
{

TypeId int_type(const Code& code) { return code.types().integer(4, true); }

// Through pointers to it that only add a constant.
void strip(const Code& code, NodeId& base, std::int64_t& offset)
{
    while (code[base].op == Op::address) {
        const Node& inner = code[base];
        if (space_of(code, inner.a) != code.type(base).space && code[inner.a].op != Op::context &&
            code[inner.a].op != Op::record)
            return;
        offset += inner.value;
        base = inner.a;
    }
}

// A pointer that lies in user space points there.
TypeId loaded_type(const Code& code, NodeId base, TypeId type)
{
    const Type& t = code.types()[type];
    return t.kind == Type::Kind::pointer && space_of(code, base) == Space::user
               ? code.types().pointer_to(t.target, Space::user)
               : type;
}

} // namespace

bool is_test(Op op)
{
    return op == Op::logical_not || op == Op::logical_and || op == Op::logical_or ||
           op >= Op::truth;
}

bool is_constant(const Code& code, NodeId node) { return code[node].op == Op::constant; }

bool is_byte(const Type& type) { return type.kind == Type::Kind::integer && type.size == 1; }

NodeId make_constant(Code& code, std::int64_t value, TypeId type)
{
    return code.add({.type = type, .value = wrap(value, code.types()[type])});
}

NodeId make_int(Code& code, std::int64_t value)
{
    return make_constant(code, value,
                         code.types().integer(value == std::int32_t(value) ? 4 : 8, true));
}

NodeId make_context(Code& code)
{
    return code.add(
        {.op = Op::context, .type = code.types().pointer_to(TypeId::none, Space::kernel)});
}

NodeId make_record(Code& code)
{
    return code.add(
        {.op = Op::record, .type = code.types().pointer_to(TypeId::none, Space::kernel)});
}

NodeId make_helper(Code& code, Helper helper, TypeId type)
{
    return code.add({.op = Op::helper, .helper = helper, .type = type});
}

Space space_of(const Code& code, NodeId base)
{
    const Op op = code[base].op;
    return op == Op::context || op == Op::record ? Space::kernel : code.type(base).space;
}

NodeId make_load(Code& code, NodeId base, std::int64_t offset, TypeId type, bool trusted)
{
    strip(code, base, offset);
    type = loaded_type(code, base, type);
    return code.add({.op = Op::load,
                     .trusted = trusted,
                     .type = type,
                     .size = code.types()[type].size,
                     .a = base,
                     .value = offset});
}

NodeId make_bitfield(Code& code, NodeId base, std::int64_t bit, std::uint32_t bits, TypeId type)
{
    std::int64_t offset = 0;
    strip(code, base, offset);
    bit += offset * 8;
    for (const unsigned bytes : {1u, 2u, 4u, 8u}) {
        const std::int64_t word = bit / (bytes * 8);
        const std::int64_t first = bit - word * bytes * 8;
        if (bit >= 0 && first + bits <= bytes * 8)
            return code.add({.op = Op::load,
                             .bit = std::uint8_t(first),
                             .bits = std::uint8_t(bits),
                             .type = type,
                             .size = bytes,
                             .a = base,
                             .value = word * bytes});
    }
    return NodeId::none;
}

NodeId make_member(Code& code, NodeId pointer, std::string_view name)
{
    const Type& type = code.type(pointer);
    const auto member =
        type.kind == Type::Kind::pointer ? code.types().member(type.target, name) : std::nullopt;
    if (!member)
        return NodeId::none;
    return member->bits ? make_bitfield(code, pointer, member->bit, member->bits, member->type)
                        : make_load(code, pointer, member->bit / 8, member->type);
}

NodeId make_address(Code& code, NodeId base, std::int64_t offset, TypeId type)
{
    const Space space = code.types()[type].space;
    if (code[base].op == Op::address && space == code.type(base).space)
        strip(code, base, offset);
    if (offset == 0 && code[base].type == type)
        return base;
    return code.add({.op = Op::address, .type = type, .a = base, .value = offset});
}

NodeId make_text(Code& code, NodeId base, std::int64_t offset, std::uint32_t size)
{
    strip(code, base, offset);
    return code.add({.op = Op::text,
                     .type = code.types().character(),
                     .size = size,
                     .a = base,
                     .value = offset});
}

NodeId convert(Code& code, NodeId value, TypeId type)
{
    const Node& n = code[value];
    if (n.type == type)
        return value;
    if (n.op == Op::constant)
        return make_constant(code, n.value, type);
    const Type &from = code.types()[n.type], &to = code.types()[type];
    if (from.kind == Type::Kind::pointer && to.kind == Type::Kind::pointer)
        return make_address(code, value, 0, type);
    if (from.is_number() && to.is_number() && from.size == to.size &&
        from.is_signed == to.is_signed && from.kind != Type::Kind::boolean)
        return value; // another name
    // Only the lowest bytes count: what widened them before does not.
    if (n.op == Op::convert && to.size <= from.size && to.size <= code.type(n.a).size)
        return convert(code, n.a, type);
    return code.add({.op = Op::convert, .type = type, .a = value});
}

TypeId promoted(const Code& code, TypeId type)
{
    const Type& t = code.types()[type];
    if (t.kind == Type::Kind::pointer)
        return code.types().integer(8, false);
    if (t.size < 4 || t.kind == Type::Kind::boolean)
        return int_type(code);
    return code.types().integer(t.size, t.is_signed);
}

TypeId common_type(const Code& code, TypeId a, TypeId b)
{
    a = promoted(code, a);
    b = promoted(code, b);
    const Type &x = code.types()[a], &y = code.types()[b];
    if (x.size != y.size)
        return x.size > y.size ? a : b;
    return x.is_signed ? b : a;
}

NodeId make_unary(Code& code, Op op, NodeId a, TypeId type)
{
    if (is_constant(code, a))
        return make_constant(code, *calculate(op, code.types()[type], code[a].value), type);
    return code.add({.op = op, .type = type, .a = a});
}

NodeId make_binary(Code& code, Op op, NodeId a, NodeId b, TypeId type)
{
    if (is_constant(code, a) && is_constant(code, b))
        if (const auto value = calculate(op, code.types()[type], code[a].value, code[b].value))
            return make_constant(code, *value, type);
    return code.add({.op = op, .type = type, .a = a, .b = b});
}

NodeId make_comparison(Code& code, Op op, NodeId a, NodeId b)
{
    if (is_constant(code, a) && is_constant(code, b))
        return make_constant(code, *calculate(op, code.type(a), code[a].value, code[b].value),
                             int_type(code));
    return code.add({.op = op, .type = int_type(code), .a = a, .b = b});
}

NodeId make_swap(Code& code, NodeId value, unsigned bytes)
{
    const TypeId type = code.types().integer(bytes, false);
    value = convert(code, value, type);
    if (is_constant(code, value))
        return make_constant(code, std::int64_t(swapped(std::uint64_t(code[value].value), bytes)),
                             type);
    return code.add({.op = Op::swap_bytes, .type = type, .size = bytes, .a = value});
}

NodeId make_arithmetic(Code& code, Op op, NodeId a, NodeId b)
{
    const bool is_shift = op == Op::shift_left || op == Op::shift_right;
    const TypeId type =
        is_shift ? promoted(code, code[a].type) : common_type(code, code[a].type, code[b].type);
    b = convert(code, b, is_shift ? promoted(code, code[b].type) : type);
    return make_binary(code, op, convert(code, a, type), b, type);
}

NodeId make_relation(Code& code, Op op, NodeId a, NodeId b)
{
    const TypeId type = common_type(code, code[a].type, code[b].type);
    return make_comparison(code, op, convert(code, a, type), convert(code, b, type));
}

NodeId make_truth(Code& code, NodeId value)
{
    if (is_test(code[value].op))
        return value;
    if (is_constant(code, value))
        return make_constant(code, code[value].value != 0, int_type(code));
    return code.add({.op = Op::truth, .type = int_type(code), .a = value});
}

NodeId make_not(Code& code, NodeId test)
{
    if (is_constant(code, test))
        return make_constant(code, code[test].value == 0, int_type(code));
    return code.add({.op = Op::logical_not, .type = int_type(code), .a = test});
}

NodeId make_and(Code& code, NodeId a, NodeId b)
{
    if (is_constant(code, a))
        return code[a].value ? b : a;
    if (is_constant(code, b))
        return code[b].value ? a : b;
    return code.add({.op = Op::logical_and, .type = int_type(code), .a = a, .b = b});
}

NodeId make_or(Code& code, NodeId a, NodeId b)
{
    if (is_constant(code, a))
        return code[a].value ? a : b;
    if (is_constant(code, b))
        return code[b].value ? b : a;
    return code.add({.op = Op::logical_or, .type = int_type(code), .a = a, .b = b});
}

NodeId make_select(Code& code, NodeId test, NodeId yes, NodeId no)
{
    if (is_constant(code, test))
        return code[test].value ? yes : no;
    return code.add({.op = Op::select, .type = code[yes].type, .a = test, .b = yes, .c = no});
}

} // namespace corebox::expr
