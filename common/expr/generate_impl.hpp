// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The generator's parts share this: generate.cpp has conditions, generate_value.cpp values,
// generate_memory.cpp the stack and loads, generate_text.cpp texts, and generate_traits.cpp what is
// known of a node before code is made of it.
//
// Registers: a value is made in r0, a second in r1; r2 to r5 are for a few instructions only.
// Values that have to live on while others are made are in r8, r9, then on the stack. The stack: a
// slot of 8 bytes for helpers to read into, a text, then such values.
#pragma once
#include "expr/build.hpp"
#include "expr/generate.hpp"
#include "expr/glob.hpp"
#include <optional>

namespace corebox::expr
{

// What is known of a node before code is made of it.
struct Trait {
    bool is_analysed = false;
    bool is_constant = false;
    bool is_linear = false;  // made in one register, whichever; others and helpers are not needed
    bool is_pointer = false; // for the verifier: no arithmetic
    bool from_context = false;
    std::int64_t known = 0; // what it points to for the verifier: KernelStructs' structure
    unsigned weight = 0;    // values that live while it is made
    std::uint32_t size = 1; // nodes, those that are shared counted each time
    // What a test of it costs: 0 no memory, 1 reads, 2 texts, 3 globs, 4 and 5 where user space
    // may have to decide and has to.
    unsigned cost = 0;
    Side side = Side::kernel;
};

constexpr bool is_commutative(Op op)
{
    return op == Op::add || op == Op::multiply || op == Op::bit_and || op == Op::bit_or ||
           op == Op::bit_xor;
}

class Generator::Impl
{
public:
    Impl(const Code& code, const Machine& machine, Assembler& out)
        : code_(code), machine_(machine), out_(out)
    {
    }

    // Where what cannot be computed goes to.
    struct Exits {
        Label missing, undecided;
    };
    void set_exits(Exits exits) { exits_ = exits; }
    void jump(Label to) { out_.jump(to); }

    // `next` is the one of the three that follows.
    void condition(NodeId id, Label yes, Label no, Label undecided, Label next);
    // To a register, extended to 64 bits; to another than r0 only where it is linear.
    void whole(NodeId id, int reg = 0);
    void copy_text(NodeId id, std::int32_t offset, std::uint32_t room);
    void copy_bytes(NodeId address, std::int32_t offset, std::uint32_t size);

    const Trait& trait(NodeId id);

    unsigned stack_bytes() const { return stack_; }
    bool uses_scratch() const { return uses_scratch_; }
    std::span<const std::uint64_t> tables() const { return tables_; }

private:
    static constexpr int kFrame = 10; // r10
    static constexpr int kSlot = -8, kText = -72;
    static constexpr unsigned kTextRoom = unsigned(kSlot - kText);
    static constexpr unsigned kMaxStack = 256;

    // How much of a value's register is right: the whole, or `size` bytes of it.
    struct Made {
        unsigned size = 8;
        bool is_signed = false;
        bool is_whole = true;
    };
    struct Place {
        enum class Base : std::uint8_t { context, record, pointer } base = Base::pointer;
        NodeId pointer{};
        std::int64_t offset = 0;
        Space space = Space::kernel;
    };
    struct Word { // of memory, with the bits in it
        std::int64_t offset = 0;
        unsigned size = 0, bit = 0, bits = 0;
    };
    struct Both { // in r0 and r1
        Made a, b;
    };

    const Node& node(NodeId id) const { return code_[id]; }
    const Type& type(NodeId id) const { return code_.type(id); }
    static bool fits(std::int64_t value) { return value == std::int32_t(value); }

    // generate_traits.cpp
    Trait analyse(NodeId id);
    Trait analyse_load(const Node& n);
    Trait analyse_text(const Node& n);
    Side side_of_text(const Node& test) const;
    bool sees_all(NodeId text) const;
    Place place(NodeId pointer, std::int64_t offset) const;
    Word word(const Node& load, const Place& place) const;
    bool is_plain(const Place& place, const Word& word, const Type& type, bool trusted);
    std::int64_t walk(const Place& place, std::int64_t offset, unsigned size);

