// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The programs of this folder, as files.
#pragma once
#include <string_view>

extern "C" const char types_program[], types_program_end[];

namespace corebox::test
{

inline std::string_view types_program_file()
{
    return {types_program, static_cast<std::size_t>(types_program_end - types_program)};
}

} // namespace corebox::test
