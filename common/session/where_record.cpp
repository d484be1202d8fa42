// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// From the formulas of columns (output/field.hpp) to expressions over the record.
#include "expr/build.hpp"
#include "session/where.hpp"
#include <map>

namespace corebox
{

using expr::Code;
using expr::Node;
using expr::NodeId;
using expr::Op;
using expr::TypeId;

TypeId column_type(expr::Types& types, ColumnType type)
{
    switch (type) {
    case ColumnType::natural:
        return types.integer(8, false);
    case ColumnType::boolean:
        return types.integer(4, true);
    case ColumnType::text:
    case ColumnType::list:
    case ColumnType::address:
        return types.array_of(types.character(), 0);
    default:
        return types.integer(8, true);
    }
}

namespace
{

// A number of 8 bytes, a test, or a text; each step takes its operands from the end of the stack.
class FormulaNodes
{
public:
    explicit FormulaNodes(Code& code) : code_(code) {}

    NodeId make(std::span<const FieldStep> steps)
    {
        for (const FieldStep& step : steps)
            take(step);
        return pop();
    }

private:
    TypeId long_type(bool is_signed = true) const { return code_.types().integer(8, is_signed); }
    NodeId pop()
    {
        const NodeId node = stack_.back();
        stack_.pop_back();
        return node;
    }
    NodeId truth(NodeId node) { return expr::make_truth(code_, node); }
    // A comparison and what is computed with a natural number is one of natural numbers.
    TypeId common(NodeId a, NodeId b) const
    {
        return long_type(code_[a].type != long_type(false) && code_[b].type != long_type(false));
    }

    NodeId make_load(const FieldStep& step)
    {
        const auto type = code_.types().integer(step.bytes, step.is_signed);
        const NodeId node = expr::make_load(code_, expr::make_record(code_), step.value, type);
        return expr::convert(code_, node, long_type(step.is_signed || step.bytes < 8));
    }

    NodeId make_binary(Op op)
    {
        const NodeId b = pop(), a = pop();
        const TypeId type = common(a, b);
        const NodeId x = expr::convert(code_, a, type), y = expr::convert(code_, b, type);
        if (op == Op::equal || op == Op::less)
            return expr::make_comparison(code_, op, x, y);
        return expr::make_binary(code_, op, x, y, type);
    }

    NodeId make_select()
    {
        const NodeId no = pop(), yes = pop(), test = truth(pop());
        const TypeId type = common(yes, no);
        return expr::make_select(code_, test, expr::convert(code_, yes, type),
                                 expr::convert(code_, no, type));
    }

    // What is divided by 0 is missing.
    NodeId make_present()
    {
        const NodeId value = pop(), test = truth(pop());
        const TypeId type = code_[value].type;
        const NodeId zero = expr::make_constant(code_, 0, type);
        const NodeId missing = code_.add({.op = Op::divide, .type = type, .a = zero, .b = zero});
        return code_.add({.op = Op::select, .type = type, .a = test, .b = value, .c = missing});
    }

    NodeId make_known()
    {
        const NodeId value = pop(), test = truth(pop());
        return code_.add({.op = Op::known, .type = code_[value].type, .a = test, .b = value});
    }

    void take(const FieldStep& step)
    {
        const auto push = [this](NodeId node) { stack_.push_back(node); };
        using enum FieldStep::Do;
        switch (step.what) {
        case load:
            return push(make_load(step));
        case text:
            return push(expr::make_text(code_, expr::make_record(code_), step.value, step.size));
        case constant:
            return push(expr::make_constant(code_, step.value, long_type()));
        case negate: {
            const NodeId a = expr::convert(code_, pop(), long_type());
            return push(expr::make_unary(code_, Op::negate, a, long_type()));
        }
        case invert:
            return push(expr::make_not(code_, truth(pop())));
        case add:
            return push(make_binary(Op::add));
        case subtract:
            return push(make_binary(Op::subtract));
        case multiply:
            return push(make_binary(Op::multiply));
        case divide:
            return push(make_binary(Op::divide));
        case bit_and:
            return push(make_binary(Op::bit_and));
        case shift_right:
            return push(make_binary(Op::shift_right));
        case equal:
            return push(make_binary(Op::equal));
        case less:
            return push(make_binary(Op::less));
        case both: {
            const NodeId b = truth(pop()), a = truth(pop());
            return push(expr::make_and(code_, a, b));
        }
        case either: {
            const NodeId b = truth(pop()), a = truth(pop());
            return push(expr::make_or(code_, a, b));
        }
        case select:
            return push(make_select());
        case present:
            return push(make_present());
        case known:
            return push(make_known());
        }
    }

