// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Names of system calls. A machine has several tables: a 32-bit program's call 3 is read, a 64-bit
// program's is close.
#pragma once
#include "abi/syscall_abi.h"
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace corebox
{

struct SyscallName {
    std::uint32_t number;
    std::string_view name;
};

// By number; empty where the machine has no such ABI, or we no names for it (arm).
std::span<const SyscallName> syscall_names(syscall_abi abi);

// "i386", "x32", "arm"; empty for the machine's own, and those it has not.
std::string_view abi_name(syscall_abi abi);

// "read", "i386:read"; "[471]" where the table has no name.
std::string syscall_name(syscall_abi abi, std::uint32_t number);

struct SyscallId {
    syscall_abi abi = SYSCALL_NATIVE;
    std::uint32_t number = 0;
};

// What syscall_name() gives, or a number.
std::optional<SyscallId> find_syscall(std::string_view text);

} // namespace corebox
