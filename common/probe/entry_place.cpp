// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe/entry_place.hpp"
#include <algorithm>
#include <array>

namespace corebox
{

std::size_t cheap_entry(std::span<const std::uint8_t> code)
{
#ifdef __x86_64__
    const auto begins = [&](std::size_t at, auto... bytes) {
        const std::array wanted{std::uint8_t(bytes)...};
        return code.size() >= at + wanted.size() &&
               std::ranges::equal(code.subspan(at, wanted.size()), wanted);
    };
    std::size_t at = 0;
    if (begins(at, 0xf3, 0x0f, 0x1e, 0xfa)) // endbr64
        at += 4;
    const bool tests = begins(at, 0x48, 0x85, 0xff) || begins(at, 0x48, 0x85, 0xf6);
    if (tests) // test %rdi,%rdi or %rsi,%rsi
        at += 3;
    const auto is = [&](std::size_t place, std::uint8_t low, std::uint8_t high) {
        return place < code.size() && code[place] >= low && code[place] <= high;
    };
    const bool pushes = is(at, 0x50, 0x57) || (is(at, 0x41, 0x41) && is(at + 1, 0x50, 0x57));
    const bool jumps = is(at, 0x70, 0x7f) || (is(at, 0x0f, 0x0f) && is(at + 1, 0x80, 0x8f));
    return pushes || (tests && jumps) ? at : 0;
#else
    (void)code;
    return 0;
#endif
}

} // namespace corebox
