// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A buffer of BPF instructions with labels.
#pragma once
#include <cstdint>
#include <linux/bpf.h>
#include <vector>

namespace corebox::expr
{

enum class Label : std::uint32_t {};

class Assembler
{
public:
    Label new_label();
    void bind(Label label); // here
    bool is_bound(Label label) const;

    void move(int to, int from);
    void move(int to, std::int64_t value); // in one instruction or two
    void move32(int to, int from);         // and clears the upper half
    void map(int to, int fd);
    void map_value(int to, int fd, std::uint32_t offset);
    void alu(int op, int to, int from); // BPF_ADD and its like, 64 bits
    void alu_imm(int op, int to, std::int32_t value);
    void alu32(int op, int to, int from);
    void alu32_imm(int op, int to, std::int32_t value);
    void swap_bytes(int to, unsigned bits); // from big endian
    void load(unsigned bytes, int to, int from, std::int32_t offset);
    void store(unsigned bytes, int to, std::int32_t offset, int from);
    void store_imm(unsigned bytes, int to, std::int32_t offset, std::int32_t value);
    void atomic_add(unsigned bytes, int to, std::int32_t offset, int from);
    void call(int helper);
    void exit();
    void jump(Label to);
    void jump_if(int op, int a, int b, Label to); // BPF_JEQ and its like
    void jump_if_imm(int op, int a, std::int32_t b, Label to);
    void jump32_if(int op, int a, int b, Label to);
    void jump32_if_imm(int op, int a, std::int32_t b, Label to);

    // Takes out what nothing reaches, which verifiers refuse, and resolves the jumps. All labels
    // that jumps use are bound, with an instruction after them. Fails (Failure) where a jump is
    // too far.
    std::vector<bpf_insn> finish();

private:
    struct Reference {
        std::uint32_t instruction;
        Label label;
    };
    void emit(int code, int to, int from, std::int32_t offset, std::int32_t immediate);
    void refer(Label to); // from the next instruction

    std::vector<bpf_insn> code_;
    std::vector<std::int64_t> labels_; // where bound, or -1
    std::vector<Reference> references_;
};

} // namespace corebox::expr
