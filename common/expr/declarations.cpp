// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "expr/declarations.hpp"
#include "base/text.hpp"
#include "expr/parse.hpp"
#include "expr/type_name.hpp"
#include <algorithm>

namespace corebox::expr
{

namespace
{

[[noreturn]] void refuse(const Token& t, const std::string& what, std::string hint = {})
{
    throw TextError(t.at, std::max(t.length, 1u), what, std::move(hint));
}

// To behind the parenthesis that closes the one at `at`.
void skip_parentheses(std::span<const Token> tokens, std::size_t& at)
{
    const Token& open = tokens[at];
    for (unsigned depth = 0;; at++) {
        if (tokens[at].sign == Sign::end)
            refuse(open, "'(' without ')'");
        depth += tokens[at].sign == Sign::open_round;
        depth -= tokens[at].sign == Sign::close_round;
        if (depth == 0) {
            at++;
            return;
        }
    }
}

Parameter read_parameter(Types& types, TypeReader& reader, std::span<const Token> tokens,
                         std::size_t& at)
{
    const auto type = reader.read(at, true);
    if (!type)
        refuse(tokens[at], tokens[at].sign == Sign::end
                               ? std::string("the signature ends where a type is expected")
                               : cat("unknown type '", tokens[at].word, "'"));
    Parameter p{{}, *type};
    if (tokens[at].sign == Sign::open_round && tokens[at + 1].sign == Sign::star) {
        if (tokens[at + 2].sign == Sign::name)
            p.name = tokens[at + 2].word;
        skip_parentheses(tokens, at);
        if (tokens[at].sign == Sign::open_round)
            skip_parentheses(tokens, at);
        p.type = types.pointer_to(TypeId::none, Space::unknown);
        return p;
    }
    if (tokens[at].sign == Sign::name)
        p.name = tokens[at++].word;
    if (tokens[at].sign == Sign::open_square) // parameters of an array's type are pointers
        p.type = types.pointer_to(types[reader.read_array(at, p.type)].target, Space::unknown);
    if (types[p.type].kind == Type::Kind::structure)
        refuse(tokens[at > 0 ? at - 1 : 0], "a structure as an argument is not supported",
               "a pointer to it is");
    return p;
}

} // namespace

std::vector<Parameter> parse_signature(Types& types, std::string_view text)
{
    const auto tokens = read_tokens(text);
    TypeReader reader(types, tokens, true);
    std::vector<Parameter> parameters;
    std::size_t at = 0;
    if (tokens[0].sign == Sign::end || (tokens[0].word == "void" && tokens[1].sign == Sign::end))
        return parameters;
    for (;;) {
        if (tokens[at].sign == Sign::ellipsis)
            at++;
        else
            parameters.push_back(read_parameter(types, reader, tokens, at));
        if (tokens[at].sign == Sign::end)
            return parameters;
        if (tokens[at].sign != Sign::comma)
            refuse(tokens[at], cat("expected ',' before '", tokens[at].word, "'"));
        at++;
    }
}

} // namespace corebox::expr
