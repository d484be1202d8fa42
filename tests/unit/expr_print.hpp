// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The typed form of an expression as text, for golden tests.
#pragma once
#include "base/text.hpp"
#include "expr/ir.hpp"

namespace corebox::expr
{

inline std::string short_type(const Types& types, TypeId id)
{
    const Type& t = types[id];
    switch (t.kind) {
    case Type::Kind::integer:
    case Type::Kind::enumeration:
        return cat(t.is_char ? "char" : cat(t.is_signed ? 's' : 'u', t.size * 8));
    case Type::Kind::boolean:
        return "bool";
    case Type::Kind::pointer:
        return cat(short_type(types, t.target), t.space == Space::user     ? "*u"
                                                : t.space == Space::kernel ? "*k"
                                                                           : "*");
    case Type::Kind::array:
        return cat(short_type(types, t.target), "[", t.count, "]");
    default:
        return t.name;
    }
}

// "less_or_equal(sub(...), 8:u32)": loads as [pointer+offset]:type, conversions as type(value).
inline std::string print(const Code& code, NodeId id)
{
    const Node& n = code[id];
    const std::string type = short_type(code.types(), n.type);
    const auto place = [&] {
        return n.value == 0 ? print(code, n.a)
                            : cat(print(code, n.a), n.value > 0 ? "+" : "", n.value);
    };
    const auto of = [&](std::string_view name) {
        std::string text = cat(name, "(", print(code, n.a));
        for (const NodeId more : {n.b, n.c})
            if (more != NodeId::none)
                text += cat(", ", print(code, more));
        return text + ")";
    };
    const auto with_text = [&](std::string_view sign) {
        return cat("(", print(code, n.a), " ", sign, " \"", code.text(n.value), "\")");
    };
    const auto infix = [&](std::string_view sign, bool typed = true) {
        return cat("(", print(code, n.a), " ", sign, " ", print(code, n.b), ")", typed ? ":" : "",
                   typed ? type : "");
    };
    switch (n.op) {
    case Op::constant:
        return n.type == code.types().integer(4, true) ? cat(n.value) : cat(n.value, ":", type);
    case Op::context:
        return "ctx";
    case Op::record:
        return "record";
    case Op::helper:
        return cat("helper", int(n.helper));
    case Op::column:
        return cat("column", n.value);
    case Op::load:
        return cat("[", place(), "]:", type,
                   n.bits ? cat("{", int(n.bit), "+", int(n.bits), "/", n.size, "}") : "");
    case Op::address:
        return cat("&(", place(), "):", type);
    case Op::text:
        return cat("text(", place(), n.size ? cat(", ", n.size) : "", ")");
    case Op::add:
        return infix("+");
    case Op::subtract:
        return infix("-");
    case Op::multiply:
        return infix("*");
    case Op::divide:
        return infix("/");
    case Op::modulo:
        return infix("%");
    case Op::bit_and:
        return infix("&");
    case Op::bit_or:
        return infix("|");
    case Op::bit_xor:
        return infix("^");
    case Op::shift_left:
        return infix("<<");
    case Op::shift_right:
        return infix(">>");
    case Op::negate:
        return cat("-", print(code, n.a));
    case Op::complement:
        return cat("~", print(code, n.a));
    case Op::convert:
        return cat(type, "(", print(code, n.a), ")");
    case Op::swap_bytes:
        return cat("swap", n.size, "(", print(code, n.a), ")");
    case Op::select:
        return of("select");
    case Op::known:
        return of("known");
    case Op::logical_not:
        return cat("!", print(code, n.a));
    case Op::logical_and:
        return infix("&&", false);
    case Op::logical_or:
        return infix("||", false);
    case Op::truth:
        return of("truth");
    case Op::equal:
        return infix("==", false);
    case Op::not_equal:
        return infix("!=", false);
    case Op::less:
        return infix("<", false);
    case Op::less_or_equal:
        return infix("<=", false);
    case Op::one_of: {
        std::string text = cat("(", print(code, n.a), " in {");
        for (const std::int64_t number : code.set(n.value))
            text += cat(text.ends_with('{') ? "" : " ", number);
        return text + "})";
    }
    case Op::defined:
        return of("defined");
    case Op::text_equal:
        return with_text("==");
    case Op::text_differs:
        return with_text("!=");
    case Op::text_prefix:
        return with_text("starts");
    case Op::glob:
        return with_text("~");
    case Op::regex:
        return with_text("=~");
    }
    return "?";
}

} // namespace corebox::expr
