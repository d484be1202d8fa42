// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "snoop_spec.hpp"
#include "expr/token.hpp"
#include <algorithm>

namespace corebox
{
namespace
{
using expr::Sign;
using expr::TextError;

bool compares(Sign sign)
{
    switch (sign) {
    case Sign::equal:
    case Sign::not_equal:
    case Sign::less:
    case Sign::less_equal:
    case Sign::greater:
    case Sign::greater_equal:
    case Sign::matches:
        return true;
    default:
        return false;
    }
}

SnoopSpec::Argument take_argument(const Piece& piece)
{
    SnoopSpec::Argument argument{.whole = piece, .value = piece};
    if (piece.text.empty())
        throw TextError(piece.at ? piece.at - 1 : 0, 1, "an empty argument");
    std::vector<expr::Token> tokens;
    try {
        tokens = expr::read_tokens(piece.text);
    } catch (const TextError& error) {
        throw TextError(piece.at + error.at, error.length, error.what(), error.hint);
    }
    std::size_t depth = 0;
    bool joins = false;
    const expr::Token* comparison = nullptr;
    for (std::size_t i = 0; i < tokens.size(); i++) {
        const expr::Token& token = tokens[i];
        const Sign sign = token.sign;
        argument.of_return |= sign == Sign::name && token.word == "return";
        depth += sign == Sign::open_round || sign == Sign::open_square;
        depth -= (sign == Sign::close_round || sign == Sign::close_square) && depth > 0;
        if (depth)
            continue;
        joins |= sign == Sign::logical_and || sign == Sign::logical_or;
        // "~" of two operands, and "in".
        const bool is_binary =
            i > 0 && (tokens[i - 1].sign == Sign::name || tokens[i - 1].sign == Sign::close_round ||
                      tokens[i - 1].sign == Sign::close_square);
        if (!comparison &&
            (compares(sign) ||
             (is_binary && (sign == Sign::tilde || (sign == Sign::name && token.word == "in")))))
            comparison = &token;
    }
    argument.is_condition = joins || comparison;
    if (joins)
        argument.value = {};
    else if (comparison) {
        argument.value.text = piece.text.substr(0, comparison->at);
        const auto end = argument.value.text.find_last_not_of(" \t");
        argument.value.text = argument.value.text.substr(0, end + 1);
    }
    return argument;
}

} // namespace

SnoopSpec::SnoopSpec(std::string_view from) : text(from)
{
    const std::string_view all = text;
    const auto open = std::min(all.find('('), all.size());
    function.at = std::min(all.find_first_not_of(" \t"), open);
    function.text = all.substr(function.at, open - function.at);
    function.text = function.text.substr(0, function.text.find_last_not_of(" \t") + 1);
    if (function.text.empty())
        throw TextError(0, 1, "missing the name of a function", "for example: vfs_read");
    if (const auto other = function.text.find_first_of(" \t:\"'"); other != Piece{}.text.npos)
        throw TextError(function.at + other, 1, "this is no name of a kernel function",
                        "arguments are in parentheses");
    if (open == all.size())
        return;
    has_list = true;
    const auto end = end_of_parentheses(all, open);
    if (const auto more = all.find_first_not_of(" \t", end); more != all.npos)
        throw TextError(more, all.size() - more, "nothing may follow the arguments");
    const Piece list{all.substr(open + 1, end - open - 2), open + 1};
    if (list.text.find_first_not_of(" \t") == list.text.npos)
        return; // f(): only its calls
    for (const Piece& piece : split_list(list))
        arguments.push_back(take_argument(piece));
}

expr::Names with_return(expr::Names names)
{
    names.find = [find = names.find](expr::Code& code, std::string_view name) {
        return find(code, name == "return" ? "retval" : name);
    };
    return names;
}

} // namespace corebox
