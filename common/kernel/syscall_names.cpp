// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "kernel/syscall_names.hpp"
#include "base/text.hpp"
#include <algorithm>

namespace corebox
{
namespace
{
#include "syscall_names.inc"
} // namespace

std::span<const SyscallName> syscall_names(syscall_abi abi)
{
    switch (abi) {
    case SYSCALL_NATIVE:
        return kNative;
#if defined(__x86_64__)
    case SYSCALL_32BIT:
        return kI386;
    case SYSCALL_X32:
        return kX32;
#endif
    default:
        return {};
    }
}

std::string_view abi_name(syscall_abi abi)
{
#if defined(__aarch64__)
    return abi == SYSCALL_32BIT ? "arm" : "";
#else
    return abi == SYSCALL_32BIT ? "i386" : abi == SYSCALL_X32 ? "x32" : "";
#endif
}

std::string syscall_name(syscall_abi abi, std::uint32_t number)
{
    const std::string prefix = abi == SYSCALL_NATIVE ? "" : cat(abi_name(abi), ":");
    const auto names = syscall_names(abi);
    const auto found = std::ranges::lower_bound(names, number, {}, &SyscallName::number);
    if (found == names.end() || found->number != number)
        return cat(prefix, "[", number, "]");
    return prefix + std::string(found->name);
}

std::optional<SyscallId> find_syscall(std::string_view text)
{
    SyscallId id;
    for (const syscall_abi abi : {SYSCALL_32BIT, SYSCALL_X32})
        if (const std::string prefix = cat(abi_name(abi), ":");
            prefix != ":" && text.starts_with(prefix)) {
            id.abi = abi;
            text.remove_prefix(prefix.size());
        }
    if (text.starts_with('[') && text.ends_with(']'))
        text = text.substr(1, text.size() - 2);
    const auto names = syscall_names(id.abi);
    const auto found = std::ranges::find(names, text, &SyscallName::name);
    const auto number =
        found == names.end() ? to_number<std::uint32_t>(text) : std::optional(found->number);
    if (!number || *number >= SYSCALLS_PER_ABI)
        return std::nullopt;
    id.number = *number;
    return id;
}

} // namespace corebox
