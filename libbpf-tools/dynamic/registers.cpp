// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// arch/x86/include/asm/ptrace.h and arch/arm64/include/uapi/asm/ptrace.h: the layouts are the
// ABI of signal frames and of ptrace(2).
#include "registers.hpp"
#include <algorithm>
#include <iterator>
#include <span>

namespace corebox::registers
{
namespace
{
#ifdef __aarch64__
constexpr std::string_view kNames[] = {
    "x0",  "x1",  "x2",  "x3",  "x4",  "x5",  "x6",  "x7",  "x8",  "x9",     "x10",    "x11",
    "x12", "x13", "x14", "x15", "x16", "x17", "x18", "x19", "x20", "x21",    "x22",    "x23",
    "x24", "x25", "x26", "x27", "x28", "x29", "x30", "sp",  "pc",  "pstate", "orig_x0"};
constexpr std::string_view kArguments[] = {"x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7"};
constexpr std::string_view kSyscall[] = {"orig_x0", "x1", "x2", "x3", "x4", "x5"};
constexpr std::string_view kResult = "x0", kInstruction = "pc";
#else
constexpr std::string_view kNames[] = {"r15", "r14",     "r13", "r12", "bp",    "bx", "r11",
                                       "r10", "r9",      "r8",  "ax",  "cx",    "dx", "si",
                                       "di",  "orig_ax", "ip",  "cs",  "flags", "sp", "ss"};
constexpr std::string_view kArguments[] = {"di", "si", "dx", "cx", "r8", "r9"};
constexpr std::string_view kSyscall[] = {"di", "si", "dx", "r10", "r8", "r9"};
constexpr std::string_view kResult = "ax", kInstruction = "ip";
#endif

std::optional<std::int32_t> nth(std::span<const std::string_view> list, unsigned number)
{
    return number < list.size() ? find(list[number]) : std::nullopt;
}
} // namespace

std::optional<std::int32_t> find(std::string_view name)
{
    const auto at = std::ranges::find(kNames, name);
    if (at == std::end(kNames))
        return std::nullopt;
    return std::int32_t(8 * (at - std::begin(kNames)));
}

std::optional<std::int32_t> argument(unsigned number) { return nth(kArguments, number); }
std::optional<std::int32_t> syscall_argument(unsigned number) { return nth(kSyscall, number); }
std::int32_t result() { return *find(kResult); }
std::int32_t instruction() { return *find(kInstruction); }
std::vector<std::string_view> names() { return {std::begin(kNames), std::end(kNames)}; }

} // namespace corebox::registers
