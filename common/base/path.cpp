// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "base/path.hpp"
#include <algorithm>

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
        if (name != "/") { // the root's own name, of a walk that did not come to know that it is
            out += name;
            out += '/';
        }
        walk = at == walk.npos ? std::string_view{} : walk.substr(0, at + 1);
    }
    out += path;
    return out;
}

namespace
{

// The two parts of a record as far as they lie in it.
struct Parts {
    std::string_view path, dir; // with its NUL; the names of the directory
};

Parts parts_of(const path_record& record, const void* end)
{
    const auto* stop = std::max<const char*>(static_cast<const char*>(end), record.data);
    const std::string_view data(record.data, std::size_t(stop - record.data));
    const std::string_view path = data.substr(0, record.path_len);
    return {path, data.substr(path.size(), record.dir_len)};
}

std::string_view without_end(std::string_view path)
{
    return path.substr(0, path.size() - !path.empty());
}

} // namespace

std::string_view given_path(const path_record& record, const void* end)
{
    return without_end(parts_of(record, end).path);
}

std::string_view path_of(const path_record& record, const void* end, std::string& out)
{
    const auto [path, dir] = parts_of(record, end);
    const std::string_view given = without_end(path);
    const bool cut = !path.empty() && path.back() != '\0';
    if (dir.empty())
        return cut ? out.assign(given).append("...") : given;
    join_walk(out, dir, given);
    if (cut)
        out += "...";
    if (path.empty() && out.size() > 1)
        out.pop_back(); // the names were all of the path, not the directory of one
    return out;
}

} // namespace corebox
