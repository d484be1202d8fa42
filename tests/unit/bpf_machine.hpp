// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Runs BPF instructions on memory that a test made up, and refuses what a verifier would: registers
// and stack that were never written, loads from numbers, arithmetic on pointers of structures,
// parts of arguments, and what lies outside of where a pointer may point.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <linux/bpf.h>
#include <span>
#include <stdexcept>
#include <vector>

namespace corebox::test
{

struct Refused : std::runtime_error {
    using std::runtime_error::runtime_error;
};

class BpfMachine
{
public:
    static constexpr std::uint64_t kContext = 0xffffc90000001000, kRecord = 0xffffc90000010000,
                                   kStack = 0xffffc90000020000, kScratch = 0xffffe80000000000,
                                   kTables = 0xffffe90000000000;
    static constexpr int kScratchFd = 100, kTablesFd = 101;

    // What the program sees. Typed: its arguments are 8 bytes each, and arguments[i] says which
    // structure argument i points to (0: it is a number).
    bool is_typed = false;
    std::vector<std::byte> context{}, record{};
    std::vector<std::int64_t> arguments{};
    std::int64_t task = 0; // the structure of bpf_get_current_task_btf
    std::function<std::int64_t(std::uint32_t structure, std::uint32_t offset, std::uint32_t size)>
        walk{};
    // False: a fault.
    std::function<bool(std::uint64_t address, bool user, std::span<std::byte> to)> read{};
    std::function<std::uint64_t(int helper)> helper{};
    std::vector<std::uint64_t> tables{};
    bool has_reads = true; // bpf_probe_read_*

    // r1: the context, r2: the record, r3: its size. Returns r0; throws Refused.
    std::uint64_t run(std::span<const bpf_insn> code);
    std::size_t steps = 0; // of the last run

private:
    struct Register {
        enum class Kind : std::uint8_t {
            unknown, // never written
            number,
            context,
            record,
            stack,
            scratch,
            scratch_or_null,
            tables,
            map,
            structure,
        };
        Kind kind = Kind::unknown;
        std::uint64_t value = 0;
        std::uint64_t origin = 0; // where the structure begins
        std::int64_t structure = 0;
    };
    struct Slot { // a register that is kept on the stack
        bool is_whole = false;
        Register kept;
    };
    using Kind = Register::Kind;

    const Register& get(int reg) const;
    std::uint64_t number(int reg) const;
    std::span<std::byte> bytes_of(const Register& base, std::uint64_t address, std::size_t size,
                                  bool to_write);
    Register load(const Register& base, std::int32_t offset, std::size_t size);
    void store(const Register& base, std::int32_t offset, std::size_t size, const Register& value);
    void compute(const bpf_insn& i);
    bool jumps(const bpf_insn& i);
    void call(int helper);
    void copy(int helper);

    Register r_[11];
    std::vector<std::byte> stack_, scratch_;
    std::vector<char> written_; // of the stack
    std::vector<Slot> slots_;
};

} // namespace corebox::test
