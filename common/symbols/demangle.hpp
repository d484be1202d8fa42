// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Internal to common/symbols.
#pragma once

#include <string>

namespace corebox
{

// The source name of a C++ (Itanium ABI) or Rust symbol; any other name as it is.
// Bounded in time and memory, for the names come from files that a traced process chose.
std::string demangled(const char* symbol);

} // namespace corebox
