// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "base/directory.hpp"
#include <algorithm>
#include <dirent.h>
#include <memory>

namespace corebox
{

std::vector<std::string> list_entries(const std::string& directory)
{
    std::vector<std::string> names;
    const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(directory.c_str()), ::closedir);
    while (const dirent* entry = dir ? ::readdir(dir.get()) : nullptr)
        if (entry->d_name[0] != '.')
            names.emplace_back(entry->d_name);
    std::ranges::sort(names);
    return names;
}

} // namespace corebox
