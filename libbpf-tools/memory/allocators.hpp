// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The functions of C and C++ that allocate memory and free it, and where they are: in C libraries,
// allocators that replace theirs, the libraries of C++, and programs that have them in themselves.
#pragma once
#include "probe/user_probe.hpp"
#include <deque>
#include <map>
#include <string>
#include <string_view>

namespace corebox
{

// Where each of memleak's programs of user space is attached.
class AllocatorSites
{
public:
    // `prefix`: what names begin with ("je_"); `mappings`: also mmap() and mremap().
    AllocatorSites(std::string_view prefix, bool mappings);
    AllocatorSites(const AllocatorSites&) = delete;
    AllocatorSites& operator=(const AllocatorSites&) = delete;

    const UserSite& of(std::string_view program) const { return sites_.find(program)->second.site; }

private:
    struct Functions {
        std::vector<std::string_view> names;
        UserSite site;
    };
    std::deque<std::string> prefixed_;
    std::map<std::string, Functions, std::less<>> sites_;
};

} // namespace corebox
