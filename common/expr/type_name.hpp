// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Reads the names of C types: "unsigned long", "struct sock *", "const char __user *".
#pragma once
#include "expr/token.hpp"
#include "expr/type.hpp"

namespace corebox::expr
{

class TypeReader
{
public:
    // `makes_opaque`: an unknown structure becomes one of which only the name is known.
    TypeReader(Types& types, std::span<const Token> tokens, bool makes_opaque = false)
        : types_(types), tokens_(tokens), makes_opaque_(makes_opaque)
    {
    }

    // The type that begins at token `at`, which is moved behind it. None: it is no type; `at`
    // stays. `with_pointers`: the stars too. `may_be_name`: a name alone may be that of a type.
    // Throws TextError, as of an unknown struct.
    std::optional<TypeId> read(std::size_t& at, bool may_be_name, bool with_pointers = true);
    // What follows the declared name: "[4][16]".
    TypeId read_array(std::size_t& at, TypeId element);
    // Whether a word can only begin a type.
    static bool begins_type(std::string_view word);

private:
    struct Specifiers;
    bool read_specifier(std::size_t& at, Specifiers& s, bool may_be_name);
    std::optional<TypeId> resolve(const Specifiers& s) const;
    TypeId read_tagged(std::size_t& at);

    Types& types_;
    std::span<const Token> tokens_;
    bool makes_opaque_;
};

} // namespace corebox::expr