    Code& code_;
    std::vector<NodeId> stack_;
};

NodeId formula(Code& code, const Field& field)
{
    return FormulaNodes(code).make({field.steps, field.count});
}

bool is_text_test(Op op)
{
    return op == Op::text_equal || op == Op::text_differs || op == Op::text_prefix ||
           op == Op::glob || op == Op::regex;
}

class Rewriting
{
public:
    Rewriting(Code& code, std::span<const Column> columns) : code_(code), columns_(columns) {}

    NodeId rewrite(NodeId id)
    {
        if (id == NodeId::none)
            return id;
        if (const auto made = made_.find(id); made != made_.end())
            return made->second;
        return made_[id] = rewritten(id);
    }

private:
    const Column& column(NodeId id) const { return columns_[std::size_t(code_[id].value)]; }

    NodeId rewritten(NodeId id)
    {
        Node n = code_[id];
        if (n.op == Op::column) {
            const std::int64_t part = n.value / kAddressPart;
            const NodeId node =
                part ? part_of_address(id, part) : column_of_record(code_, column(id));
            return node == NodeId::none ? id : node;
        }
        if (is_text_test(n.op) && code_[n.a].op == Op::column)
            if (const Field* field = column(n.a).field; field && field->names)
                return test_of_names(id, *field);
        const NodeId a = rewrite(n.a), b = rewrite(n.b), c = rewrite(n.c);
        if (a == n.a && b == n.b && c == n.c)
            return id;
        n.a = a;
        n.b = b;
        n.c = c;
        // A text that is there in some records only: elsewhere each test of it is false.
        if (const Node text = code_[a]; text.op == Op::select && is_text(text.b) &&
                                        (is_text_test(n.op) || n.op == Op::defined)) {
            n.a = text.b;
            return expr::make_and(code_, text.a, code_.add(n));
        }
        return code_.add(n);
    }

    NodeId part_of_address(NodeId id, std::int64_t part)
    {
        const Field* const field = columns_[std::size_t(code_[id].value % kAddressPart)].field;
        if (!field)
            return NodeId::none;
        const std::span steps(field->steps, field->count);
        const NodeId node = FormulaNodes(code_).make(
            part == 3 ? steps.subspan(2) : steps.subspan(std::size_t(part - 1), 1));
        return expr::convert(code_, node, code_[id].type);
    }

    bool is_text(NodeId id) const
    {
        return code_[id].op == Op::text || (code_[id].op == Op::known && is_text(code_[id].b));
    }

    // The numbers of those names of which the test is true.
    NodeId test_of_names(NodeId test, const Field& field)
    {
        std::vector<std::int64_t> numbers;
        for (std::uint32_t i = 0; i < field.names_count; i++) {
            expr::World world;
            world.column = [&](std::int64_t) { return Value(Trusted{field.names[i]}); };
            if (expr::test(code_, test, world) == expr::Truth::yes)
                numbers.push_back(i);
        }
        NodeId number = formula(code_, field);
        if (expr::is_test(code_[number].op))
            number = expr::convert(code_, number, code_.types().integer(8, true));
        return code_.add({.op = Op::one_of,
                          .type = code_[test].type,
                          .a = number,
                          .value = code_.add_set(std::move(numbers))});
    }

    Code& code_;
    const std::span<const Column> columns_;
    std::map<NodeId, NodeId> made_;
};

} // namespace

NodeId column_of_record(Code& code, const Column& column)
{
    if (!column.field || column.field->names || column.type == ColumnType::address)
        return NodeId::none;
    const NodeId node = formula(code, *column.field);
    if (column.type == ColumnType::text)
        return node;
    return expr::convert(code, node, column_type(code.types(), column.type));
}

NodeId test_of_record(Code& code, NodeId test, std::span<const Column> columns)
{
    return Rewriting(code, columns).rewrite(test);
}

} // namespace corebox
