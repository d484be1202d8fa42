// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// BCC's specifications of distributions, as argdist takes them:
//
//   {p|r|t|u|f|x}:{[lib]|category}:function(signature)[:types:expressions[:filter]][#label]
//
// The types may be left out. Colons and '#' in strings or parentheses separate nothing. What an
// expression is for, if it is no key: sum(e) avg(e) min(e) max(e), lhist(e, from, to, step), by(e).
#pragma once
#include "spec.hpp"
#include <memory>

namespace corebox
{

struct DistSpec {
    // Throws expr::TextError.
    explicit DistSpec(std::string_view text);

    enum class Use : std::uint8_t { key, by, sum, average, least, most, linear };
    struct Expression {
        Use use = Use::key;
        Piece piece{};                           // inside of what says its use
        std::optional<Piece> type{};             // as the user wrote it
        std::int64_t from = 0, to = 0, step = 0; // of linear
    };

    std::string text;                 // without "@user", and with $entryN for what follows
    std::unique_ptr<ProbeSpec> probe; // its place and signature
    std::vector<Expression> expressions;
    std::optional<Piece> filter{};
    // What is inside of each $entry(), of which the text has a name of the same length: $entry0.
    std::vector<Piece> entries{};
    bool has_latency = false; // $latency
    std::string_view label{}; // of the user, or all of the text
    bool has_label = false;

    // A piece as the user wrote it.
    std::string_view written(const Piece& piece) const;

private:
    void take_entries();
    std::string original_; // what the entries are views of
};

} // namespace corebox
