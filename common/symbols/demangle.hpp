// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#pragma once

#include <string>
#include <string_view>

namespace corebox
{

// The source name of a C++ (Itanium ABI) or Rust symbol; any other name as it is.
// Bounded in time and memory, for the names come from files that a traced process chose.
std::string demangled(const char* symbol);

// Whether an Itanium symbol has this word as it stands wherever its source name has it. False for
// what the demangler itself may write, "operator" and "std" and parts of these. To look for it in a
// symbol takes a hundredth of the time of demangling the symbol.
bool stands_in_symbols(std::string_view word);

} // namespace corebox
