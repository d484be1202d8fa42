// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Where struct pt_regs has the registers of this architecture.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace corebox::registers
{

// Of the arguments of functions, and of system calls; nothing for those on the stack.
std::optional<std::int32_t> argument(unsigned number);
std::optional<std::int32_t> syscall_argument(unsigned number);
std::int32_t result();
std::int32_t instruction();
// By the name that the kernel has for it ("di", "ip"; arm64: "x0", "pc").
std::optional<std::int32_t> find(std::string_view name);
std::vector<std::string_view> names();

} // namespace corebox::registers
