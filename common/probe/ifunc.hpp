// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Which code an IFUNC symbol (strlen, memcpy, gettimeofday) stands for. Its resolver decides as a
// program starts, by the processor; the addresses that it gave stand in the processes' tables of
// imports, where they are read.
#pragma once
#include "symbols/user_files.hpp"
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>

namespace corebox
{

// By name the offsets in the file `object` of the code that these processes call for its symbols
// `names`. Without processes: all that there are. A name that none of them imports and has bound is
// missing.
std::map<std::string, std::set<std::uint64_t>>
follow_ifuncs(const ObjectFile& object, const std::set<std::string>& names,
              std::span<const std::uint32_t> pids = {});

// Whether a function is one of those that the resolver of glibc's `name` chooses from, by its name:
// "__strlen_avx2" of "strlen". For a file of which no process has called it yet; none may be what
// it takes from the kernel's vDSO instead.
bool may_implement(std::string_view function, std::string_view name);

} // namespace corebox
