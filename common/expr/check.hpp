// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// From the tree of an expression to its typed form.
#pragma once
#include "expr/build.hpp"
#include "expr/parse.hpp"
#include "expr/syntax.hpp"

namespace corebox::expr
{

// What an operand has turned out to be.
struct Operand {
    enum class Kind : std::uint8_t {
        value,   // `node`: a number, a pointer or a test
        place,   // `bit` from where pointer `node` points, not read yet
        text,    // `node`: a text, or a column of text
        literal, // a number as it is written, `node` its value; `token` has units and fractions
        string,  // a text as it is written
        address, // an address as it is written
    };
    Kind kind = Kind::value;
    NodeId node{};
    TypeId type = TypeId::none; // of a value or of the place
    std::int64_t bit = 0;
    std::uint32_t bits = 0; // of a bitfield
    const Token* token = nullptr;
    Measure measure{};
    Show show = Show::number;
    TypeId named_by = TypeId::none;
    std::uint32_t at = 0, length = 1;
};

class Checker
{
public:
    Checker(Code& code, const Names& names, const Syntax& syntax)
        : code_(code), types_(code.types()), names_(names), syntax_(syntax)
    {
    }

    NodeId condition(TreeId id); // a test, or a constant
    Shown shown(TreeId id);

private:
    Operand check(TreeId id);
    Operand check_name(const Tree& tree);
    Operand check_literal(const Tree& tree);
    Operand check_member(const Tree& tree);
    Operand check_index(const Tree& tree);
    Operand check_located(const Tree& tree);
    Operand check_unary(const Tree& tree);
    Operand check_binary(const Tree& tree);
    Operand check_conditional(const Tree& tree);
    Operand check_cast(const Tree& tree);
    Operand check_size(const Tree& tree);
    Operand check_container(const Tree& tree);
    Operand check_call(const Tree& tree);
    Operand check_among(const Tree& tree);
    Operand call_of_place(const Tree& tree);

    // Meaning of a node that Names gave.
    Operand from_node(NodeId node, const Tree& tree);
    Operand of_value(NodeId node, const Tree& tree) const;
    // The address of a place, as a pointer of that type.
    NodeId address_of(const Operand& place, TypeId target);
    // Reads a place, decays an array, takes a fraction for what it is.
    Operand value_of(Operand operand);
    NodeId number_of(const Operand& operand); // no pointer
    NodeId test_of(const Operand& operand);
    // Of a text, a pointer to bytes, an array of bytes; none: it is no text.
    NodeId text_of(const Operand& operand);
    NodeId pointed_text(const Operand& operand, Space space, std::uint32_t size);
    // The address of bytes that are shown.
    Operand shown_bytes(const Tree& tree, const Operand& operand, std::uint32_t size, Show show);
    std::int64_t constant_of(TreeId id);
    std::uint32_t offset_of(TypeId structure, TreeId member, TypeId& type);
    Member member_of(TypeId structure, const Tree& name);
    std::string describe(const Operand& operand) const;

    // Sums of pointers and numbers.
    Operand add_pointer(const Tree& tree, const Operand& pointer, const Operand& number,
                        bool is_negative);

    // Comparisons (compare.cpp).
    NodeId compare(const Tree& tree, Sign sign, Operand a, Operand b);
    NodeId compare_text(const Tree& tree, Sign sign, const Operand& text, const Operand& literal);
    NodeId compare_column(const Tree& tree, Sign sign, const AddressParts& column,
                          const Operand& literal);
    NodeId compare_address(const Tree& tree, Sign sign, const Operand& value,
                           const Operand& literal);
    NodeId compare_pointers(const Tree& tree, Sign sign, const Operand& a, const Operand& b);
    NodeId compare_numbers(Sign sign, NodeId a, NodeId b);
    NodeId is_between(const Operand& value, const Tree& range);
    NodeId limit_of(TreeId id, const Operand& value, bool is_lower);
    std::optional<std::int64_t> as_equal(TypeId x, NodeId constant) const;
    bool is_raw(NodeId node, NodeId x) const;

    // Values with units (units.cpp).
    bool has_unit(const Operand& operand) const;
    bool is_time(const Operand& operand) const;
    NodeId raw_of(Operand operand);
    NodeId in_ns(const Operand& operand);
    // A literal in the units of a record. `is_cut`: it lies between that and the next value.
    NodeId scale(const Operand& literal, const Measure& measure, bool& is_cut);
    // None: it is a matter of plain numbers.
    std::optional<Operand> calculate_units(const Tree& tree, Op op, const Operand& a,
                                           const Operand& b);
    std::optional<NodeId> compare_units(Sign sign, const Operand& a, const Operand& b);
    NodeId compare_measured(Sign sign, const Operand& value, const Operand& literal);

    [[noreturn]] static void refuse(const Tree& tree, const std::string& what,
                                    std::string hint = {});
    [[noreturn]] static void refuse(const Operand& operand, const std::string& what,
                                    std::string hint = {});

    Code& code_;
    Types& types_;
    const Names& names_;
    const Syntax& syntax_;
};

} // namespace corebox::expr
