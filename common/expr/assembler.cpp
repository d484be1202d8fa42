// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "expr/assembler.hpp"
#include "base/error.hpp"
#include <limits>

namespace corebox::expr
{

namespace
{

constexpr int kWide = BPF_LD | BPF_IMM | BPF_DW; // takes two instructions
constexpr int kJump = BPF_JMP | BPF_JA;
// Far below what kernels take (a million); jumps reach 32767.
constexpr std::size_t kMaxInstructions = 60'000;

int size_bits(unsigned bytes)
{
    return bytes == 1 ? BPF_B : bytes == 2 ? BPF_H : bytes == 4 ? BPF_W : BPF_DW;
}

[[noreturn]] void fail_too_long()
{
    fail("cannot generate code for the expression: it is too long for one program", 0,
         "use a shorter expression");
}

} // namespace

void Assembler::emit(int code, int to, int from, std::int32_t offset, std::int32_t immediate)
{
    if (code_.size() >= kMaxInstructions)
        fail_too_long();
    bpf_insn& i = code_.emplace_back();
    i.code = __u8(code);
    i.dst_reg = __u8(to & 15);
    i.src_reg = __u8(from & 15);
    i.off = __s16(offset);
    i.imm = immediate;
}

Label Assembler::new_label()
{
    labels_.push_back(-1);
    return Label(labels_.size() - 1);
}

void Assembler::bind(Label label) { labels_[std::size_t(label)] = std::int64_t(code_.size()); }

bool Assembler::is_bound(Label label) const { return labels_[std::size_t(label)] >= 0; }

void Assembler::move(int to, int from) { emit(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0); }

void Assembler::move(int to, std::int64_t value)
{
    if (value == std::int32_t(value)) {
        emit(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, std::int32_t(value));
    } else if (value >= 0 && value <= std::numeric_limits<std::uint32_t>::max()) {
        emit(BPF_ALU | BPF_MOV | BPF_K, to, 0, 0, std::int32_t(value));
    } else {
        emit(kWide, to, 0, 0, std::int32_t(value));
        emit(0, 0, 0, 0, std::int32_t(value >> 32));
    }
}

void Assembler::move32(int to, int from) { emit(BPF_ALU | BPF_MOV | BPF_X, to, from, 0, 0); }

void Assembler::map(int to, int fd)
{
    emit(kWide, to, BPF_PSEUDO_MAP_FD, 0, fd);
    emit(0, 0, 0, 0, 0);
}

void Assembler::map_value(int to, int fd, std::uint32_t offset)
{
    emit(kWide, to, BPF_PSEUDO_MAP_VALUE, 0, fd);
    emit(0, 0, 0, 0, std::int32_t(offset));
}

void Assembler::alu(int op, int to, int from) { emit(BPF_ALU64 | op | BPF_X, to, from, 0, 0); }

// BPF_NEG takes no operand, and the verifier wants none.
void Assembler::alu_imm(int op, int to, std::int32_t value)
{
    emit(BPF_ALU64 | op | BPF_K, to, 0, 0, op == BPF_NEG ? 0 : value);
}

void Assembler::alu32(int op, int to, int from) { emit(BPF_ALU | op | BPF_X, to, from, 0, 0); }

void Assembler::alu32_imm(int op, int to, std::int32_t value)
{
    emit(BPF_ALU | op | BPF_K, to, 0, 0, op == BPF_NEG ? 0 : value);
}

void Assembler::swap_bytes(int to, unsigned bits)
{
    emit(BPF_ALU | BPF_END | BPF_TO_BE, to, 0, 0, std::int32_t(bits));
}

void Assembler::load(unsigned bytes, int to, int from, std::int32_t offset)
{
    emit(BPF_LDX | BPF_MEM | size_bits(bytes), to, from, offset, 0);
}

void Assembler::store(unsigned bytes, int to, std::int32_t offset, int from)
{
    emit(BPF_STX | BPF_MEM | size_bits(bytes), to, from, offset, 0);
}

void Assembler::store_imm(unsigned bytes, int to, std::int32_t offset, std::int32_t value)
{
    emit(BPF_ST | BPF_MEM | size_bits(bytes), to, 0, offset, value);
}

void Assembler::atomic_add(unsigned bytes, int to, std::int32_t offset, int from)
{
    emit(BPF_STX | BPF_XADD | size_bits(bytes), to, from, offset, 0);
}

void Assembler::call(int helper) { emit(BPF_JMP | BPF_CALL, 0, 0, 0, helper); }

void Assembler::exit() { emit(BPF_JMP | BPF_EXIT, 0, 0, 0, 0); }

void Assembler::refer(Label to) { references_.push_back({std::uint32_t(code_.size()), to}); }

void Assembler::jump(Label to)
{
    refer(to);
    emit(kJump, 0, 0, 0, 0);
}

void Assembler::jump_if(int op, int a, int b, Label to)
{
    refer(to);
    emit(BPF_JMP | op | BPF_X, a, b, 0, 0);
}

void Assembler::jump_if_imm(int op, int a, std::int32_t b, Label to)
{
    refer(to);
    emit(BPF_JMP | op | BPF_K, a, 0, 0, b);
}

void Assembler::jump32_if(int op, int a, int b, Label to)
{
    refer(to);
    emit(BPF_JMP32 | op | BPF_X, a, b, 0, 0);
}

void Assembler::jump32_if_imm(int op, int a, std::int32_t b, Label to)
{
    refer(to);
    emit(BPF_JMP32 | op | BPF_K, a, 0, 0, b);
}

std::vector<bpf_insn> Assembler::finish()
{
    const std::size_t size = code_.size();
    // Where each jump goes; -1: it is no jump. Not to another jump, but where that goes.
    std::vector<std::int64_t> target(size + 1, -1);
    for (const Reference& r : references_) {
        const std::int64_t to = labels_[std::size_t(r.label)];
        if (to < 0 || std::size_t(to) >= size)
            fail("cannot generate code for the expression: a jump goes nowhere", 0,
                 "report this as a bug");
        target[r.instruction] = to;
    }
    for (const Reference& r : references_) {
        std::int64_t& to = target[r.instruction];
        for (int n = 0; n < 100 && code_[std::size_t(to)].code == kJump; n++)
            to = target[std::size_t(to)];
    }

    std::vector<char> lives(size + 1);
    for (std::vector<std::size_t> open{0}; !open.empty();) {
        std::size_t at = open.back();
        open.pop_back();
        for (; at < size && !lives[at]; at++) {
            lives[at] = 1;
            const int code = code_[at].code;
            if (code == kWide)
                lives[++at] = 1;
            if (target[at] >= 0)
                open.push_back(std::size_t(target[at]));
            if (code == kJump || code == (BPF_JMP | BPF_EXIT))
                break;
        }
    }
    // A jump to what follows it anyway.
    for (std::size_t at = size; at-- > 0;) {
        if (!lives[at] || code_[at].code != kJump || target[at] <= std::int64_t(at))
            continue;
        std::size_t next = at + 1;
        while (next < std::size_t(target[at]) && !lives[next])
            next++;
        lives[at] = next != std::size_t(target[at]);
    }

    std::vector<std::int64_t> now(size + 1);
    for (std::size_t at = 0; at < size; at++)
        now[at + 1] = now[at] + lives[at];
    std::vector<bpf_insn> out;
    out.reserve(std::size_t(now[size]));
    for (std::size_t at = 0; at < size; at++) {
        if (!lives[at])
            continue;
        if (target[at] >= 0) {
            const std::int64_t distance = now[std::size_t(target[at])] - now[at] - 1;
            if (distance != __s16(distance))
                fail_too_long();
            code_[at].off = __s16(distance);
        }
        out.push_back(code_[at]);
    }
    code_.clear();
    labels_.clear();
    references_.clear();
    return out;
}

} // namespace corebox::expr
