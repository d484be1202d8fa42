// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "base/error.hpp"
#include "expr/evaluate.hpp"
#include "expr/generate_impl.hpp"
#include <algorithm>

namespace corebox::expr
{

namespace
{

// Nodes may be shared, so that a short text ("x in 1..2 in 1..2 ...") can mean an endless lot.
constexpr std::uint32_t kMostNodes = 100'000;

bool is_word(unsigned size) { return size == 1 || size == 2 || size == 4 || size == 8; }

bool is_short(std::int64_t offset) { return offset == std::int16_t(offset); }

} // namespace

Generator::Impl::Place Generator::Impl::place(NodeId pointer, std::int64_t offset) const
{
    Place p;
    p.space = type(pointer).space;
    while (node(pointer).op == Op::address) {
        offset += node(pointer).value;
        pointer = node(pointer).a;
    }
    p.pointer = pointer;
    p.offset = offset;
    if (node(pointer).op == Op::context || node(pointer).op == Op::record) {
        p.base = node(pointer).op == Op::context ? Place::Base::context : Place::Base::record;
        p.space = Space::kernel;
    }
    return p;
}

// The smallest aligned word with all of it; the 8 bytes of an argument or a register, of which
// 6.12 and 7.2 refuse a part.
Generator::Impl::Word Generator::Impl::word(const Node& n, const Place& p) const
{
    const Type& t = code_.types()[n.type];
    Word w{p.offset, n.bits || n.size == 0 || p.base != Place::Base::context ? t.size : n.size};
    if (n.bits) {
        const std::int64_t bit = p.offset * 8 + n.bit;
        for (w.size = 1; w.size <= 8; w.size *= 2) {
            const std::int64_t bits = 8 * w.size;
            w.offset = (bit - (bit % bits + bits) % bits) / 8;
            w.bit = unsigned(bit - w.offset * 8);
            if (w.bit + n.bits <= w.size * 8)
                break;
        }
        w.bits = n.bits;
    } else if (p.base == Place::Base::context && machine_.typed && w.offset % 8 == 0) {
        w.size = 8;
    }
    if (!is_word(w.size))
        fail("cannot use a value of " + std::to_string(n.bits ? 16 : w.size) + " bytes", 0,
             "use one of its members");
    return w;
}

// Can it be loaded without a helper?
bool Generator::Impl::is_plain(const Place& p, const Word& w, const Type& t, bool trusted)
{
    if (!is_short(w.offset))
        return false;
    switch (p.base) {
    case Place::Base::record:
        return true;
    case Place::Base::context: {
        if (w.offset < 0 || w.offset % w.size)
            return false;
        // As an argument, verifiers refuse to load pointers to pointers, to functions and to what
        // has no definition; 5.10 takes of numbers only `char *` (btf_ctx_access).
        const Type& target = code_.types()[t.target];
        return !machine_.typed || t.kind != Type::Kind::pointer || trusted || target.is_char ||
               !machine_.may_read;
    }
    case Place::Base::pointer:
        return walk(p, w.offset, w.size) != KernelStructs::kRefused;
    }
    return false;
}

std::int64_t Generator::Impl::walk(const Place& p, std::int64_t offset, unsigned size)
{
    if (p.base != Place::Base::pointer || offset < 0 || !is_short(offset) || !machine_.structs.walk)
        return KernelStructs::kRefused;
    const std::int64_t known = trait(p.pointer).known;
    return known > 0 ? machine_.structs.walk(std::uint32_t(known), std::uint32_t(offset), size)
                     : KernelStructs::kRefused;
}

const Trait& Generator::Impl::trait(NodeId id)
{
    if (traits_.size() < code_.size())
        traits_.resize(code_.size());
    if (!traits_[std::size_t(id)].is_analysed) {
        Trait t = analyse(id); // which may analyse others
        t.size = 1;
        for (const NodeId operand : {node(id).a, node(id).b, node(id).c})
            if (operand != NodeId::none)
                t.size += trait(operand).size;
        if (t.size > kMostNodes)
            fail("cannot use the expression: it is too complex", 0, "use a simpler one");
        traits_[std::size_t(id)] = t;
        traits_[std::size_t(id)].is_analysed = true;
    }
    return traits_[std::size_t(id)];
}

Trait Generator::Impl::analyse_load(const Node& n)
{
    const Type& t = code_.types()[n.type];
    const Place p = place(n.a, n.value);
    const Trait base = trait(p.pointer);
    const Word w = word(n, p);
    const bool plain = is_plain(p, w, t, n.trusted);
    Trait r;
    r.is_linear = plain && base.is_linear;
    r.weight = base.weight;
    r.side = base.side;
    r.cost = std::max(base.cost, plain ? 0u : 1u);
    if (!plain)
        return r;
    const Type& target = code_.types()[t.target];
    r.from_context = p.base == Place::Base::context && t.kind == Type::Kind::pointer;
    if (r.from_context && machine_.typed && n.trusted) {
        r.is_pointer = true;
        r.known = target.kernel_id;
    } else if (p.base == Place::Base::pointer) { // whatever it was said to be
        r.known = walk(p, w.offset, w.size);
        r.is_pointer =
            r.known > 0 || (t.kind == Type::Kind::pointer && target.kind == Type::Kind::structure);
    }
    return r;
}

Trait Generator::Impl::analyse_text(const Node& n)
{
    const Place p = place(n.a, n.value);
    Trait r = trait(p.pointer);
    r.is_linear = r.is_constant = false;
    r.cost = 2;
    return r;
}

Trait Generator::Impl::analyse(NodeId id)
{
    const Node n = node(id);
    const Trait none;
    const auto of = [&](NodeId operand) {
        return operand == NodeId::none ? none : Trait(trait(operand));
    };
    const bool is_memory = n.op == Op::load || n.op == Op::text;
    const Trait a = is_memory ? none : of(n.a), b = of(n.b), c = of(n.c);
    Trait r;
    r.weight = std::max({a.weight, b.weight, c.weight});
    r.cost = std::max({a.cost, b.cost, c.cost});
    r.side = std::max({a.side, b.side, c.side});
    switch (n.op) {
    case Op::constant:
        r.is_constant = r.is_linear = true;
        break;
    case Op::context:
    case Op::record:
        r.is_linear = r.is_pointer = true;
        break;
    case Op::helper:
        if (n.helper == Helper::task && machine_.task_btf) {
            r.is_pointer = true;
            r.known = code_.types()[code_.types()[n.type].target].kernel_id;
        }
        break;
    case Op::column:
        r.side = Side::user;
        break;
    case Op::load:
        return analyse_load(n);
    case Op::text:
        return analyse_text(n);
    case Op::address:
        r = a;
        r.is_constant = false;
        r.known = 0;
        break;
    case Op::convert: {
        const Type& t = code_.types()[n.type];
        r = a;
        r.known = t.size == 8 ? a.known : 0;
        r.is_pointer = a.is_pointer && t.size == 8 && t.kind != Type::Kind::boolean;
        r.is_linear = a.is_linear && r.is_pointer == a.is_pointer;
        break;
    }
    case Op::negate:
    case Op::complement:
    case Op::swap_bytes:
        r.is_constant = a.is_constant;
        r.is_linear = a.is_linear && !a.is_pointer;
        break;
    case Op::select:
    case Op::known:
        r.is_pointer = b.is_pointer || c.is_pointer;
        if (n.op == Op::known || r.side != Side::kernel)
            r.side = a.side == Side::user || (b.side == Side::user && n.op == Op::known)
                         ? Side::user
                         : Side::both;
        break;
    case Op::logical_and:
    case Op::logical_or:
        r.is_constant = a.is_constant && b.is_constant;
        if (r.side == Side::user && a.side != b.side)
            r.side = Side::both;
        break;
    case Op::logical_not:
    case Op::truth:
    case Op::one_of:
        r.is_constant = a.is_constant;
        break;
    case Op::defined:
        break;
    case Op::text_equal:
    case Op::text_differs:
    case Op::text_prefix:
    case Op::glob:
    case Op::regex:
        r.cost = 2;
        r.side = std::max(r.side, side_of_text(n));
        if (n.op == Op::glob)
            r.cost = Glob(code_.text(n.value)).is_literal() ? 2 : 3;
        break;
    default: { // of two operands
        const bool divides = n.op == Op::divide || n.op == Op::modulo;
        r.is_constant = a.is_constant && b.is_constant;
        const bool is_half = code_.types()[n.type].size <= 4;
        const auto one = [&](const Trait& value, const Trait& other, NodeId constant) {
            return value.is_linear && !value.is_pointer && other.is_constant &&
                   (is_half || fits(compute(code_, constant, {}).value_or(0)));
        };
        r.is_linear = (one(a, b, n.b) || (is_commutative(n.op) && one(b, a, n.a))) &&
                      !(divides && code_.types()[n.type].is_signed);
        if (!a.is_linear && !b.is_linear)
            r.weight = std::max(r.weight, std::min(a.weight, b.weight) + 1);
    }
    }
    if (is_test(n.op))
        r.is_linear = r.is_constant;
    if (r.side != Side::kernel)
        r.cost = r.side == Side::user ? 5 : 4;
    return r;
}

Side Generator::Impl::side_of_text(const Node& n) const
{
    const std::string_view text = code_.text(n.value);
    if (n.op == Op::regex)
        return Side::user;
    if (n.op != Op::glob)
        return text.size() < kScratchBytes ? Side::kernel : Side::user;
    const Glob glob(text);
    if (glob.is_literal() || glob.is_prefix())
        return glob.literal().size() < kScratchBytes ? Side::kernel : Side::user;
    if (glob.length() > Glob::kMaxLength)
        return Side::user;
    return sees_all(n.a) ? Side::kernel : Side::both;
}

// Whether what the kernel looks at is always the whole text.
bool Generator::Impl::sees_all(NodeId text) const
{
    const Node& n = node(text);
    if (n.op == Op::select)
        return sees_all(n.b) && sees_all(n.c);
    if (n.op == Op::known)
        return sees_all(n.b);
    return n.size && n.size <= kTextBytes;
}

Side side_of(const Code& code, NodeId test)
{
    Assembler nowhere;
    return Generator::Impl(code, {}, nowhere).trait(test).side;
}

} // namespace corebox::expr
