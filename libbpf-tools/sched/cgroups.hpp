// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Names of cgroups (v2) by their numbers.
#pragma once
#include <cstdint>
#include <map>
#include <string>

namespace corebox
{

class CgroupNames
{
public:
    // "/system.slice/cron.service"; of one that is gone its number. Looks through all of them when
    // a number is new.
    const std::string& of(std::uint64_t id) const;

private:
    void read(const std::string& directory, const std::string& path) const;

    mutable std::map<std::uint64_t, std::string> paths_;
};

} // namespace corebox
