// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Functions of the test program that are traced by their names.
#pragma once
#include <string>

extern "C" {
// Sleeps 20 ms; returns a * 2 + b.
long traced_nap(long a, long b);
// Calls traced_nap() twice.
long traced_outer(long n);
// Ends with a jump to traced_nap(1, 2).
long traced_tail();
// Calls itself: `depth` calls under way at once, the innermost of which sleeps 20 ms.
long traced_recursion(long depth);
// Calls itself likewise, and leaves all its calls by longjmp.
void traced_jump(long depth);
}

namespace corebox::test
{

// The program of these functions, as a pattern names it.
std::string this_program();

// Calls of traced_jump() under way, left without their returns.
void jump_out(long depth);

} // namespace corebox::test
