// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "file_name.hpp"
#include "base/path.hpp"
#include "base/text.hpp"

namespace corebox
{

std::string_view file_name_of(const file_name& name, const void* end, std::string& out)
{
    if (!name.known)
        return {};
    const std::string_view path = path_of(name.path, end, out);
    switch (name.magic) {
    case MAGIC_SOCKET:
        return out = cat("socket:[", name.inode, "]");
    case MAGIC_PIPE:
        return out = cat("pipe:[", name.inode, "]");
    case MAGIC_PIDFD:
        return "anon_inode:[pidfd]";
    case MAGIC_ANON:
        return out = cat("anon_inode:", path);
    case MAGIC_NAMESPACE:
        return out = cat(path, ":[", name.inode, "]");
    default:
        return name.deleted ? std::string_view(out = cat(path, " (deleted)")) : path;
    }
}

} // namespace corebox
