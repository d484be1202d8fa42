// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// An expression as it is written: a tree of its operators and operands.
#pragma once
#include "expr/token.hpp"
#include "expr/type.hpp"
#include <functional>

namespace corebox::expr
{

enum class TreeId : std::uint32_t {};

enum class Form : std::uint8_t {
    number,
    text,
    address,
    name,
    member,       // a.word
    arrow,        // a->word
    index,        // a[b]
    located,      // a@word
    unary,        // sign a
    binary,       // a sign b
    conditional,  // a ? b : c
    cast,         // (type)a
    type,         // an argument that is a type
    size_of,      // of a, which is a type or a value
    offset_of,    // a is of Form::type, b the member
    container_of, // a, b is of Form::type, c the member
    call,         // word(parts)
    among,        // the first part in the others
    interval,     // a .. b
};

struct Tree {
    Form form = Form::number;
    Sign sign = Sign::end;
    std::uint32_t at = 0, length = 0; // the operator's or the operand's place in the text
    std::uint32_t depth = 0;
    std::string_view word{};
    const Token* token = nullptr; // of a literal
    TypeId type = TypeId::none;
    std::vector<TreeId> parts{};
};

struct Syntax {
    std::vector<Token> tokens;
    std::vector<Tree> trees;
    TreeId root{};

    const Tree& operator[](TreeId id) const { return trees[std::size_t(id)]; }
};

// Beyond this an expression is refused, so that no recursion over it runs out of stack.
inline constexpr std::uint32_t kDeepest = 400;

// `is_value`: whether a name is one of a value, which in `(name) - 1` comes before one of a type.
// Throws TextError.
Syntax read_syntax(std::string_view text, Types& types,
                   const std::function<bool(std::string_view)>& is_value);

} // namespace corebox::expr
