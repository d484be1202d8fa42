// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A cgroup's path as the kernel side noted it.
#pragma once
#include "abi/cgroup_note.h"
#include <cstring>
#include <string>

namespace corebox
{

// "/system.slice/cron.service"; empty: the root, or a path that was too long for the note.
inline std::string noted_path(const cgroup_note& note)
{
    std::string path;
    if (note.used <= sizeof note.names)
        for (const char *name = note.names, *end = name + note.used; name < end;
             name += std::strlen(name) + 1)
            path.insert(0, std::string("/") + name);
    return path;
}

} // namespace corebox
