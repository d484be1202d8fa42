// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What a column yields. The kind says once how text, JSON and CSV show it.
#pragma once
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace corebox
{

// Semantic types; a column's getter returns one of them, an integer or a string.
struct Errno {
    int code; // positive; text ENOENT, 0 is empty
};
struct WallTime {
    std::uint64_t mono_ns; // CLOCK_MONOTONIC; text HH:MM:SS, JSON nanoseconds since the epoch
    int decimals = 0;      // of the seconds, in text
};
struct SinceFirst {
    std::uint64_t mono_ns; // text seconds since the first row
    int decimals = 9;
};
struct Octal {
    std::uint64_t value;
    int digits;
};
struct Fixed {
    std::uint64_t value; // in units of 10^-decimals
    int decimals;
};
struct Hex {
    std::uint64_t value;
};
// Text that the tool made itself and that no traced process can influence: not escaped.
struct Trusted {
    std::string_view text;
};
// An IPv4 or IPv6 address in network order, of 4 or 16 bytes: 10.0.0.1, ::1.
struct Address {
    const std::uint8_t* bytes;
    bool v6;
};
// With its port: 10.0.0.1:80, [::1]:80. JSON has columns of their own for the two.
struct Endpoint {
    Address address;
    std::uint16_t port;
};
// Several texts; JSON an array.
struct List {
    // How text and CSV join them: "a;b", "a b", or "\"a\" \"b\"".
    enum class Join : std::uint8_t { semicolon, blank, quoted };
    const std::string_view* items;
    std::size_t size;
    Join join = Join::semicolon;
    bool more = false; // there were more: text ends with "..."
};
struct Absent {
    std::string_view text = "-"; // what text shows; JSON null
};

struct Value {
    enum class Kind : std::uint8_t {
        signed_int,
        unsigned_int,
        octal,
        fixed,
        hex,
        text,
        trusted,
        error,
        wall_time,
        since_first,
        boolean,
        absent,
        list,
        address,
        endpoint,
    };

    Kind kind;
    std::uint8_t digits = 0;
    union {
        std::int64_t i;
        std::uint64_t u;
        const char* s;
        const std::string_view* items;
        const std::uint8_t* bytes;
    };
    std::size_t size = 0;

    constexpr Value() : Value(Absent{}) {}
    constexpr Value(bool v) : kind(Kind::boolean), u(v) {}
    constexpr Value(std::signed_integral auto v) : kind(Kind::signed_int), i(v) {}
    constexpr Value(std::unsigned_integral auto v) : kind(Kind::unsigned_int), u(v) {}
    constexpr Value(std::string_view v) : kind(Kind::text), s(v.data()), size(v.size()) {}
    constexpr Value(Errno v) : kind(Kind::error), i(v.code) {}
    constexpr Value(WallTime v)
        : kind(Kind::wall_time), digits(std::uint8_t(v.decimals)), u(v.mono_ns)
    {
    }
    constexpr Value(SinceFirst v)
        : kind(Kind::since_first), digits(std::uint8_t(v.decimals)), u(v.mono_ns)
    {
    }
    constexpr Value(Octal v) : kind(Kind::octal), digits(std::uint8_t(v.digits)), u(v.value) {}
    constexpr Value(Fixed v) : kind(Kind::fixed), digits(std::uint8_t(v.decimals)), u(v.value) {}
    constexpr Value(Hex v) : kind(Kind::hex), u(v.value) {}
    constexpr Value(Trusted v) : kind(Kind::trusted), s(v.text.data()), size(v.text.size()) {}
    constexpr Value(List v)
        : kind(Kind::list), digits(std::uint8_t(unsigned(v.join) << 1 | v.more)), items(v.items),
          size(v.size)
    {
    }
    constexpr Value(Address v) : kind(Kind::address), digits(v.v6), bytes(v.bytes) {}
    constexpr Value(Endpoint v)
        : kind(Kind::endpoint), digits(v.address.v6), bytes(v.address.bytes), size(v.port)
    {
    }
    constexpr Value(Absent v) : kind(Kind::absent), s(v.text.data()), size(v.text.size()) {}

    // A kernel string: at most N bytes, ended by the first NUL.
    template <std::size_t N>
    constexpr Value(const char (&v)[N])
        : Value(std::string_view(v, N).substr(0, std::string_view(v, N).find('\0')))
    {
    }

    constexpr bool is_text() const
    {
        return kind == Kind::text || kind == Kind::trusted || kind == Kind::absent;
    }
    constexpr std::string_view str() const { return {s, size}; }
    constexpr List::Join join() const { return List::Join(digits >> 1); }
    constexpr bool more() const { return digits & 1; }

    // Of addresses: IPv4 first, then by their bytes, then by their ports.
    constexpr bool before(const Value& o) const
    {
        if (digits != o.digits)
            return digits < o.digits;
        for (int at = 0; at < (digits ? 16 : 4); at++)
            if (bytes[at] != o.bytes[at])
                return bytes[at] < o.bytes[at];
        return size < o.size;
    }
    // Order of two values of one column.
    constexpr bool operator<(const Value& o) const
    {
        if (is_text() || o.is_text())
            return is_text() && o.is_text() ? str() < o.str() : is_text();
        if (kind == Kind::address || kind == Kind::endpoint)
            return before(o);
        return kind == Kind::signed_int || kind == Kind::error ? i < o.i : u < o.u;
    }
};

} // namespace corebox
