// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "expr/parse.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "expr/check.hpp"

namespace corebox::expr
{

namespace
{

// Of a long text the neighbourhood of the place is shown.
constexpr std::size_t kBefore = 60, kAfter = 40;

Syntax read(Code& code, const Names& names, std::string_view text)
{
    return read_syntax(text, code.types(), [&](std::string_view name) {
        try {
            return names.find && names.find(code, name) != NodeId::none;
        } catch (const TextError&) {
            return true; // checking says what is wrong with it
        }
    });
}

} // namespace

std::string point_at(std::string_view text, const TextError& error)
{
    const std::size_t at = std::min(error.at, text.size());
    const std::size_t from = at > kBefore + 3 ? at - kBefore : 0;
    const std::size_t end = std::min(text.size(), at + std::min(error.length, kAfter) + kAfter);
    std::string line = from > 0 ? "..." : "";
    std::string carets(line.size() + at - from, ' ');
    for (const char c : text.substr(from, end - from))
        line += c == '\t' ? ' ' : c >= ' ' && c <= '~' ? c : '?';
    if (end < text.size())
        line += "...";
    const std::size_t shown = std::max(line.size(), carets.size() + 1) - carets.size();
    carets.append(std::clamp<std::size_t>(error.length, 1, shown), '^');
    return cat(line, '\n', carets, '\n', error.what(), error.hint.empty() ? "" : "; ", error.hint);
}

void fail_at(std::string_view attempt, std::string_view text, const TextError& error)
{
    std::string place = point_at(text, error);
    place.resize(place.find('\n', place.find('\n') + 1)); // the last line is what is wrong
    fail_usage(cat(attempt, ": ", error.what(), error.hint.empty() ? "" : "; ", error.hint),
               std::move(place));
}

NodeId parse_condition(Code& code, const Names& names, std::string_view text)
{
    const Syntax syntax = read(code, names, text);
    return Checker(code, names, syntax).condition(syntax.root);
}

Shown parse_value(Code& code, const Names& names, std::string_view text)
{
    const Syntax syntax = read(code, names, text);
    return Checker(code, names, syntax).shown(syntax.root);
}

NodeId text_of(Code& code, NodeId value, Space space)
{
    Types& types = code.types();
    const Node& n = code[value];
    const Type& type = types[n.type];
    if (n.op == Op::text || n.op == Op::column) {
        if (n.op == Op::column || space == Space::unknown || space_of(code, n.a) == space)
            return value;
        const NodeId base =
            make_address(code, n.a, n.value, types.pointer_to(types.character(), space));
        return make_text(code, base, 0, code[value].size);
    }
    if (type.kind == Type::Kind::pointer) {
        if (space == Space::unknown)
            return make_text(code, value, 0, 0);
        return make_text(
            code, make_address(code, value, 0, types.pointer_to(types.character(), space)), 0, 0);
    }
    if (!type.is_number() || type.size != 8)
        return NodeId::none;
    return make_text(code, convert(code, value, types.pointer_to(types.character(), space)), 0, 0);
}

} // namespace corebox::expr
