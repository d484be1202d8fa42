// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Types as C declares them, where their names were kept: qualifiers and names of pointers are not.
#pragma once
#include "expr/type.hpp"

namespace corebox
{

// "struct file *file", "char comm[16]", "unsigned int flags"; without a name the type alone.
std::string declare(const expr::Types& types, expr::TypeId type, std::string_view name = {});

// "int vfs_open(struct path *path, struct file *file);"
std::string declare_function(const expr::Types& types, std::string_view name,
                             std::span<const expr::Parameter> parameters, expr::TypeId result);

// "struct path { /* 16 bytes */" and a line a member with its offset; those of structures without
// a name are inside.
void append_declaration(std::string& out, const expr::Types& types, expr::TypeId structure);

} // namespace corebox
