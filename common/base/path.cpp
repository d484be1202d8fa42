// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "base/path.hpp"

namespace corebox
{

std::string_view join_walk(std::string& out, std::string_view walk, std::string_view path)
{
    // A whole walk ends with an empty name, the root.
    const bool whole =
        walk == std::string_view("\0", 1) || walk.ends_with(std::string_view("\0\0", 2));
    out = whole ? "/" : ".../";
    if (whole)
        walk.remove_suffix(1);
    while (!walk.empty()) {
        walk.remove_suffix(1); // the NUL of the last name
        const auto at = walk.rfind('\0');
        const auto name = at == walk.npos ? walk : walk.substr(at + 1);
        out += name;
        out += '/';
        walk = at == walk.npos ? std::string_view{} : walk.substr(0, at + 1);
    }
    out += path;
    return out;
}

std::string_view path_of(const path_record& record, std::string& out)
{
    const std::string_view path(record.data, record.path_len ? record.path_len - 1u : 0u);
    if (record.dir_len == 0)
        return path;
    join_walk(out, {record.data + record.path_len, record.dir_len}, path);
    if (record.path_len == 0 && out.size() > 1)
        out.pop_back(); // the names were all of the path, not the directory of one
    return out;
}

} // namespace corebox
