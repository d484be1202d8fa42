// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Names of open files as /proc/PID/fd shows them.
#pragma once
#include "file_name.h"
#include <string>
#include <string_view>

namespace corebox
{

// In `out` if it had to be built; empty where the file is not known. `end` is that of the record.
std::string_view file_name_of(const file_name& name, const void* end, std::string& out);

} // namespace corebox
