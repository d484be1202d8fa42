// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "expr/check.hpp"
#include "base/text.hpp"
#include "expr/constants.hpp"
#include "expr/hint.hpp"
#include <utility>

namespace corebox::expr
{

void Checker::refuse(const Tree& tree, const std::string& what, std::string hint)
{
    throw TextError(tree.at, std::max(tree.length, 1u), what, std::move(hint));
}

void Checker::refuse(const Operand& operand, const std::string& what, std::string hint)
{
    throw TextError(operand.at, std::max(operand.length, 1u), what, std::move(hint));
}

std::string Checker::describe(const Operand& operand) const
{
    switch (operand.kind) {
    case Operand::Kind::text:
    case Operand::Kind::string:
        return "a text";
    case Operand::Kind::address:
        return "an address";
    case Operand::Kind::literal:
        return "a number";
    default:
        break;
    }
    const Type& type = types_[operand.type];
    return cat("'", type.name.empty() ? "anonymous" : type.name, "'");
}

Operand Checker::check(TreeId id)
{
    const Tree& tree = syntax_[id];
    switch (tree.form) {
    case Form::number:
    case Form::text:
    case Form::address:
        return check_literal(tree);
    case Form::name:
        return check_name(tree);
    case Form::member:
    case Form::arrow:
        return check_member(tree);
    case Form::index:
        return check_index(tree);
    case Form::located:
        return check_located(tree);
    case Form::unary:
        return check_unary(tree);
    case Form::binary:
        return check_binary(tree);
    case Form::conditional:
        return check_conditional(tree);
    case Form::cast:
        return check_cast(tree);
    case Form::size_of:
    case Form::offset_of:
        return check_size(tree);
    case Form::container_of:
        return check_container(tree);
    case Form::call:
        return check_call(tree);
    case Form::among:
        return check_among(tree);
    case Form::interval:
        refuse(tree, "a range stands behind `in` only");
    case Form::type:
        refuse(tree, "a type is no value");
    }
    refuse(tree, "no value");
}

Operand Checker::of_value(NodeId node, const Tree& tree) const
{
    return {.node = node, .type = code_[node].type, .at = tree.at, .length = tree.length};
}

Operand Checker::from_node(NodeId node, const Tree& tree)
{
    Operand operand = of_value(node, tree);
    const Node& n = code_[node];
    const Type& type = types_[n.type];
    if (n.op == Op::text || (n.op == Op::column && (!type.is_number() || type.is_char)))
        operand.kind = Operand::Kind::text;
    else if (n.op == Op::load &&
             (type.kind == Type::Kind::structure || type.kind == Type::Kind::array)) {
        operand.kind = Operand::Kind::place;
        operand.node = n.a;
        operand.bit = n.value * 8;
    }
    if (names_.measure)
        operand.measure = names_.measure(node);
    return operand;
}

Operand Checker::check_literal(const Tree& tree)
{
    Operand operand{.token = tree.token, .at = tree.at, .length = tree.length};
    if (tree.form == Form::text) {
        operand.kind = Operand::Kind::string;
        return operand;
    }
    if (tree.form == Form::address) {
        operand.kind = Operand::Kind::address;
        return operand;
    }
    operand.kind = Operand::Kind::literal;
    const Number& n = tree.token->number;
    // C's rule: the first of int, unsigned, long, unsigned long that fits; decimal ones are signed.
    const bool may_be_unsigned = n.is_unsigned || !n.is_decimal || n.value >> 63;
    const bool is_character = tree.token->word.starts_with('\'');
    unsigned bytes = n.is_long || n.value >> 32 || (n.value >> 31 && !may_be_unsigned) ? 8 : 4;
    const bool is_signed = !n.is_unsigned && !(n.value >> (bytes * 8 - 1) && may_be_unsigned);
    operand.node =
        make_constant(code_, std::int64_t(n.value),
                      types_.integer(is_character ? 4 : bytes, is_character || is_signed));
    operand.type = code_[operand.node].type;
    return operand;
}

Operand Checker::check_name(const Tree& tree)
{
    try {
        if (const NodeId node = names_.find ? names_.find(code_, tree.word) : NodeId::none;
            node != NodeId::none)
            return from_node(node, tree);
    } catch (const TextError& error) {
        refuse(tree, error.what(), error.hint);
    }
    if (const auto value = types_.constant(tree.word))
        return of_value(make_int(code_, *value), tree);
    auto known = names_.all ? names_.all() : std::vector<std::string>();
    const auto constants = uapi_constant_names();
    known.insert(known.end(), constants.begin(), constants.end());
    refuse(tree, cat("unknown name '", tree.word, "'"), did_you_mean(tree.word, known));
}

Member Checker::member_of(TypeId structure, const Tree& name)
{
    if (const auto member = types_.member(structure, name.word))
        return *member;
    const std::string of = cat("no member '", name.word, "' in ", types_[structure].name);
    if (types_.members(structure).empty())
        refuse(name, cat(of, ", of which only the name is known"));
    // One of a structure within: sk->skc_dport.
    for (const Member& m : types_.members(structure))
        if (types_[m.type].kind == Type::Kind::structure && types_.member(m.type, name.word))
            refuse(name, of, cat("did you mean '", m.name, ".", name.word, "'?"));
    const auto all = types_.member_names(structure);
    std::string hint = did_you_mean(name.word, all);
    if (hint.empty())
        for (std::size_t i = 0; i < all.size() && i < 8; i++)
            hint += cat(i == 0 ? "its members: " : ", ", all[i], i == 7 ? ", ..." : "");
    refuse(name, of, hint);
}

Operand Checker::check_member(const Tree& tree)
{
    const Tree& object = syntax_[tree.parts[0]];
    if (object.form == Form::name && names_.field) {
        try {
            if (const NodeId node = names_.field(code_, object.word, tree.word);
                node != NodeId::none)
                return from_node(node, tree);
        } catch (const TextError& error) {
            refuse(tree, error.what(), error.hint);
        }
    }
    Operand base = check(tree.parts[0]);
    if (tree.form == Form::arrow) {
        base = value_of(base);
        const Type& pointer = types_[base.type];
        if (base.kind != Operand::Kind::value || pointer.kind != Type::Kind::pointer ||
            types_[pointer.target].kind != Type::Kind::structure)
            refuse(base, cat("'->' needs a pointer to a structure, this is ", describe(base)),
                   base.kind == Operand::Kind::value && types_[base.type].size == 8
                       ? "cast it: ((struct NAME *)value)->member"
                       : "");
        base.type = pointer.target;
        base.bit = 0;
    } else if (base.kind != Operand::Kind::place ||
               types_[base.type].kind != Type::Kind::structure) {
        const Operand value = value_of(base);
        const bool is_pointer = types_[value.type].kind == Type::Kind::pointer;
        refuse(tree, cat("'.' needs a structure, this is ", describe(base)),
               is_pointer ? cat("did you mean '->", tree.word, "'?") : "");
    }
    const Member member = member_of(base.type, tree);
    Operand place = base;
    place.kind = Operand::Kind::place;
    place.type = member.type;
    place.bit += member.bit;
    place.bits = member.bits;
    place.measure = {};
    place.length = tree.at + tree.length - place.at;
    return place;
}

NodeId Checker::address_of(const Operand& place, TypeId target)
{
    return make_address(code_, place.node, place.bit / 8,
                        types_.pointer_to(target, space_of(code_, place.node)));
}

Operand Checker::value_of(Operand o)
{
    if (o.kind == Operand::Kind::literal) {
        if (o.token && o.token->number.decimals > 0)
            refuse(o, "a fraction is compared with columns that have one only");
        o.kind = Operand::Kind::value;
    }
    if (o.kind != Operand::Kind::place) {
        const std::uint64_t per_unit = std::exchange(o.measure, {}).per_unit;
        if (o.kind == Operand::Kind::value && per_unit > 1) { // as it is shown
            const TypeId type = promoted(code_, o.type);
            o.node = make_binary(code_, Op::divide, convert(code_, o.node, type),
                                 make_constant(code_, std::int64_t(per_unit), type), type);
            o.type = type;
        }
        return o;
    }
    const Type& type = types_[o.type];
    switch (type.kind) {
    case Type::Kind::floating:
        refuse(o, cat("floating-point values are not supported, this is ", describe(o)));
    case Type::Kind::structure:
        refuse(o, cat("a structure is no value, this is ", describe(o)),
               "take a member, or its address with '&'");
    case Type::Kind::none:
        refuse(o, "void is no value");
    case Type::Kind::array:
        o.node = address_of(o, type.target);
        break;
    default:
        o.node = o.bits ? make_bitfield(code_, o.node, o.bit, o.bits, o.type)
                        : make_load(code_, o.node, o.bit / 8, o.type);
        if (o.node == NodeId::none)
            refuse(o, "the bitfield crosses the border of 8 bytes");
        break;
    }
    o.kind = Operand::Kind::value;
    o.type = code_[o.node].type;
    o.bit = 0;
    o.bits = 0;
    return o;
}

NodeId Checker::number_of(const Operand& operand)
{
    const Operand o = value_of(operand);
    const Type& type = types_[o.type];
    if (o.kind == Operand::Kind::string)
        refuse(o, "a text is no number", "characters are in single quotes: 'a'");
    if (o.kind == Operand::Kind::text)
        refuse(o, "a text is no number", "compare it: == \"text\"");
    if (o.kind == Operand::Kind::address)
        refuse(o, "an address is no number", "compare with it by == or in");
    if (type.kind == Type::Kind::floating)
        refuse(o, cat("floating-point values are not supported, this is ", describe(o)));
    if (!type.is_number() && type.kind != Type::Kind::pointer)
        refuse(o, cat("this is no number but ", describe(o)));
    return o.node;
}

NodeId Checker::test_of(const Operand& operand)
{
    if (operand.kind == Operand::Kind::text || operand.kind == Operand::Kind::string)
        refuse(operand, "a text is no condition", "compare it: == \"text\"");
    if (operand.kind == Operand::Kind::place && types_[operand.type].kind == Type::Kind::array)
        refuse(operand, cat("an array is no condition, this is ", describe(operand)),
               text_of(operand) != NodeId::none ? "compare it: == \"text\"" : "");
    return make_truth(code_, number_of(operand));
}

NodeId Checker::text_of(const Operand& o)
{
    if (o.kind == Operand::Kind::text)
        return o.node;
    if (o.kind == Operand::Kind::place && types_[o.type].kind == Type::Kind::array &&
        is_byte(types_[types_[o.type].target]))
        return make_text(code_, o.node, o.bit / 8, types_[o.type].size);
    if (o.kind == Operand::Kind::string || o.kind == Operand::Kind::address ||
        (o.kind == Operand::Kind::place && types_[o.type].kind == Type::Kind::structure))
        return NodeId::none;
    const Operand value = value_of(o);
    const Type& type = types_[value.type];
    if (type.kind != Type::Kind::pointer)
        return NodeId::none;
    const Type& target = types_[type.target];
    return is_byte(target) || type.target == TypeId::none ? make_text(code_, value.node, 0, 0)
                                                          : NodeId::none;
}

NodeId Checker::condition(TreeId id) { return test_of(check(id)); }

Shown Checker::shown(TreeId id)
{
    const Operand o = check(id);
    if (o.kind == Operand::Kind::string)
        refuse(o, "a text as it is written is no value");
    if (o.kind == Operand::Kind::address)
        refuse(o, "an address as it is written is no value");
    if (o.show != Show::number)
        return {o.node, o.show, o.named_by};
    const Type& type = types_[o.type];
    if (o.kind == Operand::Kind::place && type.kind == Type::Kind::structure)
        return {address_of(o, o.type), Show::structure, TypeId::none};
    const bool is_chars = type.kind == Type::Kind::array || type.kind == Type::Kind::pointer
                              ? types_[type.target].is_char
                              : false;
    if (o.kind == Operand::Kind::text || is_chars)
        return {text_of(o), Show::text, TypeId::none};
    if (o.kind == Operand::Kind::place && type.kind == Type::Kind::array)
        return {address_of(o, o.type), Show::bytes, TypeId::none};
    const NodeId node = number_of(o);
    const TypeId named = types_[o.type].kind == Type::Kind::enumeration ? o.type : o.named_by;
    return {node, Show::number, named};
}

} // namespace corebox::expr
