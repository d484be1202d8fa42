// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Gives functions of a BPF object other bodies before libbpf reads it: the body goes to the end of
// .text, the function's symbol and its record in .BTF.ext follow, nothing else moves.
//
// The function: `__weak __hidden __noinline`, so that calls go through its symbol and the compiler
// knows nothing of its body, while the verifier sees a static function. (Without __hidden 5.10 says
// "Arg#0 type PTR in cb_where() is not supported yet"; a local function is called by its offset.)
#pragma once
#include <linux/bpf.h>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace corebox::expr
{

struct Body {
    std::string_view function;
    std::span<const bpf_insn> instructions; // map descriptors are in their ld_imm64 already
};

// The object with other bodies. Fails (Failure) where the object lacks a function.
std::vector<std::byte> splice(std::span<const std::byte> object, std::span<const Body> bodies);

} // namespace corebox::expr
