// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Conditions: jumps with short circuit; and the generator's face.
#include "expr/evaluate.hpp"
#include "expr/generate_impl.hpp"
#include <algorithm>

namespace corebox::expr
{

namespace
{

int opposite(int op)
{
    switch (op) {
    case BPF_JEQ:
        return BPF_JNE;
    case BPF_JNE:
        return BPF_JEQ;
    case BPF_JLT:
        return BPF_JGE;
    case BPF_JLE:
        return BPF_JGT;
    case BPF_JGT:
        return BPF_JLE;
    case BPF_JGE:
        return BPF_JLT;
    case BPF_JSLT:
        return BPF_JSGE;
    case BPF_JSLE:
        return BPF_JSGT;
    case BPF_JSGT:
        return BPF_JSLE;
    default: // BPF_JSGE
        return BPF_JSLT;
    }
}

// The jump that is taken if a OP b; `swapped`: if b OP a.
int comparison(Op op, bool is_signed, bool swapped)
{
    if (op == Op::equal || op == Op::not_equal)
        return op == Op::equal ? BPF_JEQ : BPF_JNE;
    if (op == Op::less)
        return swapped ? (is_signed ? BPF_JSGT : BPF_JGT) : is_signed ? BPF_JSLT : BPF_JLT;
    return swapped ? (is_signed ? BPF_JSGE : BPF_JGE) : is_signed ? BPF_JSLE : BPF_JLE;
}

} // namespace

void Generator::Impl::go(Label to, Label next)
{
    if (to != next)
        out_.jump(to);
}

void Generator::Impl::branch(int op, bool is_half, std::optional<std::int32_t> immediate, Label yes,
                             Label no, Label next)
{
    const bool inverted = next == yes;
    const Label to = inverted ? no : yes;
    if (inverted)
        op = opposite(op);
    if (immediate && is_half)
        out_.jump32_if_imm(op, 0, *immediate, to);
    else if (immediate)
        out_.jump_if_imm(op, 0, *immediate, to);
    else if (is_half)
        out_.jump32_if(op, 0, 1, to);
    else
        out_.jump_if(op, 0, 1, to);
    go(inverted ? yes : no, next);
}

void Generator::Impl::compare(const Node& n, Label yes, Label no, Label next)
{
    const Type& t = type(n.a);
    const bool is_half = t.size == 4;
    NodeId a = n.a, b = n.b;
    const bool swapped = trait(a).is_constant;
    if (swapped)
        std::swap(a, b);
    const int op = comparison(n.op, t.is_signed, swapped);
    const auto value = constant_value(b);
    if (trait(b).is_constant && !value) {
        go(no, next);
    } else if (value && (is_half || fits(*value))) {
        Made made = make(a, 0);
        if (!is_half)
            extend(made, 0);
        branch(op, is_half, std::int32_t(*value), yes, no, next);
    } else {
        make_both(a, b, !is_half, false);
        branch(op, is_half, std::nullopt, yes, no, next);
    }
}

void Generator::Impl::is_not_zero(NodeId id, Label yes, Label no, Label next)
{
    Made made = make(id, 0);
    if (made.size != 4)
        extend(made, 0);
    branch(BPF_JNE, made.size == 4, 0, yes, no, next);
}

void Generator::Impl::is_one_of(const Node& n, Label yes, Label no, Label next)
{
    Made made = make(n.a, 0);
    const bool is_half = made.size == 4;
    if (!is_half)
        extend(made, 0);
    for (const std::int64_t value : code_.set(n.value)) {
        if (is_half) {
            out_.jump32_if_imm(BPF_JEQ, 0, std::int32_t(value), yes);
        } else if (fits(value)) {
            out_.jump_if_imm(BPF_JEQ, 0, std::int32_t(value), yes);
        } else {
            out_.move(1, value);
            out_.jump_if(BPF_JEQ, 0, 1, yes);
        }
    }
    go(no, next);
}

void Generator::Impl::flatten(NodeId id, Op op, std::vector<NodeId>& out) const
{
    const Node& n = node(id);
    if (n.op == op) {
        flatten(n.a, op, out);
        flatten(n.b, op, out);
    } else {
        out.push_back(id);
    }
}

// Cheap ones first; their order changes nothing else, as none has an effect and what is missing
// makes only its own test false. What user space may have to decide is last: where the kernel
// cannot decide it, what comes after would decide it neither.
void Generator::Impl::chain(NodeId id, Label yes, Label no, Label undecided, Label next)
{
    const bool is_and = node(id).op == Op::logical_and;
    std::vector<NodeId> parts;
    flatten(id, node(id).op, parts);
    std::ranges::stable_sort(parts, {}, [&](NodeId part) { return trait(part).cost; });
    for (const NodeId part : parts) {
        if (part == parts.back()) {
            condition(part, yes, no, undecided, next);
            return;
        }
        const Label on = out_.new_label();
        condition(part, is_and ? on : yes, is_and ? no : on, undecided, on);
        out_.bind(on);
    }
}

void Generator::Impl::condition(NodeId id, Label yes, Label no, Label undecided, Label next)
{
    const Node n = node(id);
    if (trait(id).is_constant) {
        go(test(code_, id, {}) == Truth::yes ? yes : no, next);
        return;
    }
    const Exits outer = exits_;
    exits_ = {no, undecided};
    switch (n.op) {
    case Op::logical_not:
        condition(n.a, no, yes, undecided, next);
        break;
    case Op::logical_and:
    case Op::logical_or:
        chain(id, yes, no, undecided, next);
        break;
    case Op::truth:
        condition(n.a, yes, no, undecided, next);
        break;
    case Op::equal:
    case Op::not_equal:
    case Op::less:
    case Op::less_or_equal:
        compare(n, yes, no, next);
        break;
    case Op::one_of:
        is_one_of(n, yes, no, next);
        break;
    case Op::defined:
        if (is_text(n.a)) {
            test_defined_text(n.a, yes, no, undecided, next);
        } else {
            make(n.a, 0);
            go(yes, next);
        }
        break;
    case Op::text_equal:
    case Op::text_differs:
    case Op::text_prefix:
    case Op::glob:
    case Op::regex:
        test_text(n, n.a, yes, no, undecided, next);
        break;
    case Op::select:
    case Op::known:
        branch_each(n, undecided, next,
                    [&](NodeId part, Label after) { condition(part, yes, no, undecided, after); });
        break;
    default:
        is_not_zero(id, yes, no, next);
    }
    exits_ = outer;
}

Generator::Generator(const Code& code, const Machine& machine, Assembler& out)
    : impl_(std::make_shared<Impl>(code, machine, out))
{
}

void Generator::condition(NodeId test, Label yes, Label no, Label undecided)
{
    impl_->condition(test, yes, no, undecided, yes);
    impl_->jump(yes);
}

void Generator::value(NodeId node, Label missing)
{
    impl_->set_exits({missing, missing});
    impl_->whole(node);
}

void Generator::copy_text(NodeId text, std::int32_t offset, std::uint32_t room, Label missing)
{
    impl_->set_exits({missing, missing});
    impl_->copy_text(text, offset, room);
}

void Generator::copy_bytes(NodeId address, std::int32_t offset, std::uint32_t size, Label missing)
{
    impl_->set_exits({missing, missing});
    impl_->copy_bytes(address, offset, size);
}

unsigned Generator::stack_bytes() const { return impl_->stack_bytes(); }

bool Generator::uses_scratch() const { return impl_->uses_scratch(); }

std::span<const std::uint64_t> Generator::tables() const { return impl_->tables(); }

WhereBody generate_where(const Code& code, NodeId test, const Machine& machine)
{
    Assembler out;
    Generator generator(code, machine, out);
    const Label send = out.new_label(), drop = out.new_label();
    out.move(6, 1);
    out.move(7, 2);
    generator.condition(test, send, drop, send);
    out.bind(send);
    out.move(0, std::int64_t(1));
    out.exit();
    out.bind(drop);
    out.move(0, std::int64_t(0));
    out.exit();
    const auto tables = generator.tables();
    return {out.finish(), {tables.begin(), tables.end()}, generator.uses_scratch()};
}

} // namespace corebox::expr
