// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Where perl's code for an operation is: the function Perl_pp_NAME, which perl exports up to 5.36,
// or what the exported table PL_ppaddr has in the place that PL_op_name gives that name.
#pragma once
#include "symbols/user_files.hpp"

namespace corebox
{

std::vector<Point::Site> find_perl_ops(const ObjectFile& object, const ElfFile& elf,
                                       std::span<const std::string_view> names);

} // namespace corebox
