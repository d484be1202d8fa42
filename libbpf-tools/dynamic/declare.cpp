// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "declare.hpp"
#include "base/text.hpp"
#include <algorithm>

namespace corebox
{
namespace
{
using expr::Type;
using expr::TypeId;

constexpr unsigned kMostDepth = 12;
constexpr std::size_t kCommentColumn = 52;

bool is_structure_without_name(const Type& type)
{
    return type.kind == Type::Kind::structure && type.name.empty();
}

// Of one without a name BTF's keyword was not kept.
std::string_view keyword_of(const expr::Types& types, TypeId structure)
{
    const auto members = types.members(structure);
    const bool overlaps = members.size() > 1 &&
                          std::ranges::all_of(members, [](const auto& m) { return m.bit == 0; });
    return overlaps ? "union" : "struct";
}

void append_members(std::string& out, const expr::Types& types, TypeId structure, std::uint32_t bit,
                    unsigned depth)
{
    for (const expr::Member& m : types.members(structure)) {
        const Type& type = types[m.type];
        const std::uint32_t at = bit + m.bit;
        const std::string indent(4 * (depth + 1), ' ');
        if (is_structure_without_name(type) && depth < kMostDepth) {
            out += cat(indent, keyword_of(types, m.type), " {\n");
            append_members(out, types, m.type, at, depth + 1);
            out += cat(indent, "}", m.name.empty() ? "" : " ", m.name, ";\n");
            continue;
        }
        const std::string line = cat(indent, declare(types, m.type, m.name),
                                     m.bits ? cat(" : ", unsigned(m.bits)) : "", ";");
        out += cat(padded_right(line, kCommentColumn), "/* ", at / 8,
                   m.bits ? cat(" bit ", at % 8) : "", " */\n");
    }
}

} // namespace

std::string declare(const expr::Types& types, TypeId type, std::string_view name)
{
    // From the name outwards.
    std::string declared(name);
    bool is_pointer = false;
    for (unsigned depth = 0; depth < kMostDepth; depth++) {
        const Type& t = types[type];
        if (t.kind == Type::Kind::array) {
            if (is_pointer)
                declared = cat("(", declared, ")");
            declared += t.count ? cat("[", t.count, "]") : "[]";
        } else if (t.kind == Type::Kind::pointer) {
            declared.insert(0, t.space == expr::Space::user ? "__user *" : "*");
        } else {
            break;
        }
        is_pointer = t.kind == Type::Kind::pointer;
        type = t.target;
    }
    const Type& base = types[type];
    const std::string word = type == TypeId::none ? "void"
                             : is_structure_without_name(base)
                                 ? cat(keyword_of(types, type), " {...}")
                             : base.name.empty() ? "?"
                                                 : base.name;
    return declared.empty() ? word : cat(word, " ", declared);
}

std::string declare_function(const expr::Types& types, std::string_view name,
                             std::span<const expr::Parameter> parameters, TypeId result)
{
    std::string list;
    for (const expr::Parameter& p : parameters)
        list += cat(list.empty() ? "" : ", ", declare(types, p.type, p.name));
    return cat(declare(types, result, cat(name, "(", list.empty() ? "void" : list, ")")), ";");
}

void append_declaration(std::string& out, const expr::Types& types, TypeId structure)
{
    const Type& type = types[structure];
    out += cat(type.name.empty() ? keyword_of(types, structure) : type.name, " { /* ", type.size,
               " bytes */\n");
    append_members(out, types, structure, 0, 0);
    out += "};\n";
}

} // namespace corebox
