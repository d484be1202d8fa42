// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Where in a user function's first instructions a breakpoint is cheap.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

namespace corebox
{

// x86: the kernel emulates a push or a jump (arch/x86/kernel/uprobes.c, branch_setup_xol_ops(),
// push_setup_xol_ops()). Any other instruction it executes out of line, which takes a second
// exception: 690 instructions of 1850. If the code begins with instructions that change neither
// registers nor the stack (endbr64, a test of an argument), and such a one follows, this is how
// many bytes that is later; else 0. Arguments, the stack and the number of hits are the same there.
std::size_t cheap_entry(std::span<const std::uint8_t> code);

} // namespace corebox
