// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A small made-up kernel: structures, memory, arguments and a record, and random expressions over
// them, for the tests of the generator against the evaluator.
#pragma once
#include "bpf_machine.hpp"
#include "expr/evaluate.hpp"
#include "expr/generate.hpp"
#include <array>
#include <random>
#include <string>

namespace corebox::test
{

class FakeKernel
{
public:
    // In user space: all of its memory is a process's, so that a real kernel's programs can read it
    // from there.
    explicit FakeKernel(bool in_user = false);

    // New contents for the arguments, the record and the memory.
    void shuffle(std::mt19937_64& random);

    std::int64_t walk(std::uint32_t structure, std::uint32_t offset, std::uint32_t size) const;
    bool read(std::uint64_t address, bool user, std::span<std::byte> to) const;

    std::string show_context() const; // for messages
    expr::World world() const;
    BpfMachine machine(bool typed) const;

    expr::Types types{};
    expr::TypeId node{}; // struct node

    static constexpr std::uint64_t kUser = 0x7f0000001000;
    static constexpr std::size_t kMemory = 4096; // of each
    const bool in_user;
    const expr::Space space; // of what is not in user space anyway
    const std::uint64_t base;
    std::uint64_t task = 0, pid = 0x0000123400005678; // what helpers return
    // Offsets within struct node.
    static constexpr std::uint32_t kSize = 128, kNext = 40, kName = 48, kBits = 64, kText = 72,
                                   kUserText = 80, kOther = 88, kPair = 96;
    std::array<std::byte, 128> context{};
    std::array<std::byte, 512> record{};
    std::vector<std::byte> memory{}, user{};
};

// Builds random expressions in a Code.
class RandomCode
{
public:
    RandomCode(expr::Code& code, FakeKernel& kernel, std::mt19937_64& random)
        : code_(code), kernel_(kernel), random_(random)
    {
    }
    expr::NodeId test(int depth);
    expr::NodeId number(int depth, expr::TypeId type); // of 4 or 8 bytes
    expr::TypeId type();
    bool with_user_space = false; // what only user space can decide too

private:
    unsigned below(unsigned n) { return unsigned(random_() % n); }
    expr::NodeId leaf(expr::TypeId type);
    expr::NodeId any_number(expr::TypeId type); // of 1 to 8 bytes
    expr::NodeId pointer(int depth);
    expr::NodeId text(int depth);
    expr::NodeId text_test();
    expr::NodeId convert(expr::NodeId a, expr::TypeId type);
    expr::NodeId binary(expr::Op op, expr::NodeId a, expr::NodeId b, expr::TypeId type);
    expr::NodeId constant(std::int64_t value, expr::TypeId type);

    expr::Code& code_;
    FakeKernel& kernel_;
    std::mt19937_64& random_;
};

} // namespace corebox::test
