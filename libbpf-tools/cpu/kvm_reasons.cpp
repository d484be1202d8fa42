// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "kvm_reasons.hpp"
#include "base/text.hpp"
#include <algorithm>
#include <charconv>
#include <span>
#if __has_include(<asm/svm.h>) && __has_include(<asm/vmx.h>)
#include <asm/svm.h>
#include <asm/vmx.h>
#define COREBOX_HAS_KVM_REASONS 1
#endif

namespace corebox
{
namespace
{

struct Reason {
    constexpr Reason(long long n, std::string_view text) : number(std::uint32_t(n)), name(text) {}
    std::uint32_t number;
    std::string_view name;
};

#ifdef COREBOX_HAS_KVM_REASONS
// The processor's exceptions, which the header counts on but does not have.
enum : std::uint32_t {
    DE_VECTOR = 0,
    DB_VECTOR = 1,
    BP_VECTOR = 3,
    OF_VECTOR = 4,
    BR_VECTOR = 5,
    UD_VECTOR = 6,
    NM_VECTOR = 7,
    DF_VECTOR = 8,
    TS_VECTOR = 10,
    NP_VECTOR = 11,
    SS_VECTOR = 12,
    GP_VECTOR = 13,
    PF_VECTOR = 14,
    MF_VECTOR = 16,
    AC_VECTOR = 17,
    MC_VECTOR = 18,
    XM_VECTOR = 19,
};

// The kernel's own names, which its traces have as well.
constexpr Reason kVmx[] = {VMX_EXIT_REASONS, {75, "NOTIFY"}};
constexpr Reason kSvm[] = {SVM_EXIT_REASONS};
constexpr std::uint32_t kFailedEntry = VMX_EXIT_REASONS_FAILED_VMENTRY;
#else
constexpr Reason kVmx[] = {{0, "EXCEPTION_NMI"}};
constexpr Reason kSvm[] = {{0x400, "npf"}};
constexpr std::uint32_t kFailedEntry = 0x80000000;
#endif
constexpr std::uint32_t kVmxReason = 0xffff; // the bits above are flags

std::string name_of(std::span<const Reason> table, std::uint32_t number)
{
    const auto found = std::ranges::find(table, number, &Reason::number);
    if (found == table.end())
        return to_hex(number);
    std::string name(found->name);
    std::ranges::transform(name, name.begin(), [](char c) {
        return c >= 'a' && c <= 'z' ? char(c - 32) : c == ' ' ? '_' : c;
    });
    return name;
}

} // namespace

std::string kvm_reason(KvmIsa isa, std::uint32_t reason)
{
    if (isa == KvmIsa::svm)
        return name_of(kSvm, reason);
    return cat(name_of(kVmx, reason & kVmxReason), reason & kFailedEntry ? "_FAILED_VMENTRY" : "");
}

std::optional<std::uint32_t> field_offset(std::string_view format, std::string_view field)
{
    // "\tfield:unsigned int exit_reason;\toffset:8;\tsize:4;\tsigned:0;"
    for (const std::string_view line : split(format, '\n')) {
        const auto parts = split(line, ';');
        constexpr std::string_view kOffset = "offset:";
        if (parts.size() < 2 || !parts[0].ends_with(cat(" ", field)))
            continue;
        const auto at = parts[1].find(kOffset);
        if (at != parts[1].npos)
            return to_number<std::uint32_t>(parts[1].substr(at + kOffset.size()));
    }
    return std::nullopt;
}

} // namespace corebox
