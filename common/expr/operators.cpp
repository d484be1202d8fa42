// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// C's operators, on checked operands.
#include "base/text.hpp"
#include "expr/check.hpp"

namespace corebox::expr
{

Operand Checker::check_index(const Tree& tree)
{
    const Operand base = value_of(check(tree.parts[0]));
    const Operand index = value_of(check(tree.parts[1]));
    if (types_[base.type].kind != Type::Kind::pointer || base.kind != Operand::Kind::value)
        refuse(tree, cat("'[' needs an array or a pointer, this is ", describe(base)));
    Operand sum = add_pointer(tree, base, index, false);
    sum.kind = Operand::Kind::place;
    sum.type = types_[sum.type].target;
    sum.length = tree.at + tree.length - base.at;
    sum.at = base.at;
    return sum;
}

Operand Checker::check_located(const Tree& tree)
{
    if (tree.word != "user" && tree.word != "kernel")
        refuse(tree, cat("unknown space '", tree.word, "'"), "'@user' or '@kernel'");
    const Operand o = value_of(check(tree.parts[0]));
    const Space space = tree.word == "user" ? Space::user : Space::kernel;
    const NodeId node = expr::text_of(code_, o.node, space);
    if (node == NodeId::none || o.kind == Operand::Kind::text)
        refuse(o, cat("this is no address but ", describe(o)));
    Operand text = of_value(node, tree);
    text.kind = Operand::Kind::text;
    return text;
}

Operand Checker::check_unary(const Tree& tree)
{
    const Operand operand = check(tree.parts[0]);
    switch (tree.sign) {
    case Sign::exclamation:
        return of_value(make_not(code_, test_of(operand)), tree);
    case Sign::star: {
        Operand place = value_of(operand);
        if (place.kind != Operand::Kind::value || types_[place.type].kind != Type::Kind::pointer)
            refuse(tree, cat("'*' needs a pointer, this is ", describe(place)));
        place.type = types_[place.type].target;
        if (place.type == TypeId::none)
            refuse(tree, "the pointer does not say to what it points",
                   "cast it: *(unsigned int *)pointer");
        place.kind = Operand::Kind::place;
        place.bit = 0;
        place.at = tree.at;
        return place;
    }
    case Sign::ampersand:
        if (operand.kind != Operand::Kind::place)
            refuse(tree, "'&' needs something in memory");
        if (operand.bits)
            refuse(tree, "a bitfield has no address");
        return of_value(address_of(operand, operand.type), tree);
    default:
        break;
    }
    const NodeId value = number_of(operand);
    if (types_[code_[value].type].kind == Type::Kind::pointer)
        refuse(tree, cat("'", syntax_[tree.parts[0]].word, "' is a pointer"));
    const TypeId type = promoted(code_, code_[value].type);
    const NodeId number = convert(code_, value, type);
    Operand result =
        of_value(tree.sign == Sign::plus
                     ? number
                     : make_unary(code_, tree.sign == Sign::minus ? Op::negate : Op::complement,
                                  number, type),
                 tree);
    return result;
}

Operand Checker::add_pointer(const Tree& tree, const Operand& pointer, const Operand& number,
                             bool is_negative)
{
    const Type& type = types_[pointer.type];
    // C says nothing of void *; GNU's compilers count bytes.
    const std::int64_t size = type.target == TypeId::none ? 1 : types_[type.target].size;
    if (size == 0)
        refuse(tree, cat("the size of ", types_[type.target].name, " is unknown"));
    const TypeId wide = types_.integer(8, true);
    const NodeId count = number_of(number);
    if (types_[code_[count].type].kind == Type::Kind::pointer)
        refuse(tree, "two pointers cannot be added");
    const NodeId bytes = make_binary(code_, Op::multiply, convert(code_, count, wide),
                                     make_constant(code_, is_negative ? -size : size, wide), wide);
    const NodeId sum = is_constant(code_, bytes)
                           ? make_address(code_, pointer.node, code_[bytes].value, pointer.type)
                           : make_binary(code_, Op::add, pointer.node, bytes, pointer.type);
    return {.node = sum, .type = pointer.type, .at = tree.at, .length = tree.length};
}

Operand Checker::check_binary(const Tree& tree)
{
    switch (tree.sign) {
    case Sign::logical_and: {
        const NodeId a = condition(tree.parts[0]);
        return of_value(make_and(code_, a, condition(tree.parts[1])), tree);
    }
    case Sign::logical_or: {
        const NodeId a = condition(tree.parts[0]);
        return of_value(make_or(code_, a, condition(tree.parts[1])), tree);
    }
    case Sign::equal:
    case Sign::not_equal:
    case Sign::less:
    case Sign::less_equal:
    case Sign::greater:
    case Sign::greater_equal:
    case Sign::tilde:
    case Sign::matches: {
        const Operand a = check(tree.parts[0]);
        return of_value(compare(tree, tree.sign, a, check(tree.parts[1])), tree);
    }
    default:
        break;
    }
    constexpr std::pair<Sign, Op> kOps[] = {
        {Sign::plus, Op::add},
        {Sign::minus, Op::subtract},
        {Sign::star, Op::multiply},
        {Sign::slash, Op::divide},
        {Sign::percent, Op::modulo},
        {Sign::ampersand, Op::bit_and},
        {Sign::pipe, Op::bit_or},
        {Sign::caret, Op::bit_xor},
        {Sign::shift_left, Op::shift_left},
        {Sign::shift_right, Op::shift_right},
    };
    Op op = Op::add;
    for (const auto& [sign, operation] : kOps)
        if (sign == tree.sign)
            op = operation;
    Operand a = check(tree.parts[0]), b = check(tree.parts[1]);
    if (const auto result = calculate_units(tree, op, a, b))
        return *result;
    a = value_of(a);
    b = value_of(b);
    const NodeId x = number_of(a), y = number_of(b);
    const auto is_pointer = [this](const Operand& o) {
        return types_[o.type].kind == Type::Kind::pointer;
    };
    if (tree.sign == Sign::plus && (is_pointer(a) || is_pointer(b)))
        return is_pointer(a) ? add_pointer(tree, a, b, false) : add_pointer(tree, b, a, false);
    if (tree.sign == Sign::minus && is_pointer(a)) {
        if (!is_pointer(b))
            return add_pointer(tree, a, b, true);
        const TypeId wide = types_.integer(8, true);
        const std::uint32_t size = types_[types_[a.type].target].size;
        return of_value(make_binary(code_, Op::divide,
                                    make_binary(code_, Op::subtract, convert(code_, x, wide),
                                                convert(code_, y, wide), wide),
                                    make_constant(code_, size ? size : 1, wide), wide),
                        tree);
    }
    if ((op == Op::divide || op == Op::modulo) && is_constant(code_, y) && code_[y].value == 0)
        refuse(tree, "division by zero");
    return of_value(make_arithmetic(code_, op, x, y), tree);
}

Operand Checker::check_conditional(const Tree& tree)
{
    const NodeId test = condition(tree.parts[0]);
    const Operand yes = value_of(check(tree.parts[1])), no = value_of(check(tree.parts[2]));
    if (yes.kind != Operand::Kind::value || no.kind != Operand::Kind::value)
        refuse(tree, "'?:' chooses between numbers or pointers only");
    const NodeId a = number_of(yes), b = number_of(no);
    const bool a_points = types_[yes.type].kind == Type::Kind::pointer;
    const bool b_points = types_[no.type].kind == Type::Kind::pointer;
    const auto is_null = [this](NodeId n) { return is_constant(code_, n) && code_[n].value == 0; };
    if (a_points != b_points && !is_null(a_points ? b : a))
        refuse(tree, "'?:' chooses between a pointer and a number", "cast one of them");
    // A pointer and 0 is a pointer, two different ones are as the first.
    const TypeId type = a_points   ? yes.type
                        : b_points ? no.type
                                   : common_type(code_, yes.type, no.type);
    return of_value(make_select(code_, test, convert(code_, a, type), convert(code_, b, type)),
                    tree);
}

Operand Checker::check_cast(const Tree& tree)
{
    const Operand operand = check(tree.parts[0]);
    const Type& to = types_[tree.type];
    const NodeId value = number_of(operand);
    const Type& from = types_[code_[value].type];
    switch (to.kind) {
    case Type::Kind::boolean:
        return of_value(make_truth(code_, value), tree);
    case Type::Kind::pointer: {
        // Where it points is known of a pointer, unless the cast says it.
        TypeId type = tree.type;
        if (from.kind == Type::Kind::pointer && to.space != Space::user &&
            from.space != Space::unknown)
            type = types_.pointer_to(to.target, from.space);
        const NodeId wide = from.kind == Type::Kind::pointer || from.size == 8
                                ? value
                                : convert(code_, value, types_.integer(8, from.is_signed));
        return of_value(convert(code_, wide, type), tree);
    }
    case Type::Kind::integer:
    case Type::Kind::enumeration: {
        Operand o = of_value(convert(code_, value, tree.type), tree);
        if (to.kind == Type::Kind::enumeration)
            o.named_by = tree.type;
        return o;
    }
    case Type::Kind::floating:
        refuse(tree, cat("floating-point values are not supported, this casts to '", to.name, "'"));
    default:
        refuse(tree, cat("no value can be cast to '", to.name, "'"), "a pointer to it can");
    }
}

std::uint32_t Checker::offset_of(TypeId structure, TreeId id, TypeId& type)
{
    const Tree& tree = syntax_[id];
    std::uint32_t offset = 0;
    if (tree.form == Form::index) {
        offset = offset_of(structure, tree.parts[0], type);
        if (types_[type].kind != Type::Kind::array)
            refuse(tree, "'[' needs an array");
        type = types_[type].target;
        return offset + std::uint32_t(constant_of(tree.parts[1])) * types_[type].size;
    }
    type = structure;
    if (tree.form == Form::member)
        offset = offset_of(structure, tree.parts[0], type);
    if (types_[type].kind != Type::Kind::structure)
        refuse(tree, cat("'", types_[type].name, "' is no structure"));
    const Member member = member_of(type, tree);
    if (member.bits)
        refuse(tree, "a bitfield has no offset");
    type = member.type;
    return offset + member.bit / 8;
}

std::int64_t Checker::constant_of(TreeId id)
{
    const Operand o = check(id);
    const NodeId node = number_of(o);
    if (!is_constant(code_, node))
        refuse(o, "expected a constant");
    return code_[node].value;
}

Operand Checker::check_size(const Tree& tree)
{
    const Tree& argument = syntax_[tree.parts[0]];
    std::uint32_t size = 0;
    if (tree.form == Form::offset_of) {
        TypeId type{};
        size = offset_of(argument.type, tree.parts[1], type);
    } else {
        TypeId type = argument.type;
        if (argument.form != Form::type) {
            const Operand o = check(tree.parts[0]);
            if (o.kind == Operand::Kind::string || o.kind == Operand::Kind::text)
                refuse(o, "a text has no size");
            type = o.type;
        }
        size = types_[type].size;
        if (size == 0)
            refuse(tree, cat("the size of '", types_[type].name, "' is unknown"));
    }
    return of_value(make_constant(code_, size, types_.integer(8, false)), tree);
}

Operand Checker::check_container(const Tree& tree)
{
    const Operand pointer = value_of(check(tree.parts[0]));
    if (pointer.kind != Operand::Kind::value || types_[pointer.type].kind != Type::Kind::pointer)
        refuse(pointer, cat("container_of needs a pointer, this is ", describe(pointer)));
    const TypeId target = syntax_[tree.parts[1]].type;
    TypeId member{};
    const std::uint32_t offset = offset_of(target, tree.parts[2], member);
    return of_value(make_address(code_, pointer.node, -std::int64_t(offset),
                                 types_.pointer_to(target, types_[pointer.type].space)),
                    tree);
}

} // namespace corebox::expr