    // generate.cpp
    void chain(NodeId id, Label yes, Label no, Label undecided, Label next);
    void flatten(NodeId id, Op op, std::vector<NodeId>& out) const;
    void compare(const Node& n, Label yes, Label no, Label next);
    void is_one_of(const Node& n, Label yes, Label no, Label next);
    void is_not_zero(NodeId id, Label yes, Label no, Label next);
    void go(Label to, Label next);
    // One conditional jump, of r0 with r1 or an immediate, and what else it takes.
    void branch(int op, bool is_half, std::optional<std::int32_t> immediate, Label yes, Label no,
                Label next);

    // generate_value.cpp
    Made make(NodeId id, int reg);
    Made make_number(NodeId id, int reg); // what the verifier takes for a number too
    Both make_both(NodeId a, NodeId b, bool wholes, bool numbers);
    Made convert(const Node& n, int reg);
    Made arithmetic(const Node& n, int reg);
    void divide_signed(Op op); // r0 by r1
    Made helper(const Node& n);
    Made choose(const Node& n);
    Made truth_value(NodeId id);
    void constant(NodeId id, int reg);
    std::optional<std::int64_t> constant_value(NodeId id);
    void extend(Made& made, int reg);

    // generate_memory.cpp
    int hold(); // r0 until release()
    void release(int slot, int reg) { peek(slot, reg), held_--; }
    void peek(int slot, int reg);
    void use_stack(int bytes);
    void stack_address(int reg, int offset);
    void add_offset(int reg, std::int64_t offset);
    void scratch_value(Label failed); // its address to r0
    // From r3 to r1; jump if that fails. A text's length with its NUL is in r0 then.
    void read(std::uint32_t bytes, Space space, Label failed);
    void read_text(std::uint32_t bytes, Space space, Label failed);
    void call_by_space(int kernel, int user, Space space);
    void require_reading() const;
    // What a place's pointer is, not NULL, and not an error code either; the place's address.
    void make_pointer(const Place& place, int reg, bool test_error);
    void make_address(const Place& place, int reg);
    Made load(const Node& n, int reg);

    // generate_text.cpp
    // Of a select or a known: each(b or c, what is next then). False: it is neither.
    template <class Each>
    bool branch_each(const Node& n, Label undecided, Label next, Each&& each)
    {
        if (n.op != Op::select && n.op != Op::known)
            return false;
        const bool is_known = n.op == Op::known;
        const Label then = out_.new_label();
        const Label otherwise = is_known ? undecided : out_.new_label();
        condition(n.a, then, otherwise, undecided, then);
        out_.bind(then);
        each(n.b, is_known ? next : otherwise);
        if (!is_known) {
            out_.bind(otherwise);
            each(n.c, next);
        }
        return true;
    }
    void test_text(const Node& test, NodeId text, Label yes, Label no, Label undecided, Label next);
    bool is_plain_text(const Place& place, std::uint32_t bytes);
    // `differs` is where another text goes, `no` where it is missing.
    void compare_text(const Node& n, std::string_view literal, bool is_whole, Label equal,
                      Label differs, Label no, Label next);
    void compare_bytes(int base, std::int64_t offset, std::string_view bytes, Label differs);
    void match(const Node& n, const Glob& glob, Label yes, Label no, Label undecided);
    void read_beginning(const Place& place, std::string_view literal, Label failed, Label differs);
    void run_automaton(const Glob& glob, std::int64_t offset, std::uint32_t bytes, bool is_all,
                       Label yes, Label no, Label undecided);
    void test_defined_text(NodeId text, Label yes, Label no, Label undecided, Label next);
    void test_readable(const Node& text, Label yes, Label no, Label next);
    bool is_text(NodeId id) const;

    const Code& code_;
    Machine machine_;
    Assembler& out_;
    std::vector<Trait> traits_;
    std::vector<std::uint64_t> tables_;
    Exits exits_{};
    int held_ = 0;
    unsigned stack_ = 0;
    bool uses_scratch_ = false;
};

} // namespace corebox::expr
