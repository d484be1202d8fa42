// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The functions of the language.
#include "base/text.hpp"
#include "expr/check.hpp"
#include "expr/hint.hpp"

namespace corebox::expr
{

namespace
{

struct Builtin {
    enum class Does : std::uint8_t {
        text,
        bytes,
        swap,
        ip,
        mac,
        named,
        shows,
        defined,
        prefix,
    };
    std::string_view name;
    Does does;
    std::uint8_t least, most; // arguments
    std::uint8_t bytes = 0;   // of swap
    Space space = Space::unknown;
    Show show = Show::number;
};
constexpr Builtin kBuiltins[] = {
    {"str", Builtin::Does::text, 1, 2},
    {"kstr", Builtin::Does::text, 1, 2, 0, Space::kernel},
    {"ustr", Builtin::Does::text, 1, 2, 0, Space::user},
    {"buf", Builtin::Does::bytes, 2, 2},
    {"ip", Builtin::Does::ip, 1, 1},
    {"mac", Builtin::Does::mac, 1, 1},
    {"ntohs", Builtin::Does::swap, 1, 1, 2},
    {"htons", Builtin::Does::swap, 1, 1, 2},
    {"ntohl", Builtin::Does::swap, 1, 1, 4},
    {"htonl", Builtin::Does::swap, 1, 1, 4},
    {"be16", Builtin::Does::swap, 1, 1, 2},
    {"be32", Builtin::Does::swap, 1, 1, 4},
    {"be64", Builtin::Does::swap, 1, 1, 8},
    {"enum", Builtin::Does::named, 2, 2},
    {"flags", Builtin::Does::named, 2, 2, 0, Space::unknown, Show::flags},
    {"ksym", Builtin::Does::shows, 1, 1, 0, Space::unknown, Show::kernel_symbol},
    {"usym", Builtin::Does::shows, 1, 1, 0, Space::unknown, Show::user_symbol},
    {"errno", Builtin::Does::shows, 1, 1, 0, Space::unknown, Show::error},
    {"defined", Builtin::Does::defined, 1, 1},
    {"STRCMP", Builtin::Does::prefix, 2, 2},
};
constexpr std::int64_t kMostBytes = 4096;

} // namespace

Operand Checker::check_call(const Tree& tree)
{
    const Builtin* f = nullptr;
    for (const Builtin& b : kBuiltins)
        if (b.name == tree.word)
            f = &b;
    if (!f)
        return call_of_place(tree);
    if (tree.parts.size() < f->least || tree.parts.size() > f->most)
        refuse(tree, cat(f->name, "() takes ", f->least, f->least == f->most ? "" : " or 2",
                         f->most == 1 ? " argument" : " arguments"));
    if (f->does == Builtin::Does::named) {
        const TypeId named = syntax_[tree.parts[0]].type;
        if (types_[named].kind != Type::Kind::enumeration)
            refuse(syntax_[tree.parts[0]], cat("'", types_[named].name, "' is no enumeration"));
        Operand o = value_of(check(tree.parts[1]));
        o.node = number_of(o);
        o.show = f->show;
        o.named_by = named;
        return o;
    }
    if (f->does == Builtin::Does::prefix) {
        const Operand first = check(tree.parts[0]), second = check(tree.parts[1]);
        const bool is_first = first.kind == Operand::Kind::string;
        const Operand& literal = is_first ? first : second;
        if (literal.kind != Operand::Kind::string)
            refuse(first, "STRCMP(\"text\", value): expected a text in double quotes");
        const NodeId text = pointed_text(is_first ? second : first, Space::unknown, 0);
        return of_value(code_.add({.op = Op::text_prefix,
                                   .type = types_.integer(4, true),
                                   .at = tree.at,
                                   .length = tree.length,
                                   .a = text,
                                   .value = code_.add_text(literal.token->text)}),
                        tree);
    }
    Operand o = check(tree.parts[0]);
    switch (f->does) {
    case Builtin::Does::text: {
        std::int64_t size = 0;
        if (tree.parts.size() == 2) {
            size = constant_of(tree.parts[1]);
            if (size < 1 || size > kMostBytes)
                refuse(syntax_[tree.parts[1]], cat("expected a size of 1 to ", kMostBytes));
        }
        Operand text = of_value(pointed_text(o, f->space, std::uint32_t(size)), tree);
        text.kind = Operand::Kind::text;
        text.show = Show::text;
        return text;
    }
    case Builtin::Does::bytes: {
        const std::int64_t size = constant_of(tree.parts[1]);
        if (size < 1 || size > kMostBytes)
            refuse(syntax_[tree.parts[1]], cat("expected a size of 1 to ", kMostBytes));
        return shown_bytes(tree, o, std::uint32_t(size), Show::bytes);
    }
    case Builtin::Does::mac:
        return shown_bytes(tree, o, 6, Show::mac);
    case Builtin::Does::ip: {
        const Type& type = types_[o.type];
        const Operand::Kind kind = o.kind;
        if ((kind == Operand::Kind::place || kind == Operand::Kind::value) && type.is_number()) {
            Operand number = of_value(convert(code_, number_of(o), types_.integer(4, false)), tree);
            number.show = Show::ip;
            return number;
        }
        const bool is_four = kind == Operand::Kind::place && type.size == 4;
        return shown_bytes(tree, o, is_four ? 4 : 16, Show::ip);
    }
    case Builtin::Does::swap:
        return of_value(make_swap(code_, number_of(o), f->bytes), tree);
    case Builtin::Does::defined: {
        const NodeId text = o.kind == Operand::Kind::text ? o.node : NodeId::none;
        const NodeId value = text != NodeId::none ? text : number_of(o);
        if (is_constant(code_, value))
            return of_value(make_int(code_, 1), tree);
        return of_value(code_.add({.op = Op::defined, .type = types_.integer(4, true), .a = value}),
                        tree);
    }
    default: {
        Operand value = value_of(o);
        value.node = number_of(value);
        value.show = f->show;
        return value;
    }
    }
}

Operand Checker::call_of_place(const Tree& tree)
{
    if (names_.call) {
        std::vector<NodeId> arguments;
        for (const TreeId part : tree.parts) {
            const Operand o = check(part);
            if (o.kind == Operand::Kind::string)
                break; // no place has functions of these
            arguments.push_back(o.kind == Operand::Kind::text ? o.node : number_of(o));
        }
        try {
            if (arguments.size() == tree.parts.size())
                if (const NodeId node = names_.call(code_, tree.word, arguments);
                    node != NodeId::none)
                    return from_node(node, tree);
        } catch (const TextError& error) {
            refuse(tree, error.what(), error.hint);
        }
    }
    std::vector<std::string> all;
    for (const Builtin& b : kBuiltins)
        all.emplace_back(b.name);
    refuse(tree, cat("unknown function '", tree.word, "'"), did_you_mean(tree.word, all));
}

// What str() and STRCMP() take: a text, or the address of one.
NodeId Checker::pointed_text(const Operand& operand, Space space, std::uint32_t size)
{
    NodeId text = space == Space::unknown ? text_of(operand) : NodeId::none;
    if (text == NodeId::none && operand.kind != Operand::Kind::string)
        text = expr::text_of(code_, value_of(operand).node, space);
    if (text == NodeId::none)
        refuse(operand, cat("this is no text but ", describe(operand)));
    if (const Node& n = code_[text];
        size != 0 && n.op == Op::text && (n.size == 0 || n.size > size)) {
        Node shorter = n;
        shorter.size = size;
        return code_.add(shorter);
    }
    return text;
}

Operand Checker::shown_bytes(const Tree& tree, const Operand& operand, std::uint32_t size,
                             Show show)
{
    const TypeId bytes = types_.array_of(types_.integer(1, false), size);
    Operand result;
    const Type::Kind kind = types_[operand.type].kind;
    if (operand.kind == Operand::Kind::place &&
        (kind == Type::Kind::structure || kind == Type::Kind::array)) {
        const std::uint32_t whole = types_[operand.type].size;
        if (whole != 0 && whole < size)
            refuse(operand, cat("this has ", whole, " bytes only, not ", size));
        result = of_value(address_of(operand, bytes), tree);
    } else {
        const NodeId value = number_of(operand);
        const Type& type = code_.type(value);
        if (type.size != 8)
            refuse(operand, cat("this is no address but ", describe(operand)));
        const Space space = type.kind == Type::Kind::pointer ? type.space : Space::unknown;
        result = of_value(convert(code_, value, types_.pointer_to(bytes, space)), tree);
    }
    result.show = show;
    return result;
}

} // namespace corebox::expr
