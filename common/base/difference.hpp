// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Differences of what only grows: counters and times.
#pragma once
#include <concepts>
#include <type_traits>

namespace corebox
{

// later - earlier; 0 where that would be below 0. The kernel side goes on counting while it is
// read, CPUs' clocks differ a little, and a counter whose probe fell silent no longer keeps up with
// what is subtracted from it: none of that may become 18446744073709551609.
template <std::unsigned_integral T>
constexpr T difference(T later, std::type_identity_t<T> earlier)
{
    return later > earlier ? T(later - earlier) : T(0);
}

} // namespace corebox
