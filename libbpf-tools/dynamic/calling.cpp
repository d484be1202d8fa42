// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "calling.hpp"
#include <algorithm>
#include <array>

namespace corebox
{
namespace
{
using expr::Type;
using expr::TypeId;

#ifdef __aarch64__
constexpr bool kArm64 = true;
// "DWARF for the Arm 64-bit Architecture": x0 to x7.
constexpr std::uint32_t kDwarfRegisters[] = {0, 1, 2, 3, 4, 5, 6, 7};
#else
constexpr bool kArm64 = false;
// System V ABI for x86-64, figure 3.36: rdi, rsi, rdx, rcx, r8, r9.
constexpr std::uint32_t kDwarfRegisters[] = {5, 4, 1, 2, 8, 9};
#endif

constexpr std::uint32_t kRegisters = std::size(kDwarfRegisters);
constexpr unsigned kMostNested = 16;

// What a small structure has in its two words.
struct Contents {
    std::array<bool, 2> has_integer{}, has_float{};
};

void look_at(const expr::Types& types, TypeId id, std::uint64_t byte, Contents& contents,
             unsigned depth)
{
    const Type& type = types[id];
    if (depth == kMostNested || byte >= 16)
        return;
    if (type.kind == Type::Kind::structure) {
        for (const expr::Member& member : types.members(id))
            look_at(types, member.type, byte + member.bit / 8, contents, depth + 1);
    } else if (type.kind == Type::Kind::array) {
        const std::uint32_t size = types[type.target].size;
        for (std::uint32_t i = 0; size != 0 && i < type.count && i < 16; i++)
            look_at(types, type.target, byte + std::uint64_t(i) * size, contents, depth + 1);
    } else if (type.kind == Type::Kind::floating) {
        contents.has_float[byte / 8] = true;
    } else {
        contents.has_integer[byte / 8] = true;
    }
}

// How many words for integers a value takes; none: it is somewhere else.
std::optional<std::uint32_t> integer_words(const expr::Types& types, TypeId id)
{
    const Type& type = types[id];
    if (type.is_number() || type.kind == Type::Kind::pointer)
        return 1;
    if (type.kind == Type::Kind::floating)
        return std::nullopt;
    if (type.size > 16)
        return kArm64 ? std::optional(1u) : std::nullopt; // there its address is passed
    if (type.kind != Type::Kind::structure)
        return type.size ? (type.size + 7) / 8 : 1; // __int128
    Contents contents;
    look_at(types, id, 0, contents, 0);
    const bool has_integer = contents.has_integer[0] || contents.has_integer[1];
    if (!has_integer)
        return std::nullopt; // floating-point numbers, or empty
    if (kArm64)
        return (type.size + 7) / 8;
    return std::uint32_t(contents.has_integer[0]) + std::uint32_t(contents.has_integer[1]);
}

} // namespace

ArgumentWords place_arguments(const expr::Types& types, std::span<const expr::Parameter> parameters,
                              TypeId returns, bool has_hidden_result)
{
    ArgumentWords places;
    // Where a large result goes, x86-64 passes as the first argument; arm64 in a register apart.
    const bool is_large = types[returns].kind == Type::Kind::structure && types[returns].size > 16;
    std::uint32_t next = !kArm64 && (is_large || has_hidden_result) ? 1 : 0;
    for (const expr::Parameter& parameter : parameters) {
        const auto words = integer_words(types, parameter.type);
        if (!words) {
            places.emplace_back();
        } else if (next + *words <= kRegisters || *words == 1) {
            // Behind the registers the numbers go on: whoever reads them says that they are on the
            // stack.
            places.emplace_back(next);
            next += *words;
        } else {
            places.emplace_back(); // as a whole on the stack
            if (kArm64)
                next = kRegisters;
        }
    }
    return places;
}

ArgumentWords place_in_trampoline(const expr::Types& types,
                                  std::span<const expr::Parameter> parameters, std::uint32_t& total)
{
    ArgumentWords places;
    total = 0;
    for (const expr::Parameter& parameter : parameters) {
        const Type& type = types[parameter.type];
        places.emplace_back(total);
        total += type.kind == Type::Kind::pointer ? 1 : std::max(1u, (type.size + 7) / 8);
    }
    return places;
}

std::optional<std::uint32_t> argument_in_register(std::uint32_t dwarf_register)
{
    const auto at = std::ranges::find(kDwarfRegisters, dwarf_register);
    if (at == std::end(kDwarfRegisters))
        return std::nullopt;
    return std::uint32_t(at - std::begin(kDwarfRegisters));
}

} // namespace corebox
