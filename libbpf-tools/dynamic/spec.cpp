// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "spec.hpp"
#include "base/error.hpp"
#include "base/text.hpp"

namespace corebox
{
namespace
{
using expr::TextError;
constexpr auto kEnd = std::string_view::npos;

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n'; }
bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// Behind the string or character that begins at `at`; kEnd: it has no end.
std::size_t skip_quoted(std::string_view text, std::size_t at)
{
    const char quote = text[at];
    for (std::size_t i = at + 1; i < text.size(); i++) {
        if (text[i] == '\\')
            i++;
        else if (text[i] == quote)
            return i + 1;
    }
    return kEnd;
}

std::size_t skip_blanks(std::string_view text, std::size_t at)
{
    while (at < text.size() && is_blank(text[at]))
        at++;
    return at;
}

Piece trimmed(Piece piece)
{
    while (!piece.text.empty() && is_blank(piece.text.front())) {
        piece.text.remove_prefix(1);
        piece.at++;
    }
    while (!piece.text.empty() && is_blank(piece.text.back()))
        piece.text.remove_suffix(1);
    return piece;
}

// "+16", "+0x1f" at the end of a place.
std::uint64_t take_offset(std::string_view& place)
{
    const auto plus = place.rfind('+');
    if (plus == kEnd || plus == 0)
        return 0;
    const std::string_view digits = place.substr(plus + 1);
    const bool is_hex = digits.starts_with("0x");
    const auto offset =
        is_hex ? to_number<std::uint64_t>(digits.substr(2), 16) : to_number<std::uint64_t>(digits);
    if (!offset)
        return 0; // "operator+"
    place = place.substr(0, plus);
    return *offset;
}

struct Type {
    std::string_view prefix;
    PlaceKind kind;
    bool typed_only;
};
constexpr Type kTypes[] = {
    {"f:", PlaceKind::entry, true},
    {"x:", PlaceKind::returns, true},
    {"raw:", PlaceKind::raw_tracepoint, false},
};

} // namespace

std::size_t end_of_parentheses(std::string_view text, std::size_t at)
{
    std::size_t depth = 0;
    for (std::size_t i = at; i < text.size();) {
        const char c = text[i];
        if (c == '"' || c == '\'') {
            const auto end = skip_quoted(text, i);
            if (end == kEnd)
                throw TextError(i, 1, "a string without an end");
            i = end;
            continue;
        }
        if (c == '(')
            depth++;
        if (c == ')' && --depth == 0)
            return i + 1;
        i++;
    }
    throw TextError(at, 1, "a parenthesis without an end");
}

std::string take_marks(std::string_view text, unsigned& marked)
{
    constexpr std::string_view kMark = "@user";
    std::string out(text);
    for (std::size_t i = 0; i < out.size();) {
        if (out[i] == '"') {
            const auto end = skip_quoted(out, i);
            i = end == kEnd ? out.size() : end;
            continue;
        }
        const bool is_argument = i >= 4 && out.compare(i - 4, 3, "arg") == 0 && out[i - 1] >= '1' &&
                                 out[i - 1] <= '9' && (i == 4 || !is_word(out[i - 5]));
        if (out[i] == '@' && is_argument && out.compare(i, kMark.size(), kMark) == 0 &&
            (i + kMark.size() == out.size() || !is_word(out[i + kMark.size()]))) {
            marked |= 1u << (out[i - 1] - '1');
            out.replace(i, kMark.size(), kMark.size(), ' ');
        }
        i++;
    }
    return out;
}

std::vector<Piece> split_list(Piece list, char separator)
{
    std::vector<Piece> parts;
    const std::string_view text = list.text;
    std::size_t begin = 0, depth = 0;
    const auto end_part = [&](std::size_t end) {
        parts.push_back(trimmed({text.substr(begin, end - begin), list.at + begin}));
        begin = end + 1;
    };
    for (std::size_t i = 0; i < text.size();) {
        const char c = text[i];
        if (c == '"' || c == '\'') {
            const auto end = skip_quoted(text, i);
            if (end == kEnd)
                throw TextError(list.at + i, 1, "a string without an end");
            i = end;
            continue;
        }
        if (c == '(' || c == '[' || c == '{')
            depth++;
        if ((c == ')' || c == ']' || c == '}') && depth)
            depth--;
        if (c == separator && depth == 0)
            end_part(i);
        i++;
    }
    end_part(text.size());
    return parts;
}

ProbeSpec::ProbeSpec(std::string_view from) : text(take_marks(from, user_arguments))
{
    const std::string_view all = text;
    const std::size_t begin = skip_blanks(all, 0);
    std::size_t at = begin;
    while (at < all.size() && !is_blank(all[at]) && all[at] != '(' && all[at] != '"')
        at++;
    place = {all.substr(begin, at - begin), begin};
    if (place.text.empty())
        throw TextError(begin, 1, "missing what to trace", "for example: vfs_read");
    std::string_view where = place.text;
    for (const Type& type : kTypes)
        if (where.starts_with(type.prefix)) {
            kind = type.kind;
            typed_only = type.typed_only;
            where.remove_prefix(type.prefix.size());
            if (typed_only && where.starts_with(':')) // f::func, as p::func
                where.remove_prefix(1);
            break;
        }
    if (kind != PlaceKind::raw_tracepoint) {
        if (!where.starts_with("t:") && !where.starts_with("u:"))
            offset = take_offset(where);
        if (where.empty())
            throw TextError(begin, place.text.size(), "missing the name of a function");
        try {
            pattern.emplace(where);
        } catch (const Failure& failure) {
            throw TextError(begin, place.text.size(), failure.message);
        }
        name.text = pattern->name;
        if (pattern->kind == Point::Kind::tracepoint)
            kind = PlaceKind::tracepoint;
        else if (pattern->kind == Point::Kind::usdt)
            kind = PlaceKind::usdt;
        else if (pattern->returns)
            kind = PlaceKind::returns;
        if (typed_only && (pattern->kind != Point::Kind::kernel || pattern->returns))
            throw TextError(begin, place.text.size(),
                            "f: and x: take a function of the kernel only");
    } else {
        // The category of a tracepoint is no part of its name.
        const auto colon = where.rfind(':');
        name.text = colon == kEnd ? where : where.substr(colon + 1);
        if (name.text.empty())
            throw TextError(begin, place.text.size(), "missing the name of a tracepoint");
    }
    name.at = std::size_t(name.text.data() - all.data());
    if (offset && kind == PlaceKind::returns)
        throw TextError(begin, place.text.size(), "a return has no offset");
    if (offset && typed_only)
        throw TextError(begin, place.text.size(), "f: traces entries only",
                        "use p: with an offset");

    if (at < all.size() && all[at] == '(') {
        const auto end = end_of_parentheses(all, at);
        if (kind == PlaceKind::tracepoint || kind == PlaceKind::usdt)
            throw TextError(at, end - at, "a tracepoint or USDT probe has no signature",
                            "put a blank before a condition");
        signature = trimmed({all.substr(at + 1, end - at - 2), at + 1});
        at = end;
    }
    at = skip_blanks(all, at);
    if (at < all.size() && all[at] == '(') {
        const auto end = end_of_parentheses(all, at);
        condition = trimmed({all.substr(at + 1, end - at - 2), at + 1});
        if (condition->text.empty())
            throw TextError(at, end - at, "an empty condition");
        at = skip_blanks(all, end);
    }
    if (at == all.size())
        return;
    if (all[at] != '"')
        throw TextError(at, all.size() - at,
                        condition ? "expected a format in double quotes behind the condition"
                                  : "expected a condition in parentheses or a format in double "
                                    "quotes",
                        "a condition is in one pair of parentheses");
    const auto end = skip_quoted(all, at);
    if (end == kEnd)
        throw TextError(at, 1, "a format without its closing quote");
    format = Piece{all.substr(at + 1, end - at - 2), at + 1};
    at = skip_blanks(all, end);
    if (at == all.size())
        return;
    if (all[at] != ',')
        throw TextError(at, 1, "expected a comma behind the format");
    arguments = split_list({all.substr(at + 1), at + 1});
    for (const Piece& argument : arguments)
        if (argument.text.empty())
            throw TextError(argument.at ? argument.at - 1 : 0, 1, "an empty argument");
}

} // namespace corebox
