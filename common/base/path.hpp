// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Paths that the kernel side sends as names from the deepest up (bpf/path.bpf.h).
#pragma once
#include "abi/path.h"
#include <string>
#include <string_view>

namespace corebox
{

// The directory of `walk` with `path` below it, built in `out`; the result is valid as long as
// `out` is. A walk that was cut short begins with ".../" instead of "/".
std::string_view join_walk(std::string& out, std::string_view walk, std::string_view path);

// The path of a record, full if the kernel side sent the directory, or of a dentry
// (path_record_dentry()); in `out` if it had to be built. A path that was cut ends with "...". What
// its lengths say is read up to `end`, that of the whole record.
std::string_view path_of(const path_record& record, const void* end, std::string& out);

// The same without the directory, and without a mark where it was cut.
std::string_view given_path(const path_record& record, const void* end);

} // namespace corebox
