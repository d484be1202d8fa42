// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What a column is of the record that the kernel side makes of an event: a formula over fields of
// the record, written in C++ and kept as data. With it the kernel decides what --where says of the
// column (session/where.hpp); a column without is decided in user space.
//
//   constexpr Formula kRet = field<&open_event::ret>;
//   col<&Row::err>("err", ...).from<select(kRet < 0, -kRet, 0)>()
//
// A formula is what the column shows, of every record: tests/unit/field_test.cpp compares them.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace corebox
{

// What a column holds, as expressions and programs that read JSON see it.
enum class ColumnType : std::uint8_t {
    any,     // differs from row to row
    integer, // 64 bits, signed
    natural, // 64 bits, unsigned
    boolean, //
    decimal, // a number with decimals
    text,    //
    list,    // of texts
    time,    // nanoseconds since the epoch
    elapsed, // since the first row that is shown
    address, // of IPv4 or IPv6
};

// One step of a formula in postfix order.
struct FieldStep {
    enum class Do : std::uint8_t {
        load,     // a number of `bytes` bytes at `value`
        text,     // the text of at most `size` bytes at `value`
        constant, // `value`
        negate,
        invert, // 1 where it is 0, else 0
        add,
        subtract,
        multiply,
        divide,
        bit_and,
        shift_right,
        equal,
        less,
        both,
        either,
        select,  // of three, the second if the first is not 0, else the third
        present, // of two, the second if the first is not 0, else nothing
        known,   // of two, the second if the first is not 0, else user space has to look
    };
    Do what{};
    std::uint8_t bytes = 0;
    bool is_signed = false;
    std::uint32_t size = 0;
    std::int64_t value = 0;

    constexpr bool operator==(const FieldStep&) const = default;
};

struct Formula {
    static constexpr std::size_t kMost = 24;

    ColumnType type = ColumnType::integer;
    std::uint32_t count = 0;
    FieldStep steps[kMost]{};

    consteval Formula() = default;
    consteval Formula(std::int64_t constant)
        : count(1), steps{{.what = FieldStep::Do::constant, .value = constant}}
    {
    }
    consteval Formula& operator+=(const Formula& more)
    {
        for (std::uint32_t i = 0; i < more.count; i++)
            steps[count++] = more.steps[i]; // beyond the end: no constant expression
        return *this;
    }
    consteval Formula& operator+=(FieldStep step)
    {
        steps[count++] = step;
        return *this;
    }
};

namespace detail
{

template <class T>
struct MemberType;
template <class Owner, class Member>
struct MemberType<Member Owner::*> {
    using owner = Owner;
    using type = Member;
};
template <auto Member>
using MemberOfRecord = typename MemberType<decltype(Member)>::type;

template <auto Member>
consteval std::size_t offset_of()
{
    using Owner = typename MemberType<decltype(Member)>::owner;
    union U {
        char bytes[sizeof(Owner)];
        Owner owner;
        constexpr U() : bytes{} {}
        constexpr ~U() {}
    } u;
    const void* const at = &(u.owner.*Member);
    for (std::size_t i = 0; i < sizeof(Owner); i += alignof(MemberOfRecord<Member>))
        if (static_cast<const void*>(&u.bytes[i]) == at)
            return i;
    throw "a member that is nowhere";
}

template <class T>
inline constexpr bool kIsText = std::is_array_v<T>&& std::is_same_v<std::remove_extent_t<T>, char>;

template <class T>
consteval Formula field_of_type(std::size_t offset)
{
    Formula f;
    FieldStep step{.value = std::int64_t(offset)};
    if constexpr (kIsText<T>) {
        f.type = ColumnType::text;
        step.what = FieldStep::Do::text;
        step.size = sizeof(T);
    } else {
        static_assert(std::is_integral_v<T>, "a number, or a text");
        f.type = std::is_same_v<T, bool>                   ? ColumnType::boolean
                 : sizeof(T) == 8 && std::is_unsigned_v<T> ? ColumnType::natural
                                                           : ColumnType::integer;
        step.what = FieldStep::Do::load;
        step.bytes = sizeof(T);
        step.is_signed = std::is_signed_v<T>;
    }
    return f += step;
}

template <auto Last>
consteval auto last_member()
{
    return Last;
}
template <auto First, auto Next, auto... Rest>
consteval auto last_member()
{
    return last_member<Next, Rest...>();
}

consteval Formula joined(FieldStep::Do what, ColumnType type, const Formula& a, const Formula& b)
{
    Formula f = a;
    f += b;
    f += FieldStep{.what = what};
    f.type = type;
    return f;
}

// Of an operation with a natural number the result is one, as in C.
consteval ColumnType wider(const Formula& a, const Formula& b)
{
    return a.type == ColumnType::natural || b.type == ColumnType::natural ? ColumnType::natural
                                                                          : ColumnType::integer;
}

} // namespace detail

// A member of the record, or of a member of it; numbers, and texts that end with a NUL or with
// their array.
template <auto Member, auto... Path>
inline constexpr Formula
    field = detail::field_of_type<detail::MemberOfRecord<detail::last_member<Member, Path...>()>>(
        (detail::offset_of<Member>() + ... + detail::offset_of<Path>()));

// The lower half of a register: both architectures are little-endian.
consteval Formula as_int(Formula f, bool is_signed = true)
{
    if (f.count != 1 || f.steps[0].what != FieldStep::Do::load || f.steps[0].bytes != 8)
        throw "not a field of 8 bytes";
    f.type = ColumnType::integer;
    f.steps[0].bytes = 4;
    f.steps[0].is_signed = is_signed;
    return f;
}
consteval Formula as_unsigned(const Formula& f) { return as_int(f, false); }

// A text at the beginning of a member.
template <std::uint32_t Most, auto... Path>
inline constexpr Formula prefix = [] {
    Formula f = field<Path...>;
    f.steps[0].size = Most;
    return f;
}();

// An element of a member that is an array.
template <auto Member, std::size_t Index>
inline constexpr Formula
    element = detail::field_of_type<std::remove_extent_t<detail::MemberOfRecord<Member>>>(
        detail::offset_of<Member>() +
        Index * sizeof(std::remove_extent_t<detail::MemberOfRecord<Member>>));

consteval Formula operator+(const Formula& a, const Formula& b)
{
    return detail::joined(FieldStep::Do::add, detail::wider(a, b), a, b);
}
consteval Formula operator-(const Formula& a, const Formula& b)
{
    return detail::joined(FieldStep::Do::subtract, detail::wider(a, b), a, b);
}
consteval Formula operator*(const Formula& a, const Formula& b)
{
    return detail::joined(FieldStep::Do::multiply, detail::wider(a, b), a, b);
}
consteval Formula operator/(const Formula& a, const Formula& b)
{
    return detail::joined(FieldStep::Do::divide, detail::wider(a, b), a, b);
}
consteval Formula operator&(const Formula& a, const Formula& b)
{
    return detail::joined(FieldStep::Do::bit_and, detail::wider(a, b), a, b);
}
consteval Formula operator>>(const Formula& a, const Formula& b)
{
    return detail::joined(FieldStep::Do::shift_right, a.type, a, b);
}
consteval Formula operator==(const Formula& a, const Formula& b)
{
    return detail::joined(FieldStep::Do::equal, ColumnType::boolean, a, b);
}
consteval Formula operator<(const Formula& a, const Formula& b)
{
    return detail::joined(FieldStep::Do::less, ColumnType::boolean, a, b);
}
consteval Formula operator&&(const Formula& a, const Formula& b)
{
    return detail::joined(FieldStep::Do::both, ColumnType::boolean, a, b);
}
consteval Formula operator||(const Formula& a, const Formula& b)
{
    return detail::joined(FieldStep::Do::either, ColumnType::boolean, a, b);
}
consteval Formula operator!(Formula a)
{
    a.type = ColumnType::boolean;
    return a += FieldStep{.what = FieldStep::Do::invert};
}
consteval Formula operator!=(const Formula& a, const Formula& b) { return !(a == b); }
consteval Formula operator-(Formula a)
{
    a.type = ColumnType::integer;
    return a += FieldStep{.what = FieldStep::Do::negate};
}

consteval Formula select(const Formula& test, const Formula& yes, const Formula& no)
{
    Formula f = test;
    f += yes;
    f += no;
    f.type = yes.type;
    return f += FieldStep{.what = FieldStep::Do::select};
}

// The column has a value only where the test is true; else it is null.
consteval Formula present(const Formula& test, const Formula& value)
{
    return detail::joined(FieldStep::Do::present, value.type, test, value);
}

// The record has what the column shows only where the test is true; else user space makes it.
consteval Formula known(const Formula& test, const Formula& value)
{
    return detail::joined(FieldStep::Do::known, value.type, test, value);
}

// An address of 16 bytes in network order, of which IPv4 has the first four and zeros behind them.
// The steps: its two words, and whether it is one of IPv6.
template <auto Member, auto... Path>
consteval Formula address_of(const Formula& is_v6)
{
    const std::size_t offset = (detail::offset_of<Member>() + ... + detail::offset_of<Path>());
    static_assert(sizeof(detail::MemberOfRecord<detail::last_member<Member, Path...>()>) == 16);
    Formula f = detail::field_of_type<std::uint64_t>(offset);
    f += detail::field_of_type<std::uint64_t>(offset + 8);
    f += is_v6;
    f.type = ColumnType::address;
    return f;
}

// In units of 10^-decimals, as Fixed has it. Kept in units of 10^-9.
inline constexpr int kDecimals = 9;
consteval Formula fixed(const Formula& units, int decimals)
{
    std::int64_t scale = 1;
    for (int i = decimals; i < kDecimals; i++)
        scale *= 10;
    Formula f = scale == 1 ? units : units * scale;
    f.type = ColumnType::decimal;
    return f;
}

// Of a result that is negative where it is an errno: that errno, else 0.
consteval Formula errno_of(const Formula& result) { return select(result < 0, -result, 0); }
// -1 in place of an errno.
consteval Formula result_of(const Formula& result) { return select(result < 0, -1, result); }

// What a column refers to.
struct Field {
    const FieldStep* steps = nullptr;
    std::uint32_t count = 0;
    // Texts by number: the formula gives the number of what is shown.
    std::uint32_t names_count = 0;
    const std::string_view* names = nullptr;
};

namespace detail
{

template <Formula F>
struct Stored {
    struct Steps {
        FieldStep step[F.count];
    };
    static consteval Steps trimmed()
    {
        Steps s;
        for (std::uint32_t i = 0; i < F.count; i++)
            s.step[i] = F.steps[i];
        return s;
    }
    static constexpr Steps kSteps = trimmed();
    static constexpr Field kField{kSteps.step, F.count};
};

template <Formula F, const auto& Names>
struct StoredNames {
    static constexpr Field kField{Stored<F>::kSteps.step, F.count, std::uint32_t(std::size(Names)),
                                  std::data(Names)};
};

} // namespace detail

} // namespace corebox
