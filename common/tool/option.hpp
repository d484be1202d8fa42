// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Options and positionals are rows of constexpr tables: parsing, help, man page and completion
// come from them.
#pragma once
#include "base/text.hpp"
#include <chrono>
#include <cstring>
#include <limits>
#include <span>
#include <type_traits>
#include <utility>

namespace corebox
{

// Inclusive bounds of a numeric value.
struct Range {
    std::int64_t min = std::numeric_limits<std::int64_t>::min();
    std::int64_t max = std::numeric_limits<std::int64_t>::max();
};
inline constexpr Range kPositive{1};

struct Option {
    char key;              // 0: long name only
    std::string_view name; // without "--"; of a positional: what it is called in messages
    std::string_view arg;  // name of its value in help; empty: a switch
    std::string_view help;
    // Stores the value; returns what it must be if it is not that ("a number from 1 to 9").
    std::string (*apply)(void* options, std::string_view value, const Range&);
    Range range{};
    std::string_view alias{};  // other long names, "a|b": of the other incumbent
    std::string_view values{}; // what completion offers: pid, disk, cgroup, file, dir, user
    bool is_choice = false;    // `arg` is a list of words, "a|b|c"
    bool may_lack = false;     // --label or --label=TEXT: without a value `apply` gets ""
    bool repeats = false;      // a positional that takes all further words
};

// A duration that may have a fraction: "0.5".
using Seconds = std::chrono::duration<std::uint64_t, std::nano>;

// A user by number or by name from /etc/passwd (read by us: static glibc has no NSS).
struct User {
    std::uint32_t uid = 0;
    bool given = false;
};
std::optional<std::uint32_t> user_id(std::string_view name);
std::string user_name(std::uint32_t uid); // the number where it has no name

namespace detail
{

std::string must_be_number(const Range&, std::int64_t type_min, std::uint64_t type_max);
std::string parse_seconds(std::string_view s, Seconds& out);
std::string parse_user(std::string_view s, User& out);

template <std::integral T>
std::string parse_value(std::string_view s, T& out, const Range& range)
{
    const auto n = to_number<T>(s);
    constexpr auto kMax = std::uint64_t(std::numeric_limits<T>::max());
    if (!n || std::cmp_less(*n, range.min) || std::cmp_greater(*n, range.max))
        return must_be_number(range, std::int64_t(std::numeric_limits<T>::min()), kMax);
    out = *n;
    return {};
}

inline std::string parse_value(std::string_view s, std::string_view& out, const Range&)
{
    if (s.empty())
        return "a text";
    out = s;
    return {};
}

inline std::string parse_value(std::string_view s, std::string& out, const Range&)
{
    out = s;
    return s.empty() ? "a text" : "";
}

inline std::string parse_value(std::string_view s, Seconds& out, const Range&)
{
    return parse_seconds(s, out);
}

inline std::string parse_value(std::string_view s, User& out, const Range&)
{
    return parse_user(s, out);
}

// A kernel string: has to fit with its NUL.
template <std::size_t N>
std::string parse_value(std::string_view s, char (&out)[N], const Range&)
{
    if (s.empty() || s.size() >= N)
        return cat("a text of 1 to ", N - 1, " bytes");
    std::memset(out, 0, N);
    std::memcpy(out, s.data(), s.size());
    return {};
}

// A type that parses itself: static std::string parse(std::string_view, T& out).
template <class T>
requires requires(T& out) { T::parse(std::string_view{}, out); }
std::string parse_value(std::string_view s, T& out, const Range&) { return T::parse(s, out); }

// A list "1,2,3"; given again, the option adds to it.
template <class T>
std::string parse_value(std::string_view s, std::vector<T>& out, const Range& range)
{
    for (const std::string_view part : split(s, ',')) {
        T element{};
        if (std::string must_be = parse_value(part, element, range); !must_be.empty())
            return cat("a list, separated by commas, of: ", must_be);
        out.push_back(element);
    }
    return s.empty() ? "a list, separated by commas" : "";
}

template <class T>
struct MemberOf;
template <class Owner, class Member>
struct MemberOf<Member Owner::*> {
    using owner = Owner;
    using type = Member;
};

// What flag(), opt() and choice() store with. Owner is a parameter of its own because GCC 12 gives
// templates external linkage whose only mark of an anonymous namespace is a pointer to member:
// the `Options::name` of two tools would be one symbol, and one tool would write into the other's
// layout.
template <class Owner, auto Member>
struct Store {
    static std::string set(void* options, std::string_view, const Range&)
    {
        static_cast<Owner*>(options)->*Member = true;
        return {};
    }
    static std::string parse(void* options, std::string_view value, const Range& range)
    {
        return parse_value(value, static_cast<Owner*>(options)->*Member, range);
    }
    // The parser hands over the word's number instead of the word.
    static std::string choose(void* options, std::string_view number, const Range&)
    {
        auto& member = static_cast<Owner*>(options)->*Member;
        member = std::remove_reference_t<decltype(member)>(*to_number<unsigned>(number));
        return {};
    }
};

template <class Owner, auto Member, auto Parse>
struct StoreBits {
    static std::string parse(void* options, std::string_view value, const Range&)
    {
        std::uint32_t bits = 0;
        std::string must_be = Parse(value, bits);
        static_cast<Owner*>(options)->*Member |= bits;
        return must_be;
    }
};

consteval void check_option(std::string_view name, std::string_view help)
{
    if (name.empty() || help.empty())
        throw "an option needs a long name and a help text";
    for (const char c : name)
        if (c == '_' || c == ' ' || (c >= 'A' && c <= 'Z'))
            throw "long options are lower-case words joined by hyphens";
}

} // namespace detail

// flag<&Options::failed>('x', "failed", "Only failed opens"): a switch that sets a bool (or an
// integer that the BPF side reads as one).
template <auto Member>
consteval Option flag(char key, std::string_view name, std::string_view help,
                      std::string_view alias = {})
{
    using Owner = typename detail::MemberOf<decltype(Member)>::owner;
    detail::check_option(name, help);
    return {.key = key,
            .name = name,
            .arg = {},
            .help = help,
            .apply = detail::Store<Owner, Member>::set,
            .alias = alias};
}

// A switch that the kit only has to know as given: it shows columns.
consteval Option show(char key, std::string_view name, std::string_view help,
                      std::string_view alias = {})
{
    detail::check_option(name, help);
    return {.key = key,
            .name = name,
            .arg = {},
            .help = help,
            .apply = [](void*, std::string_view, const Range&) -> std::string { return {}; },
            .alias = alias};
}

// opt<&Options::disk>('d', "disk", "DISK", "Only this disk"): a value, parsed by its type.
template <auto Member>
consteval Option opt(char key, std::string_view name, std::string_view arg, std::string_view help,
                     Range range = {}, std::string_view alias = {}, std::string_view values = {})
{
    using Owner = typename detail::MemberOf<decltype(Member)>::owner;
    detail::check_option(name, help);
    return {.key = key,
            .name = name,
            .arg = arg,
            .help = help,
            .apply = detail::Store<Owner, Member>::parse,
            .range = range,
            .alias = alias,
            .values = values};
}

// opt_maybe<&Options::label>(0, "label", "TEXT", "..."): the value may be left out. It follows
// "=", or is the next word where the tool takes no operands. Its type parses itself, and knows what
// "" stands for.
template <auto Member>
consteval Option opt_maybe(char key, std::string_view name, std::string_view arg,
                           std::string_view help)
{
    Option option = opt<Member>(key, name, arg, help);
    option.may_lack = true;
    return option;
}

// The option under one more long name.
consteval Option also_named(std::string_view alias, Option o)
{
    o.alias = alias;
    return o;
}

// A last positional, of a list, that takes all further words too.
consteval Option repeated(Option o)
{
    o.repeats = true;
    return o;
}

// Names of bits, again for more: Parse(name, bits) returns what it must be, or "". Any integer
// member collects them.
template <auto Member, auto Parse>
consteval Option bits(char key, std::string_view name, std::string_view arg, std::string_view help,
                      std::string_view alias = {})
{
    using Owner = typename detail::MemberOf<decltype(Member)>::owner;
    detail::check_option(name, help);
    return {.key = key,
            .name = name,
            .arg = arg,
            .help = help,
            .apply = detail::StoreBits<Owner, Member, Parse>::parse,
            .alias = alias};
}

// One of several words, "all|reads|writes": sets the member to the place of the word in the list.
template <auto Member>
consteval Option choice(char key, std::string_view name, std::string_view words,
                        std::string_view help, std::string_view alias = {})
{
    using Owner = typename detail::MemberOf<decltype(Member)>::owner;
    detail::check_option(name, help);
    return {.key = key,
            .name = name,
            .arg = words,
            .help = help,
            .apply = detail::Store<Owner, Member>::choose,
            .alias = alias,
            .is_choice = true};
}

} // namespace corebox
