// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "traced.hpp"
#include "harness.hpp"
#include <csetjmp>
#include <stdexcept>
#include <unistd.h>

static std::jmp_buf g_out;

extern "C" {

[[gnu::noinline]] long traced_nap(long a, long b)
{
    ::usleep(20'000);
    asm volatile("" ::: "memory");
    return a * 2 + b;
}

[[gnu::noinline]] long traced_outer(long n)
{
    const long first = traced_nap(n, 1);
    asm volatile("" ::: "memory");
    return first + traced_nap(n, 2);
}

#if defined(__x86_64__)
asm(R"(
    .pushsection .text
    .globl traced_tail
    .type traced_tail, @function
traced_tail:
    endbr64
    mov $1, %edi
    mov $2, %esi
    jmp traced_nap
    .size traced_tail, . - traced_tail
    .popsection
)");
#endif

[[gnu::noinline]] long traced_recursion(long depth)
{
    if (depth <= 1)
        ::usleep(20'000);
    const long below = depth > 1 ? traced_recursion(depth - 1) : 0;
    asm volatile("" ::: "memory");
    return below + 1;
}

[[gnu::noinline]] void traced_jump(long depth)
{
    if (depth > 1)
        traced_jump(depth - 1);
    asm volatile("" ::: "memory");
    if (depth == 1)
        std::longjmp(g_out, 1);
}
}

namespace corebox::test
{

std::string this_program()
{
    char path[4096];
    const ssize_t n = ::readlink("/proc/self/exe", path, sizeof path);
    if (n <= 0)
        throw std::runtime_error("/proc/self/exe");
    return std::string(path, std::size_t(n));
}

void jump_out(long depth)
{
    if (setjmp(g_out) == 0)
        traced_jump(depth);
}

} // namespace corebox::test
