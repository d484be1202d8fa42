// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// From the text of an expression to its typed form.
#pragma once
#include "expr/ir.hpp"
#include <stdexcept>

namespace corebox::expr
{

// What is wrong with a text, and where.
class TextError : public std::runtime_error
{
public:
    TextError(std::size_t from, std::size_t bytes, const std::string& what, std::string h = {})
        : std::runtime_error(what), at(from), length(bytes), hint(std::move(h))
    {
    }
    std::size_t at, length; // bytes of the text
    std::string hint;       // "did you mean '__sk_common'?"; may be empty
};

// The text with a caret below the place: three lines, without a newline at the end. Bytes that a
// terminal would not print are shown as "?".
std::string point_at(std::string_view text, const TextError& error);

// The same as a usage error: "ATTEMPT: WHAT; HINT", and below it the text with the caret.
[[noreturn]] void fail_at(std::string_view attempt, std::string_view text, const TextError& error);

// A column such as lat_us or a fixed-point number: how its value is compared with literals. A
// lat_us that is kept in nanoseconds has {1000, 1000}, one that is kept in microseconds {1, 1000}.
struct Measure {
    std::uint64_t per_unit = 1;    // of the value make one of the column: `lat_ms > 1.5`
    std::uint64_t ns_per_unit = 0; // of the column, a time: `lat_us > 5ms`; 0: it is none
};

// An address that is a column: its first and its second 8 bytes as they lie in memory, numbers, and
// a test. Of IPv4 the first four bytes count.
struct AddressParts {
    NodeId words[2]{};
    NodeId is_v6{};
};

// What names mean in an expression. A tool for each kind of place: arguments of a function, fields
// of a tracepoint, columns.
struct Names {
    // The value of a name ("sk", "$pid", "arg2", "retval"), built in `code`; none: unknown here.
    // A load of a structure's or an array's type is its place, from which members are taken.
    // May throw TextError with at and length 0 (the name's place is filled in) to say why.
    std::function<NodeId(Code& code, std::string_view name)> find;
    // `args->f`, `ctx->f`: members of what is no C structure; none: unknown.
    std::function<NodeId(Code& code, std::string_view object, std::string_view member)> field{};
    // Functions that only this place has, such as $entry(e); none: unknown.
    std::function<NodeId(Code& code, std::string_view name, std::span<const NodeId> arguments)>
        call{};
    // All of them, for "did you mean".
    std::function<std::vector<std::string>()> all{};
    // Of a text that is an address; none: it is none.
    std::function<std::optional<AddressParts>(NodeId text)> address{};
    // Units of a value that is no plain number of its column: see Measure.
    std::function<Measure(NodeId value)> measure{};
};

// How a value is shown that is more than a number.
enum class Show : std::uint8_t {
    number, // by its type: signed, unsigned, enumerators by name
    text,
    bytes,
    ip,
    mac,
    flags,
    kernel_symbol,
    user_symbol,
    error,
    structure, // the whole of it
};

struct Shown {
    NodeId node{};
    Show show = Show::number;
    TypeId named_by = TypeId::none; // the enumeration whose names it has
};

// A whole text that is a condition, or a value. Throws TextError.
NodeId parse_condition(Code& code, const Names& names, std::string_view text);
// The node: a number or a pointer; a text; of structure, bytes, mac and ip (of 16 bytes) the
// address of the place, whose type is a pointer to the structure or to an array of that size.
Shown parse_value(Code& code, const Names& names, std::string_view text);

// What %s prints of a value: the value if it is a text, else the text that it points to. `space`:
// where, if that was said ("@user"). None: it cannot be a text.
NodeId text_of(Code& code, NodeId value, Space space = Space::unknown);

} // namespace corebox::expr
