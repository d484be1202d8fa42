// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Makes typed nodes, with C's conversions; constants are computed. What checks expressions uses it,
// and what gives names their meaning.
#pragma once
#include "expr/ir.hpp"

namespace corebox::expr
{

bool is_test(Op op);
bool is_constant(const Code& code, NodeId node);
// A whole one, which text may be.
bool is_byte(const Type& type);

NodeId make_constant(Code& code, std::int64_t value, TypeId type);
NodeId make_int(Code& code, std::int64_t value); // int if it fits, else long
NodeId make_context(Code& code);
NodeId make_record(Code& code);
NodeId make_helper(Code& code, Helper helper, TypeId type);

// `base`: a pointer, context or record. Merges constant offsets.
NodeId make_load(Code& code, NodeId base, std::int64_t offset, TypeId type, bool trusted = false);
// A member's value; of a structure or array its place (see Names::find).
NodeId make_member(Code& code, NodeId pointer, std::string_view member);
NodeId make_bitfield(Code& code, NodeId base, std::int64_t bit, std::uint32_t bits, TypeId type);
NodeId make_address(Code& code, NodeId base, std::int64_t offset, TypeId type);
// `size`: of its array, 0 where it has no limit.
NodeId make_text(Code& code, NodeId base, std::int64_t offset, std::uint32_t size);

// Where a pointer (context, record) points.
Space space_of(const Code& code, NodeId base);

NodeId convert(Code& code, NodeId value, TypeId type);
TypeId promoted(const Code& code, TypeId type);
TypeId common_type(const Code& code, TypeId a, TypeId b);

// Of operands of the type already (see ir.hpp).
NodeId make_unary(Code& code, Op op, NodeId a, TypeId type);
NodeId make_binary(Code& code, Op op, NodeId a, NodeId b, TypeId type);
NodeId make_comparison(Code& code, Op op, NodeId a, NodeId b);
NodeId make_swap(Code& code, NodeId value, unsigned bytes);

// Of any numbers: promotes and converts them first.
NodeId make_arithmetic(Code& code, Op op, NodeId a, NodeId b);
NodeId make_relation(Code& code, Op op, NodeId a, NodeId b);

// Tests.
NodeId make_truth(Code& code, NodeId value); // of a number, a pointer, or a test as it is
NodeId make_not(Code& code, NodeId test);
NodeId make_and(Code& code, NodeId a, NodeId b);
NodeId make_or(Code& code, NodeId a, NodeId b);
NodeId make_select(Code& code, NodeId test, NodeId yes, NodeId no);

} // namespace corebox::expr
