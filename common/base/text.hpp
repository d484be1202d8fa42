// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Strings without streams or format strings: cat(), strict number parsing, splitting.
#pragma once
#include <charconv>
#include <concepts>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace corebox
{

namespace detail
{
inline void append(std::string& out, std::string_view s) { out += s; }
inline void append(std::string& out, char c) { out += c; }
inline void append(std::string& out, std::integral auto n)
{
    char digits[24];
    out.append(digits, std::to_chars(digits, digits + sizeof digits, n).ptr);
}
} // namespace detail

// The parts one after the other; integers in decimal.
template <class... Parts>
std::string cat(const Parts&... parts)
{
    std::string out;
    (detail::append(out, parts), ...);
    return out;
}

// "0x1f".
inline std::string to_hex(std::uint64_t n)
{
    char digits[16];
    return cat("0x",
               std::string_view(digits, std::to_chars(digits, digits + sizeof digits, n, 16).ptr));
}

// `s` in at least `width` bytes, with blanks behind it or before it.
inline std::string padded_right(std::string_view s, std::size_t width)
{
    return cat(s, std::string(width > s.size() ? width - s.size() : 0, ' '));
}
inline std::string padded_left(std::string_view s, std::size_t width)
{
    return cat(std::string(width > s.size() ? width - s.size() : 0, ' '), s);
}

// The whole of `s` as a number of type T: no sign for unsigned types, no blanks, in range.
template <std::integral T>
std::optional<T> to_number(std::string_view s, int base = 10)
{
    T n{};
    const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), n, base);
    if (error != std::errc{} || end != s.data() + s.size())
        return std::nullopt;
    return n;
}

// The parts between separators; an empty input has none.
inline std::vector<std::string_view> split(std::string_view s, char separator)
{
    std::vector<std::string_view> parts;
    while (!s.empty()) {
        const auto at = s.find(separator);
        parts.push_back(s.substr(0, at));
        s = at == s.npos ? std::string_view{} : s.substr(at + 1);
    }
    return parts;
}

// A kernel string: at most N bytes, ended by the first NUL.
template <std::size_t N>
constexpr std::string_view c_str(const char (&s)[N])
{
    return std::string_view(s, N).substr(0, std::string_view(s, N).find('\0'));
}

// The whole of a (proc, sysfs) file; nullopt with errno set where it cannot be read.
std::optional<std::string> read_file(const std::string& path);
// Up to a part of it with which there is enough.
std::optional<std::string> read_file(const std::string& path,
                                     const std::function<bool(std::string_view more)>& is_enough);

// The value of "Key:\tvalue" in the text of a /proc status file.
std::optional<std::string_view> status_field(std::string_view text, std::string_view key);

// "ENOENT" for 2, "E512" for codes without a name (512 and up stay inside the kernel, but reach
// a tracer).
std::string errno_name(int code);

} // namespace corebox
