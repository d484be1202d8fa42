// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// System calls made in place.
#pragma once

// Without a function of the C library, which keeps no frame, between the caller and the kernel: the
// caller is the leaf of the stack.
[[gnu::always_inline]] inline long direct_call(long number, long a, long b, long c, long d = 0)
{
#if defined(__x86_64__)
    register long r10 asm("r10") = d;
    long result;
    asm volatile("syscall"
                 : "=a"(result)
                 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
                 : "rcx", "r11", "memory");
    return result;
#elif defined(__aarch64__)
    register long x8 asm("x8") = number;
    register long x0 asm("x0") = a;
    register long x1 asm("x1") = b;
    register long x2 asm("x2") = c;
    register long x3 asm("x3") = d;
    asm volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
    return x0;
#endif
}
