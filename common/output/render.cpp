// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "output/render.hpp"
#include "base/text.hpp"
#include "output/escape.hpp"
#include <algorithm>
#include <arpa/inet.h>
#include <charconv>
#include <cstring>

namespace corebox
{
namespace
{

constexpr std::uint64_t kPowers[] = {1,       10,        100,        1'000,       10'000,
                                     100'000, 1'000'000, 10'000'000, 100'000'000, 1'000'000'000};

char* put_number(char* at, std::integral auto n, int base = 10)
{
    return std::to_chars(at, at + Line::kNumberBytes, n, base).ptr;
}

// n * 10^-decimals, up to 9 of them.
char* put_fixed(char* at, std::uint64_t n, unsigned decimals)
{
    const std::uint64_t unit = kPowers[decimals];
    at = put_number(at, n / unit);
    if (decimals == 0)
        return at;
    *at = '.';
    auto rest = std::uint32_t(n % unit);
    for (unsigned i = decimals; i > 0; i--, rest /= 10)
        at[i] = char('0' + rest % 10);
    return at + decimals + 1;
}

// At least `digits` of them.
char* put_octal(char* at, std::uint64_t n, unsigned digits)
{
    char* const end = put_number(at, n, 8);
    const auto used = unsigned(end - at);
    if (used >= digits)
        return end;
    std::memmove(at + digits - used, at, used);
    std::memset(at, '0', digits - used);
    return at + digits;
}

char* put_bytes(char* at, std::string_view s)
{
    std::memcpy(at, s.data(), s.size());
    return at + s.size();
}

constexpr std::size_t kEndpointBytes = INET6_ADDRSTRLEN + sizeof "\"[]:65535\"";

char* put_ipv4(char* at, const std::uint8_t* bytes)
{
    for (int i = 0; i < 4; i++) {
        if (i)
            *at++ = '.';
        at = put_number(at, unsigned(bytes[i]));
    }
    return at;
}

// As RFC 5952 has it: the longest row of zeros, of two groups or more, is "::".
char* put_ipv6(char* at, const std::uint8_t* bytes)
{
    unsigned groups[8];
    int zeros = 0, most = 1, first = 8; // of the longest row
    for (int i = 0; i < 8; i++) {
        groups[i] = unsigned(bytes[2 * i] << 8 | bytes[2 * i + 1]);
        zeros = groups[i] ? 0 : zeros + 1;
        if (zeros > most) {
            most = zeros;
            first = i + 1 - zeros;
        }
    }
    // Those that may have an IPv4 address at their end.
    if (first == 0 && most >= 5) {
        ::inet_ntop(AF_INET6, bytes, at, INET6_ADDRSTRLEN);
        return at + std::strlen(at);
    }
    for (int i = 0; i < 8; i++) {
        if (i == first) {
            at = put_bytes(at, "::");
            i += most - 1;
            continue;
        }
        if (i && i != first + most)
            *at++ = ':';
        at = put_number(at, groups[i], 16);
    }
    return at;
}

// inet_ntop() formats with sprintf(): two addresses take longer than all the rest of a line.
char* put_endpoint(char* at, const Value& v)
{
    const bool v6 = v.digits, has_port = v.kind == Value::Kind::endpoint;
    if (v6 && has_port)
        *at++ = '[';
    at = v6 ? put_ipv6(at, v.bytes) : put_ipv4(at, v.bytes);
    if (v6 && has_port)
        *at++ = ']';
    if (!has_port)
        return at;
    *at++ = ':';
    return put_number(at, v.size);
}

} // namespace

char* Line::grow(char* at, std::size_t bytes)
{
    const auto used = at ? std::size_t(at - memory_.data()) : 0;
    memory_.resize((used + bytes) * 2);
    end_ = memory_.data() + memory_.size();
    return memory_.data() + used;
}

std::uint64_t Renderer::since_first(std::uint64_t mono_ns, unsigned decimals)
{
    if (first_ns_ == 0)
        first_ns_ = mono_ns;
    return (mono_ns - std::min(first_ns_, mono_ns)) / kPowers[9 - decimals];
}

template <Format F>
void Renderer::make_list(const Value& v, bool column, Cell& cell)
{
    list_.clear();
    if constexpr (F == Format::json) {
        list_ += '[';
        for (std::size_t i = 0; i < v.size; i++) {
            list_ += i ? ",\"" : "\"";
            cell.lossy |= escape_json(list_, v.items[i]);
            list_ += '"';
        }
        list_ += ']';
        return;
    }
    for (std::size_t i = 0; i < v.size; i++) {
        if (i)
            escape_text(list_, v.join() == List::Join::semicolon ? ";" : " ", column);
        if (v.join() == List::Join::quoted)
            escape_quoted(list_, v.items[i], column);
        else
            escape_text(list_, v.items[i], column);
    }
    if (v.more())
        escape_text(list_, " ...", column);
    cell.plain = count_cells(list_) == list_.size();
}

template <Format F>
char* Renderer::put(Line& line, char* at, const Value& v, bool column, std::size_t spare,
                    Cell& cell)
{
    constexpr bool kJson = F == Format::json;
    const auto room = [&](std::size_t bytes) {
        at = line.reserve(at, bytes + spare + Line::kNumberBytes);
    };
    const auto quote = [&] {
        if constexpr (kJson)
            *at++ = '"';
    };
    switch (v.kind) {
    case Value::Kind::signed_int:
        room(0);
        return put_number(at, v.i);
    case Value::Kind::unsigned_int:
        room(0);
        return put_number(at, v.u);
    case Value::Kind::octal:
        room(v.digits);
        return kJson ? put_number(at, v.u) : put_octal(at, v.u, v.digits);
    case Value::Kind::hex:
        room(0);
        return kJson ? put_number(at, v.u) : put_number(put_bytes(at, "0x"), v.u, 16);
    case Value::Kind::fixed:
        room(0);
        return put_fixed(at, v.u, v.digits);
    case Value::Kind::since_first:
        room(0);
        return put_fixed(at, since_first(v.u, v.digits), v.digits);
    case Value::Kind::wall_time: {
        room(0);
        const std::uint64_t wall_ns = clock_.wall_ns(v.u);
        if (F != Format::text)
            return put_number(at, wall_ns);
        at = put_bytes(at, clock_.time_of_day(wall_ns));
        if (v.digits == 0)
            return at;
        char fraction[Line::kNumberBytes]; // "0.123456789"
        put_fixed(fraction, wall_ns % kPowers[9], 9);
        return put_bytes(at, {fraction + 1, v.digits + 1u});
    }
    case Value::Kind::boolean:
        room(0);
        return put_bytes(at, kJson ? (v.u ? "true" : "false") : (v.u ? "yes" : "no"));
    case Value::Kind::text:
        room(v.size * kEscapeGrowth + 2);
        quote();
        at = kJson ? escape_json(at, v.str(), cell.lossy)
                   : escape_text(at, v.str(), column, cell.plain);
        quote();
        return at;
    case Value::Kind::absent:
        if (F == Format::csv)
            return at;
        if (kJson) {
            room(0);
            return put_bytes(at, "null");
        }
        [[fallthrough]];
    case Value::Kind::trusted:
        room(v.size + 2);
        cell.plain = count_cells(v.str()) == v.size;
        quote();
        at = put_bytes(at, v.str());
        quote();
        return at;
    case Value::Kind::error: {
        const std::string name = v.i ? errno_name(int(v.i)) : "";
        room(name.size() + 2);
        quote();
        at = put_bytes(at, name);
        quote();
        return at;
    }
    case Value::Kind::address:
    case Value::Kind::endpoint:
        room(kEndpointBytes);
        quote();
        at = put_endpoint(at, v);
        quote();
        return at;
    case Value::Kind::list:
        make_list<F>(v, column, cell);
        room(list_.size());
        return put_bytes(at, list_);
    }
    return at;
}

template <Format F>
void Renderer::append(std::string& out, const Value& v, bool column)
{
    Cell cell;
    const char* const end = put<F>(scratch_, scratch_.begin(), v, column, 0, cell);
    out.append(scratch_.begin(), std::size_t(end - scratch_.begin()));
}

template char* Renderer::put<Format::text>(Line&, char*, const Value&, bool, std::size_t, Cell&);
template char* Renderer::put<Format::json>(Line&, char*, const Value&, bool, std::size_t, Cell&);
template char* Renderer::put<Format::csv>(Line&, char*, const Value&, bool, std::size_t, Cell&);
template void Renderer::append<Format::text>(std::string&, const Value&, bool);
template void Renderer::append<Format::json>(std::string&, const Value&, bool);
template void Renderer::append<Format::csv>(std::string&, const Value&, bool);

std::size_t count_cells(std::string_view s)
{
    std::size_t n = 0;
    for (const char c : s)
        n += (std::uint8_t(c) & 0xc0) != 0x80;
    return n;
}

} // namespace corebox
