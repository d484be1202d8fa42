// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Instructions of BPF, for the few programs that are written by hand: they are too small for an
// object of their own, or made at run time (Documentation/bpf/standardization/instruction-set.rst).
#pragma once
#include <cstdint>
#include <linux/bpf.h>

namespace corebox::insn
{

constexpr bpf_insn any(int code, int dst, int src, int off, std::int32_t imm)
{
    return {__u8(code), __u8(dst & 15), __u8(src & 15), __s16(off), imm};
}
constexpr bpf_insn mov(int dst, int src)
{
    return any(BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0);
}
constexpr bpf_insn mov_imm(int dst, std::int32_t imm)
{
    return any(BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, imm);
}
constexpr bpf_insn add(int dst, std::int32_t imm)
{
    // NOLINTNEXTLINE(misc-redundant-expression): BPF_ADD and BPF_K are both 0
    return any(BPF_ALU64 | BPF_ADD | BPF_K, dst, 0, 0, imm);
}
// Of `size` BPF_DW, BPF_W, BPF_H or BPF_B, at src + off.
constexpr bpf_insn load(int dst, int src, int off, int size = BPF_DW)
{
    return any(BPF_LDX | BPF_MEM | size, dst, src, off, 0);
}
constexpr bpf_insn store(int dst, int off, int src)
{
    return any(BPF_STX | BPF_MEM | BPF_DW, dst, src, off, 0);
}
constexpr bpf_insn store_imm(int dst, int off, std::int32_t imm)
{
    return any(BPF_ST | BPF_MEM | BPF_DW, dst, 0, off, imm);
}
constexpr bpf_insn call(std::int32_t helper) { return any(BPF_JMP | BPF_CALL, 0, 0, 0, helper); }
constexpr bpf_insn exit() { return any(BPF_JMP | BPF_EXIT, 0, 0, 0, 0); }

} // namespace corebox::insn
