// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// From an expression to BPF instructions that the oldest verifier accepts.
#pragma once
#include "expr/assembler.hpp"
#include "expr/ir.hpp"
#include <memory>

namespace corebox::expr
{

// What the verifier makes of a load through a pointer to a structure of vmlinux.
struct KernelStructs {
    static constexpr std::int64_t kRefused = -1, kNumber = 0;
    // The structure (its kernel_id) that the loaded pointer points to, kNumber for anything else
    // that may be loaded, or kRefused.
    std::function<std::int64_t(std::uint32_t structure, std::uint32_t offset, std::uint32_t size)>
        walk;
};

// What the program has, and the kernel.
struct Machine {
    bool typed = false;    // fentry, fexit, tp_btf: pointers that the verifier knows
    bool task_btf = false; // bpf_get_current_task_btf (5.11)
    bool may_read = true;  // bpf_probe_read_*: not with lockdown=confidentiality
    bool arm64 = false;    // which half of the addresses is the kernel's
    // Code that is generated without descriptors says which of them it needs.
    int scratch_fd = -1; // PERCPU_ARRAY, one value of kScratchBytes. Programs that may interrupt
                         // each other need one each
    int tables_fd = -1;  // ARRAY, one value: the tables of globs
    int stacks_fd = -1;  // STACK_TRACE, for Helper::kernel_stack_id and user_stack_id
    KernelStructs structs;
};
inline constexpr unsigned kScratchBytes = 4096;
inline constexpr unsigned kTextBytes = 256; // of a text that is compared by a pattern

// Emits code into one program or function. r6: context, r7: record; r8 and r9 and the stack below
// are its own. Nothing else is kept over a call of these.
class Generator
{
public:
    Generator(const Code& code, const Machine& machine, Assembler& out);

    // Jumps to one of three; `undecided` where only user space can tell.
    void condition(NodeId test, Label yes, Label no, Label undecided);
    // The value to r0, extended to 64 bits by its type; jumps to `missing` where it has none.
    void value(NodeId node, Label missing);
    // Copies a text to r7 + offset, at most `room` bytes with its NUL; r0: bytes with the NUL.
    void copy_text(NodeId text, std::int32_t offset, std::uint32_t room, Label missing);
    // Copies `size` bytes from a pointer's place to r7 + offset.
    void copy_bytes(NodeId address, std::int32_t offset, std::uint32_t size, Label missing);

    unsigned stack_bytes() const; // used so far
    bool uses_scratch() const;
    // What the tables of globs must contain, to be written to tables_fd once all is generated.
    std::span<const std::uint64_t> tables() const;

    class Impl;

private:
    std::shared_ptr<Impl> impl_;
};

// Who decides a test.
enum class Side : std::uint8_t {
    kernel,
    both, // user space where the kernel cannot, such as for a text beyond kTextBytes
    user,
};
Side side_of(const Code& code, NodeId test);

// The body of `int cb_where(void *ctx, void *record, __u64 size)`: 1 sends the record (also where
// it is undecided), 0 does not.
struct WhereBody {
    std::vector<bpf_insn> instructions;
    std::vector<std::uint64_t> tables; // as Generator::tables()
    bool uses_scratch = false;
};
WhereBody generate_where(const Code& code, NodeId test, const Machine& machine);

} // namespace corebox::expr
