// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "expr/type_name.hpp"
#include "base/text.hpp"
#include "expr/hint.hpp"
#include "expr/parse.hpp"
#include <algorithm>
#include <iterator>
#include <utility>

namespace corebox::expr
{

namespace
{

constexpr std::string_view kIgnored[] = {"const",   "volatile", "restrict",  "register", "__rcu",
                                         "__iomem", "__percpu", "__force",   "inline",   "static",
                                         "extern",  "__const",  "__restrict"};
constexpr std::string_view kBasic[] = {"unsigned", "signed", "long",  "short", "int",   "char",
                                       "void",     "bool",   "_Bool", "float", "double"};
constexpr std::string_view kTags[] = {"struct", "union", "enum"};

template <std::size_t N>
bool is_one_of(std::string_view word, const std::string_view (&words)[N])
{
    return std::ranges::find(words, word) != std::end(words);
}

} // namespace

struct TypeReader::Specifiers {
    unsigned longs = 0;
    bool is_unsigned = false, is_signed = false, is_short = false;
    std::string_view base{}; // int, char, void, ...
    std::optional<TypeId> type{};
    std::optional<Space> space{};
    bool any = false; // more than qualifiers
};

bool TypeReader::begins_type(std::string_view word)
{
    return is_one_of(word, kIgnored) || is_one_of(word, kBasic) || is_one_of(word, kTags) ||
           word == "__user" || word == "__kernel";
}

TypeId TypeReader::read_tagged(std::size_t& at)
{
    const Token& keyword = tokens_[at++];
    const Token& name = tokens_[at];
    if (name.sign != Sign::name)
        throw TextError(name.at, std::max(name.length, 1u),
                        cat("the name of the ", keyword.word, " is missing"));
    at++;
    if (const auto type = types_.find(keyword.word, name.word))
        return *type;
    if (makes_opaque_)
        return keyword.word == "enum" ? types_.integer(4, true)
                                      : types_.add({.kind = Type::Kind::structure,
                                                    .name = cat(keyword.word, " ", name.word)});
    throw TextError(keyword.at, name.at + name.length - keyword.at,
                    cat("unknown type '", keyword.word, " ", name.word, "'"),
                    did_you_mean(name.word, types_.names(keyword.word), keyword.word));
}

bool TypeReader::read_specifier(std::size_t& at, Specifiers& s, bool may_be_name)
{
    if (tokens_[at].sign != Sign::name)
        return false;
    const std::string_view word = tokens_[at].word;
    const bool is_complete =
        s.type || s.longs || s.is_unsigned || s.is_signed || s.is_short || !s.base.empty();
    if (is_one_of(word, kIgnored))
        ;
    else if (word == "__user" || word == "__kernel")
        s.space = word == "__user" ? Space::user : Space::kernel;
    else if (is_one_of(word, kTags) && !is_complete && tokens_[at + 1].sign == Sign::name) {
        s.type = read_tagged(at);
        return true;
    } else if (is_one_of(word, kBasic) && !s.type) {
        if (word == "unsigned")
            s.is_unsigned = true;
        else if (word == "signed")
            s.is_signed = true;
        else if (word == "short")
            s.is_short = true;
        else if (word == "long")
            s.longs++;
        else if (s.base.empty())
            s.base = word;
        else
            return false;
    } else if (!is_complete && may_be_name) {
        s.type = types_.find("", word);
        if (!s.type)
            return false;
    } else
        return false;
    at++;
    return true;
}

std::optional<TypeId> TypeReader::resolve(const Specifiers& s) const
{
    if (s.type)
        return s.type;
    if (s.base == "char")
        return s.is_unsigned ? types_.find("", "unsigned char") : types_.character();
    if (!s.base.empty() && s.base != "int")
        return types_.find("", s.base);
    if (s.base.empty() && !s.longs && !s.is_unsigned && !s.is_signed && !s.is_short)
        return std::nullopt;
    return types_.integer(s.longs ? 8 : s.is_short ? 2 : 4, !s.is_unsigned);
}

std::optional<TypeId> TypeReader::read(std::size_t& at, bool may_be_name, bool with_pointers)
{
    const std::size_t from = at;
    Specifiers s;
    while (read_specifier(at, s, may_be_name))
        ;
    auto type = resolve(s);
    if (!type) {
        at = from;
        return std::nullopt;
    }
    while (with_pointers && tokens_[at].sign == Sign::star) {
        at++;
        auto space = std::exchange(s.space, std::nullopt);
        for (; tokens_[at].sign == Sign::name &&
               (is_one_of(tokens_[at].word, kIgnored) || tokens_[at].word == "__user");
             at++)
            if (tokens_[at].word == "__user")
                space = Space::user;
        // What the kernel's types describe is in the kernel.
        const Type& target = types_[*type];
        type = types_.pointer_to(
            *type, space.value_or(target.kernel_id != 0 ? Space::kernel : Space::unknown));
    }
    return type;
}

TypeId TypeReader::read_array(std::size_t& at, TypeId element)
{
    std::vector<std::uint32_t> counts;
    while (tokens_[at].sign == Sign::open_square) {
        at++;
        std::uint32_t count = 0;
        if (tokens_[at].sign == Sign::number && tokens_[at].number.value < (1u << 28))
            count = std::uint32_t(tokens_[at++].number.value);
        if (tokens_[at].sign != Sign::close_square)
            throw TextError(tokens_[at].at, std::max(tokens_[at].length, 1u),
                            "expected the array's length and ']'");
        at++;
        counts.push_back(count);
    }
    for (auto count = counts.rbegin(); count != counts.rend(); ++count)
        element = types_.array_of(element, *count);
    return element;
}

} // namespace corebox::expr
