// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The operands of USDT probes, as the assembler wrote them into a note, in the form that the BPF
// side reads (bpf/usdt.bpf.h).
//   x86_64:  $5  %rdi  %ah  16(%rsp)  (%rax)  -8(%rbp,%rcx,4)  (,%rax,8)  40+name(%rip)
//   arm64:   5  #5  x22  w3  sp  [x0]  [sp, 224]  [x0, x1]  [x0, x1, lsl #3]
#pragma once
#include "abi/usdt.h"
#include "symbols/elf.hpp"
#include "symbols/usdt.hpp"
#include <functional>
#include <optional>
#include <string_view>

namespace corebox
{

enum class Isa : std::uint8_t { x86_64, arm64 };
#ifdef __aarch64__
inline constexpr Isa kThisIsa = Isa::arm64;
#else
inline constexpr Isa kThisIsa = Isa::x86_64;
#endif

// How far behind the probe's instruction a symbol of the file lies; nothing: it has none.
using SymbolDistance = std::function<std::optional<std::int64_t>(std::string_view symbol)>;

// Kind USDT_NONE where it is of no form above: a floating-point register, a symbol that is in no
// table. The probe can be counted all the same.
usdt_operand parse_operand(const UsdtArgument& argument, Isa isa,
                           const SymbolDistance& distance = {});

// All arguments of a probe, as bpf/usdt.bpf.h takes them; the file tells where its symbols lie.
usdt_site parse_site(const ElfFile& file, const UsdtNote& note);

} // namespace corebox
