// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The form of an expression between its text and what carries it out: typed, with C's conversions
// spelled out. check.cpp makes it, generate.cpp turns it into BPF, evaluate.cpp computes it here.
//
// Values are integers of 4 or 8 bytes (narrower ones only as the type of a load or a conversion),
// pointers of 8, and texts. A value may be *missing*: a pointer on the way was NULL or could not be
// read, or a division was by zero. A test with a missing value is false; only `defined` asks. A
// value may be *undecided*: it is known in user space only. What a test of it decides is undecided,
// unless the rest of the condition decides without it.
//
// Forms that check.cpp makes: a pointer cast to another pointer is an `address` with 0 added, a
// number cast to a pointer or back a `convert`; a pointer + a constant is an `address`, + anything
// else an `add` of the pointer's type with a number of 8 bytes. Loads and texts through an
// `address` are merged with it, unless the spaces differ: `a` may then point to another structure
// than the one that was meant, and what counts is the offset. `&&` and `||` have tests as operands;
// a test may stand where a value of type int may. Nodes may be shared.
#pragma once
#include "expr/type.hpp"
#include <cstdint>
#include <string>
#include <vector>

namespace corebox::expr
{

enum class NodeId : std::uint32_t { none = 0 };

enum class Op : std::uint8_t {
    // Values without operands.
    constant, // `value`
    context,  // the address of the program's context
    record,   // the address of the tool's record
    helper,   // what a BPF helper returns: `helper`
    column,   // number `value` of the columns that only user space knows

    // From memory. `a` is a pointer (or context, record); `value` is added to it, in bytes.
    load,    // `type` from there; of a bitfield with `bit` and `bits` of the `size` bytes there.
             // `size` 0: the type's. More than the type's: an argument's or register's whole word
             // (8), of which the type's lowest bytes are the value
    address, // the pointer itself, as a pointer of `type` (a cast, an array, &member); missing
             // where the pointer is NULL and `value` is not 0
    text,    // the text there, of at most `size` bytes, ends at its first NUL; no load yet

    // Arithmetic of two values of the node's own type.
    add,
    subtract,
    multiply,
    divide, // missing where b is 0
    modulo,
    bit_and,
    bit_or,
    bit_xor,
    shift_left, // by b, masked as the hardware does, which may be of another type
    shift_right,
    negate,
    complement,
    convert,    // a to `type`: cut, or extended as a's own type is signed or not
    swap_bytes, // `size` bytes of it
    select,     // a ? b : c
    known,      // b where the test a is true, else undecided: a text that may not be there yet

    // Tests: 1 or 0, of type int.
    logical_not,
    logical_and,
    logical_or,
    truth,     // a is not 0
    equal,     // of two values of one type, signed or not as that is
    not_equal, // no logical_not of equal: false too where a value is missing
    less,
    less_or_equal,
    one_of,  // a is in set number `value` of the code, whose numbers are extended by a's type
    defined, // a is not missing
    // Of a text or of a column, with text number `value` of the code.
    text_equal,
    text_differs, // false too where the text is missing
    text_prefix,
    glob,
    regex, // in user space only
};

enum class Helper : std::uint8_t {
    pid_tgid,
    uid_gid,
    cpu,
    ktime_ns,
    task, // struct task_struct *
    cgroup_id,
    kernel_stack_id,
    user_stack_id,
    function_ip,
    cookie,
};

struct Node {
    Op op = Op::constant;
    Helper helper{};
    // Load: the verifier knows what the pointer that is loaded from here points to, as it does of
    // the arguments of fentry, fexit and tp_btf programs. What is loaded through it is known by the
    // types (KernelStructs). Such a load has the pointer's type: it is no number for the verifier,
    // so that `arg1` of a pointer is a conversion of this load.
    bool trusted = false;
    std::uint8_t bit = 0, bits = 0; // of a load's bitfield: from the lowest of its word
    TypeId type = TypeId::none;
    std::uint32_t size = 0;
    std::uint32_t at = 0, length = 0; // where it stands in the text
    NodeId a{}, b{}, c{};
    std::int64_t value = 0;
};

// The nodes of the expressions of one program.
class Code
{
public:
    explicit Code(Types& types) : types_(types) { nodes_.emplace_back(); }

    Types& types() const { return types_; }
    std::size_t size() const { return nodes_.size(); } // the last node's number + 1
    const Node& operator[](NodeId id) const { return nodes_[std::size_t(id)]; }
    const Type& type(NodeId id) const { return types_[(*this)[id].type]; }
    NodeId add(Node node)
    {
        nodes_.push_back(node);
        return NodeId(nodes_.size() - 1);
    }
    std::int64_t add_text(std::string text)
    {
        texts_.push_back(std::move(text));
        return std::int64_t(texts_.size() - 1);
    }
    std::string_view text(std::int64_t number) const { return texts_[std::size_t(number)]; }
    std::int64_t add_set(std::vector<std::int64_t> numbers)
    {
        sets_.push_back(std::move(numbers));
        return std::int64_t(sets_.size() - 1);
    }
    std::span<const std::int64_t> set(std::int64_t number) const
    {
        return sets_[std::size_t(number)];
    }

private:
    Types& types_;
    std::vector<Node> nodes_;
    std::vector<std::string> texts_;
    std::vector<std::vector<std::int64_t>> sets_;
};

} // namespace corebox::expr
