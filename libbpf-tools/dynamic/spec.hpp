// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// BCC's probe specifications, as trace takes them:
//
//   spec      := place [ "(" signature ")" ] [ "(" condition ")" ] [ format { "," expression } ]
//   place     := func[+off] | lib:func[+off] | [type]:lib:func[+off] | t:category:event
//              | u:lib[:provider]:probe | raw:event | f:func | x:func
//   type      := p entry | r return | f entry (fentry) | x return (fexit) | t | u | raw
//
// The signature follows the place at once, the condition behind a blank or a signature. Commas,
// colons and parentheses in strings or in other parentheses separate nothing.
#pragma once
#include "expr/parse.hpp"
#include "probe/points.hpp"
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace corebox
{

// A part of a text, and where it begins there.
struct Piece {
    std::string_view text{};
    std::size_t at = 0;
};

// What kind of program a place asks for.
enum class PlaceKind : std::uint8_t {
    entry, // of a function of the kernel or of a program
    returns,
    tracepoint,
    raw_tracepoint,
    usdt,
};

// An operand or option that may be given several times, with commas in its values.
struct SpecList {
    std::vector<std::string_view> texts;
    static std::string parse(std::string_view s, SpecList& out)
    {
        out.texts.push_back(s);
        return s.empty() ? "a text" : "";
    }
};

struct ProbeSpec {
    // Takes the text apart; throws expr::TextError.
    explicit ProbeSpec(std::string_view text);
    ProbeSpec(const ProbeSpec&) = delete; // the pieces are views of `text`
    ProbeSpec& operator=(const ProbeSpec&) = delete;

    unsigned user_arguments = 0; // bit n - 1: argn@user, text in user space
    const std::string text;      // without "@user", which blanks stand for
    PlaceKind kind = PlaceKind::entry;
    bool typed_only = false;               // f: and x:, only by fentry and fexit
    Piece place{};                         // all of it
    std::optional<PointPattern> pattern{}; // without its offset; none for raw_tracepoint
    Piece name{};                          // the last part, without its offset
    std::uint64_t offset = 0;
    std::optional<Piece> signature{}, condition{};
    std::optional<Piece> format{}; // between its quotes, escapes as they are
    std::vector<Piece> arguments{};
};

// BCC marks an argument once, wherever it stands: arg2@user. The marks become blanks, so that
// messages point at what the user wrote.
std::string take_marks(std::string_view text, unsigned& marked);

// Behind what closes the parenthesis at `at`; throws expr::TextError.
std::size_t end_of_parentheses(std::string_view text, std::size_t at);

// The parts of a list that is separated by commas outside of strings and parentheses.
std::vector<Piece> split_list(Piece list, char separator = ',');

} // namespace corebox
