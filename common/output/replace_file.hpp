// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Files that a tool writes beside its output.
#pragma once
#include <string>
#include <string_view>

namespace corebox
{

// Puts `text` in the place of the file: whole or, on failure, not at all. What is no regular file
// (a pipe, /dev/stdout) is written to. Fails with Exit::output.
void replace_file(const std::string& path, std::string_view text);

// Fails at once, not after a minute of tracing, where replace_file() would.
void check_replaceable(const std::string& path);

} // namespace corebox
