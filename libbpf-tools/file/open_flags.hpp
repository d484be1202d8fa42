// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// open(2) flags: their names on the command line, and what the kernel's own mean.
#pragma once
#include <cstdint>
#include <fcntl.h>
#include <string>
#include <string_view>

namespace corebox
{

// The bits of "O_CREAT"; what the name must be if it is none. O_RDONLY is no bit.
std::string open_flag(std::string_view name, std::uint32_t& bits);

// What the kernel calls O_LARGEFILE: it adds that to the flags of 64-bit processes, and glibc's own
// is 0 there (include/uapi/asm-generic/fcntl.h; arch/arm64/include/uapi/asm/fcntl.h).
#if defined(__aarch64__)
constexpr std::uint32_t kKernelLargeFile = 0400000;
#else
constexpr std::uint32_t kKernelLargeFile = 0100000;
#endif

// The flags as a 64-bit process gave them.
constexpr std::uint32_t visible_flags(std::uint32_t flags) { return flags & ~kKernelLargeFile; }

// Whether the call's mode argument means anything.
constexpr std::uint32_t kCreatingFlags = O_CREAT | (O_TMPFILE & ~O_DIRECTORY);
constexpr bool may_create(std::uint32_t flags) { return (flags & kCreatingFlags) != 0; }

} // namespace corebox
