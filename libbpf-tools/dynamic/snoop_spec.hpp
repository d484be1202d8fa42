// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What ksnoop traces, as BCC's ksnoop writes it:
//
//   FUNC := name | name "(" ARG { "," ARG } ")"
//   ARG  := value | value COMPARISON value | condition
//   value := an expression of parameters, or "return": the return value
//
// An ARG that compares is a condition, and its left side is shown; with && or || it is a condition
// only.
#pragma once
#include "spec.hpp"

namespace corebox
{

struct SnoopSpec {
    struct Argument {
        Piece whole{};
        Piece value{}; // what is shown; empty: nothing
        bool is_condition = false;
        bool of_return = false;
    };

    // Takes the text apart; throws expr::TextError.
    explicit SnoopSpec(std::string_view text);
    SnoopSpec(const SnoopSpec&) = delete; // the pieces are views of `text`
    SnoopSpec& operator=(const SnoopSpec&) = delete;

    const std::string text;
    Piece function{};
    bool has_list = false; // without, all parameters and the return value are shown
    std::vector<Argument> arguments{};
};

// The names of a place where "return" is the return value.
expr::Names with_return(expr::Names names);

} // namespace corebox
