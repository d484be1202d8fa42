// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// C declarations that the user wrote.
#pragma once
#include "expr/type.hpp"

namespace corebox::expr
{

// The parameters of "struct path *path, const char __user *name, int n". A structure that no source
// knows is one of which only the name is known. Throws TextError.
std::vector<Parameter> parse_signature(Types& types, std::string_view text);

// Adds what a header declares: structures, unions, enumerations, typedefs, and macros that are
// numbers. They come before those of all sources, so this is called first. Functions and variables
// are passed over; there is no preprocessor: conditions and #include are not looked at. Throws
// TextError.
void add_declarations(Types& types, std::string_view header);

} // namespace corebox::expr
