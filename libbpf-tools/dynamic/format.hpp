// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Format strings of trace: printf's conversions, and %K and %U for functions of the kernel and of
// the program.
#pragma once
#include "spec.hpp"
#include <cstdint>
#include <string>
#include <vector>

namespace corebox
{

struct Conversion {
    char letter = 0;        // d u x o c s p K U
    std::uint8_t bytes = 4; // of a number, as its modifier says: 1 2 4 8
    bool left = false, zeros = false, alternate = false, plus = false;
    std::uint16_t width = 0;
    std::uint16_t precision = kNoPrecision;
    std::size_t at = 0, length = 0; // where it stands in the specification

    static constexpr std::uint16_t kNoPrecision = 0xffff;
    bool is_number() const { return letter != 's' && letter != 'K' && letter != 'U'; }
};

struct MessageFormat {
    // Throws expr::TextError where it is malformed, or has not one conversion for each argument.
    MessageFormat(Piece format, std::span<const Piece> arguments);
    MessageFormat() = default;

    std::vector<std::string> texts{""}; // before, between and behind the conversions
    std::vector<Conversion> conversions{};
};

// A number as a conversion shows it. `is_signed`: by its type.
void append_number(std::string& out, const Conversion& how, std::uint64_t bits, bool is_signed);
// A text with the conversion's width and precision.
void append_padded(std::string& out, const Conversion& how, std::string_view text);

} // namespace corebox
