// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A column is one row of a constexpr table; text, JSON, CSV, sorting, help and man page read it.
#pragma once
#include "output/value.hpp"
#include <span>
#include <type_traits>

namespace corebox
{

// When a column is in the output. JSON has every column but costly() ones.
struct Show {
    enum class When : std::uint8_t { always, with, without, json, text, costly } when = When::always;
    std::string_view option{}; // long name; of several, "a|b": any of them
};
constexpr Show with(std::string_view option) { return {Show::When::with, option}; }
constexpr Show without(std::string_view option) { return {Show::When::without, option}; }
// Text has it only when --columns names it.
inline constexpr Show kJsonOnly{Show::When::json};
// JSON and CSV have the same in columns of their own.
inline constexpr Show kTextOnly{Show::When::text};
// As kJsonOnly, and JSON only with the option.
constexpr Show json_with(std::string_view option) { return {Show::When::json, option}; }
// Computed, and shown at all, only with the option.
constexpr Show costly(std::string_view option) { return {Show::When::costly, option}; }

struct Column {
    std::string_view key;    // JSON and --columns name, with the unit: lat_us
    std::string_view header; // text; BCC's; of "TIME-ZONE" the zone's own name
    int width;               // > 0: left-aligned, < 0: right-aligned, 0: the rest of the line
    std::string_view help;
    Show show;
    Value (*get)(const void* row);
    const char* row; // tag of the struct that `get` reads, compared by address
};

namespace detail
{
template <class Row>
inline constexpr char kRowTag = 0;

template <class T>
struct GetterRow;
template <class Row, class Member>
struct GetterRow<Member Row::*> {
    using type = Row;
};
template <class Lambda, class Result, class Row>
struct GetterRow<Result (Lambda::*)(const Row&) const> {
    using type = Row;
};

template <auto Get>
consteval auto getter_row()
{
    if constexpr (std::is_member_object_pointer_v<decltype(Get)>)
        return std::type_identity<typename GetterRow<decltype(Get)>::type>{};
    else
        return std::type_identity<typename GetterRow<decltype(&decltype(Get)::operator())>::type>{};
}

// Row is a parameter of its own for the linkage: see Store in tool/option.hpp.
template <class Row, auto Get, auto... Path>
struct Getter {
    static Value get(const void* row)
    {
        const Row& r = *static_cast<const Row*>(row);
        if constexpr (std::is_member_object_pointer_v<decltype(Get)>)
            return ((r.*Get).*....*Path);
        else
            return Get(r);
    }
};
} // namespace detail

// col<&Row::pid>("pid", "PID", 7, "Process ID"); a member of a member, col<&Row::task,
// &task_info::pid>(...); or a captureless lambda for a derived value.
template <auto Get, auto... Path>
consteval Column col(std::string_view key, std::string_view header, int width,
                     std::string_view help, Show show = {})
{
    using Row = typename decltype(detail::getter_row<Get>())::type;
    if (key.empty() || header.empty() || help.empty())
        throw "a column needs a key, a header and a help text";
    for (const char c : key)
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '_')
            throw "column keys are snake_case";
    return {key,
            header,
            width,
            help,
            show,
            detail::Getter<Row, Get, Path...>::get,
            &detail::kRowTag<Row>};
}

// A table whose every column reads a Row; anything else does not compile.
template <class Row>
struct Columns {
    std::span<const Column> list;

    constexpr Columns() = default;
    template <std::size_t N>
    consteval Columns(const Column (&columns)[N]) : list(columns)
    {
        for (const Column& c : columns) {
            if (c.row != &detail::kRowTag<Row>)
                throw "a column of another row";
            for (const Column& other : columns)
                if (&c != &other && c.key == other.key)
                    throw "two columns with one key";
        }
    }
};

} // namespace corebox
