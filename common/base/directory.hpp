// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#pragma once
#include <string>
#include <vector>

namespace corebox
{

// The names of a directory's entries, sorted, without those that begin with a dot; none where it
// cannot be read.
std::vector<std::string> list_entries(const std::string& directory);

} // namespace corebox
