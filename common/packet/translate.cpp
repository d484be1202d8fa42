// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "packet/translate.hpp"
#include "abi/packet.h"
#include "base/error.hpp"
#include "base/text.hpp"
#include "expr/assembler.hpp"
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace corebox::packet
{
namespace
{

using expr::Assembler;
using expr::Label;

// Registers, and the stack below r10.
constexpr int kStart = BPF_REG_6, kLinear = BPF_REG_7, kA = BPF_REG_8, kX = BPF_REG_9;
constexpr int kFrame = BPF_REG_10;
constexpr int kHeadBytes = 64; // of the packet, copied at once: headers of IPv6 and TCP
constexpr int kHead = -kHeadBytes, kPiece = kHead - 8, kLength = kPiece - 4;
constexpr int kMemory = kLength - 4 * (BPF_MEMWORDS + 1) + 4;

// Loads from here on are not of the packet, but of what its device says (linux/filter.h).
constexpr auto kAncillary = std::uint32_t(SKF_AD_OFF);

[[noreturn]] void refuse(std::string_view what) { fail_usage(std::string(what)); }

class Translator
{
public:
    explicit Translator(std::span<const sock_filter> program) : program_(program) {}

    std::vector<bpf_insn> translate();

private:
    void begin();
    void set(int to, std::uint32_t value) { out_.move(to, std::int64_t(value)); }
    void instruction(std::size_t at);
    void load(const sock_filter& i);
    void load_index(const sock_filter& i);
    void load_head(int to, unsigned bytes, std::uint32_t offset);
    void load_far(int to, unsigned bytes);
    void load_at(int to, unsigned bytes, std::uint32_t offset);
    void compute(const sock_filter& i);
    void jump(std::size_t at);
    void accept(const sock_filter& i);
    int memory(const sock_filter& i) const;
    Label target(std::size_t at, std::uint32_t distance) const;
    [[noreturn]] void refuse_code(int code) const
    {
        refuse(cat("it needs an instruction that is not supported: ", to_hex(unsigned(code))));
    }

    const std::span<const sock_filter> program_;
    Assembler out_;
    std::vector<Label> labels_; // of the instructions
    Label reject_{};
};

int Translator::memory(const sock_filter& i) const
{
    if (i.k >= BPF_MEMWORDS)
        refuse_code(i.code);
    return kMemory + 4 * int(i.k);
}

Label Translator::target(std::size_t at, std::uint32_t distance) const
{
    // Loops, which only this produces, are jumps back.
    if (distance >= program_.size() - at - 1)
        refuse("protochain needs a loop, which is not supported");
    return labels_[at + 1 + distance];
}

void Translator::begin()
{
    out_.load(8, kStart, BPF_REG_1, offsetof(packet_view, start));
    out_.load(4, kLinear, BPF_REG_1, offsetof(packet_view, linear));
    out_.load(4, BPF_REG_0, BPF_REG_1, offsetof(packet_view, bytes));
    out_.store(4, kFrame, kLength, BPF_REG_0);
    set(kA, 0);
    set(kX, 0);
    for (const sock_filter& i : program_)
        if (const int kind = BPF_CLASS(i.code); kind == BPF_ST || kind == BPF_STX)
            out_.store_imm(4, kFrame, memory(i), 0);
    out_.move(BPF_REG_1, kFrame);
    out_.alu_imm(BPF_ADD, BPF_REG_1, kHead);
    set(BPF_REG_2, kHeadBytes);
    out_.move(BPF_REG_3, kStart);
    out_.call(BPF_FUNC_probe_read_kernel);
    out_.jump_if_imm(BPF_JNE, BPF_REG_0, 0, reject_);
}

// From the copy; the stack wants aligned loads.
void Translator::load_head(int to, unsigned bytes, std::uint32_t offset)
{
    out_.jump_if_imm(BPF_JLT, kLinear, std::int32_t(offset + bytes), reject_);
    const int from = kHead + int(offset);
    if (offset % bytes == 0) {
        out_.load(bytes, to, kFrame, from);
        if (bytes > 1)
            out_.swap_bytes(to, bytes * 8);
        return;
    }
    out_.load(1, to, kFrame, from);
    for (int i = 1; i < int(bytes); i++) {
        out_.alu32_imm(BPF_LSH, to, 8);
        out_.load(1, BPF_REG_0, kFrame, from + i);
        out_.alu32(BPF_OR, to, BPF_REG_0);
    }
}

// From the packet itself; r3: the offset.
void Translator::load_far(int to, unsigned bytes)
{
    out_.move(BPF_REG_1, BPF_REG_3);
    out_.alu_imm(BPF_ADD, BPF_REG_1, std::int32_t(bytes));
    out_.jump_if(BPF_JGT, BPF_REG_1, kLinear, reject_);
    out_.alu(BPF_ADD, BPF_REG_3, kStart);
    out_.move(BPF_REG_1, kFrame);
    out_.alu_imm(BPF_ADD, BPF_REG_1, kPiece);
    set(BPF_REG_2, bytes);
    out_.call(BPF_FUNC_probe_read_kernel);
    out_.jump_if_imm(BPF_JNE, BPF_REG_0, 0, reject_);
    out_.load(bytes, to, kFrame, kPiece);
    if (bytes > 1)
        out_.swap_bytes(to, bytes * 8);
}

void Translator::load_at(int to, unsigned bytes, std::uint32_t offset)
{
    if (offset >= kAncillary)
        refuse("a packet here has no such property: inbound, outbound, ifindex and negative "
               "offsets are not supported");
    if (offset + bytes <= kHeadBytes)
        return load_head(to, bytes, offset);
    set(BPF_REG_3, offset);
    load_far(to, bytes);
}

void Translator::load(const sock_filter& i)
{
    const unsigned bytes = BPF_SIZE(i.code) == BPF_W ? 4 : BPF_SIZE(i.code) == BPF_H ? 2 : 1;
    switch (BPF_MODE(i.code)) {
    case BPF_IMM:
        return set(kA, i.k);
    case BPF_MEM:
        return out_.load(4, kA, kFrame, memory(i));
    case BPF_LEN:
        return out_.load(4, kA, kFrame, kLength);
    case BPF_ABS:
        return load_at(kA, bytes, i.k);
    case BPF_IND:
        set(BPF_REG_3, i.k);
        out_.alu(BPF_ADD, BPF_REG_3, kX);
        return load_far(kA, bytes);
    default:
        refuse_code(i.code);
    }
}

void Translator::load_index(const sock_filter& i)
{
    switch (BPF_MODE(i.code)) {
    case BPF_IMM:
        return set(kX, i.k);
    case BPF_MEM:
        return out_.load(4, kX, kFrame, memory(i));
    case BPF_LEN:
        return out_.load(4, kX, kFrame, kLength);
    case BPF_MSH:
        load_at(kX, 1, i.k);
        out_.alu32_imm(BPF_AND, kX, 15);
        return out_.alu32_imm(BPF_LSH, kX, 2);
    default:
        refuse_code(i.code);
    }
}

void Translator::compute(const sock_filter& i)
{
    const int op = BPF_OP(i.code);
    const bool by_x = BPF_SRC(i.code) == BPF_X;
    if (op == BPF_NEG)
        return out_.alu32_imm(BPF_NEG, kA, 0);
    if (op > BPF_XOR)
        refuse_code(i.code);
    if (op == BPF_DIV || op == BPF_MOD) {
        if (by_x)
            out_.jump32_if_imm(BPF_JEQ, kX, 0, reject_);
        else if (i.k == 0)
            return out_.jump(reject_);
    }
    if (op == BPF_LSH || op == BPF_RSH) {
        // Classic BPF shifts all bits out, the kernel's takes a part of the number.
        if (by_x) {
            const Label is_small = out_.new_label(), done = out_.new_label();
            out_.jump32_if_imm(BPF_JLT, kX, 32, is_small);
            set(kA, 0);
            out_.jump(done);
            out_.bind(is_small);
            out_.alu32(op, kA, kX);
            return out_.bind(done);
        }
        if (i.k >= 32)
            return set(kA, 0);
    }
    by_x ? out_.alu32(op, kA, kX) : out_.alu32_imm(op, kA, std::int32_t(i.k));
}

void Translator::jump(std::size_t at)
{
    const sock_filter& i = program_[at];
    const int op = BPF_OP(i.code);
    if (op == BPF_JA)
        return out_.jump(target(at, i.k));
    if (op != BPF_JEQ && op != BPF_JGT && op != BPF_JGE && op != BPF_JSET)
        refuse_code(i.code);
    const Label yes = target(at, i.jt);
    BPF_SRC(i.code) == BPF_X ? out_.jump32_if(op, kA, kX, yes)
                             : out_.jump32_if_imm(op, kA, std::int32_t(i.k), yes);
    out_.jump(target(at, i.jf));
}

void Translator::accept(const sock_filter& i)
{
    if (BPF_RVAL(i.code) == BPF_K) {
        set(BPF_REG_0, i.k != 0);
    } else if (BPF_RVAL(i.code) == BPF_A) {
        out_.jump32_if_imm(BPF_JEQ, kA, 0, reject_);
        set(BPF_REG_0, 1);
    } else {
        refuse_code(i.code);
    }
    out_.exit();
}

void Translator::instruction(std::size_t at)
{
    const sock_filter& i = program_[at];
    switch (BPF_CLASS(i.code)) {
    case BPF_LD:
        return load(i);
    case BPF_LDX:
        return load_index(i);
    case BPF_ST:
        return out_.store(4, kFrame, memory(i), kA);
    case BPF_STX:
        return out_.store(4, kFrame, memory(i), kX);
    case BPF_ALU:
        return compute(i);
    case BPF_JMP:
        return jump(at);
    case BPF_RET:
        return accept(i);
    default: // BPF_MISC
        BPF_MISCOP(i.code) == BPF_TAX ? out_.move(kX, kA) : out_.move(kA, kX);
    }
}

std::vector<bpf_insn> Translator::translate()
{
    for (std::size_t at = 0; at < program_.size(); at++)
        labels_.push_back(out_.new_label());
    reject_ = out_.new_label();
    begin();
    for (std::size_t at = 0; at < program_.size(); at++) {
        out_.bind(labels_[at]);
        instruction(at);
    }
    out_.bind(reject_);
    set(BPF_REG_0, 0);
    out_.exit();
    return out_.finish();
}

} // namespace

std::vector<bpf_insn> translate(std::span<const sock_filter> program)
{
    return Translator(program).translate();
}

} // namespace corebox::packet
