// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A column is one row of a constexpr table; text, JSON, CSV, sorting, help and man page read it.
#pragma once
#include "abi/task.h"
#include "output/field.hpp"
#include "output/value.hpp"
#include <span>
#include <type_traits>

namespace corebox
{

// When a column is in the output. JSON has every column but costly() ones.
struct Show {
    enum class When : std::uint8_t {
        always,
        with,
        without,
        json,
        text,
        costly
    } when = When::always;
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
    ColumnType type;
    std::string_view help;
    Show show;
    Value (*get)(const void* row);
    const char* row;              // tag of the struct that `get` reads, compared by address
    const Field* field = nullptr; // null: only user space knows it

    // What it is of the record.
    template <Formula F>
    consteval Column from() const
    {
        if (type != ColumnType::any &&
            (type == ColumnType::decimal || type == ColumnType::text ||
             F.type == ColumnType::decimal || F.type == ColumnType::text) &&
            type != F.type)
            throw "a formula of another type";
        Column c = *this;
        c.field = &detail::Stored<F>::kField;
        return type == ColumnType::any ? c.as(F.type) : c;
    }
    // It is a text, and the record has its number in this table.
    template <Formula F, const auto& Names>
    consteval Column from_names() const
    {
        Column c = *this;
        c.field = &detail::StoredNames<F, Names>::kField;
        return c.as(ColumnType::text);
    }
    // Where `get` returns any Value; and of a type that more rows have in common.
    consteval Column as(ColumnType other) const
    {
        Column c = *this;
        c.type = other;
        return c;
    }
    // It is in no record, though a member of a row that is one.
    consteval Column in_user_space() const
    {
        Column c = *this;
        c.field = nullptr;
        return c;
    }
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

template <class T>
consteval ColumnType column_type()
{
    using enum ColumnType;
    if constexpr (std::is_same_v<T, bool>)
        return boolean;
    else if constexpr (std::is_integral_v<T>)
        return sizeof(T) == 8 && std::is_unsigned_v<T> ? natural : integer;
    else if constexpr (std::is_same_v<T, Octal> || std::is_same_v<T, Hex>)
        return natural;
    else if constexpr (std::is_same_v<T, Fixed>)
        return decimal;
    else if constexpr (std::is_same_v<T, WallTime>)
        return time;
    else if constexpr (std::is_same_v<T, SinceFirst>)
        return elapsed;
    else if constexpr (std::is_same_v<T, List>)
        return list;
    else if constexpr (std::is_same_v<T, Errno> || std::is_same_v<T, Trusted> || kIsText<T> ||
                       std::is_convertible_v<T, std::string_view>)
        return text;
    else
        return any;
}

// Row is a parameter of its own for the linkage: see Store in tool/option.hpp.
template <class Row, auto Get, auto... Path>
struct Getter {
    static constexpr bool kIsMember = std::is_member_object_pointer_v<decltype(Get)>;

    static consteval ColumnType type()
    {
        if constexpr (kIsMember)
            return column_type<MemberOfRecord<last_member<Get, Path...>()>>();
        else
            return column_type<std::invoke_result_t<decltype(Get), const Row&>>();
    }
    // A row that is a C struct is the record itself. A record begins with its task_info.
    static consteval const Field* field_of_row()
    {
        if constexpr (kIsMember && std::is_trivial_v<Row>)
            return &Stored<field<Get, Path...>>::kField;
        else if constexpr (kIsMember && sizeof...(Path) == 1)
            if constexpr (std::is_same_v<MemberOfRecord<Get>, task_info>)
                return &Stored<field<Path...>>::kField;
        return nullptr;
    }
    static Value get(const void* row)
    {
        const Row& r = *static_cast<const Row*>(row);
        if constexpr (kIsMember)
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
    using Getter = detail::Getter<Row, Get, Path...>;
    return {key,
            header,
            width,
            Getter::type(),
            help,
            show,
            Getter::get,
            &detail::kRowTag<Row>,
            Getter::field_of_row()};
}

// A field of an event that the kernel side counts, for --where: event_field<field<&X::bytes>>(
// "bytes", "Size of the request in bytes").
template <Formula F>
consteval Column event_field(std::string_view key, std::string_view help)
{
    return {key, key, 0, F.type, help, {}, nullptr, nullptr, &detail::Stored<F>::kField};
}

// The same, a text: the formula is its number in the table.
template <Formula F, const auto& Names>
consteval Column event_field_of_names(std::string_view key, std::string_view help)
{
    Column c = event_field<F>(key, help);
    c.field = &detail::StoredNames<F, Names>::kField;
    return c.as(ColumnType::text);
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
