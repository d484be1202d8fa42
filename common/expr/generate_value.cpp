// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Values: arithmetic, conversions, helpers.
#include "base/error.hpp"
#include "expr/evaluate.hpp"
#include "expr/generate_impl.hpp"

namespace corebox::expr
{

namespace
{

constexpr int kContext = 6, kRecord = 7;

int operation(Op op, bool is_signed)
{
    switch (op) {
    case Op::add:
        return BPF_ADD;
    case Op::subtract:
        return BPF_SUB;
    case Op::multiply:
        return BPF_MUL;
    case Op::divide:
        return BPF_DIV;
    case Op::modulo:
        return BPF_MOD;
    case Op::bit_and:
        return BPF_AND;
    case Op::bit_or:
        return BPF_OR;
    case Op::bit_xor:
        return BPF_XOR;
    case Op::shift_left:
        return BPF_LSH;
    default: // shift_right
        return is_signed ? BPF_ARSH : BPF_RSH;
    }
}

} // namespace

void Generator::Impl::extend(Made& made, int reg)
{
    if (!made.is_whole && made.size < 8) {
        const auto bits = std::int32_t(64 - made.size * 8);
        if (made.is_signed) {
            out_.alu_imm(BPF_LSH, reg, bits);
            out_.alu_imm(BPF_ARSH, reg, bits);
        } else if (made.size == 4) {
            out_.move32(reg, reg);
        } else {
            out_.alu_imm(BPF_AND, reg, made.size == 1 ? 0xff : 0xffff);
        }
    }
    made.is_whole = true;
}

std::optional<std::int64_t> Generator::Impl::constant_value(NodeId id)
{
    return trait(id).is_constant ? compute(code_, id, {}) : std::nullopt;
}

void Generator::Impl::whole(NodeId id, int reg)
{
    Made made = make(id, reg);
    extend(made, reg);
}

void Generator::Impl::constant(NodeId id, int reg)
{
    if (const auto value = constant_value(id))
        out_.move(reg, *value);
    else
        out_.jump(exits_.missing);
}

// No arithmetic on what the verifier takes for a pointer, whoever runs the program.
Generator::Impl::Made Generator::Impl::make_number(NodeId id, int reg)
{
    Made made = make(id, trait(id).is_pointer ? 0 : reg);
    if (!trait(id).is_pointer)
        return made;
    if (machine_.may_read) {
        stack_address(3, kSlot - 8);
        out_.store(8, kFrame, kSlot - 8, 0);
        stack_address(1, kSlot);
        read(8, Space::kernel, exits_.missing);
        out_.load(8, 0, kFrame, kSlot);
    } else { // stored in a map, it comes back as a number
        const int held = hold();
        scratch_value(exits_.missing);
        release(held, 1);
        out_.store(8, 0, 0, 1);
        out_.load(8, 0, 0, 0);
    }
    if (reg != 0)
        out_.move(reg, 0);
    return made;
}

Generator::Impl::Both Generator::Impl::make_both(NodeId a, NodeId b, bool wholes, bool numbers)
{
    const auto one = [&](NodeId id, int reg) {
        Made made = numbers ? make_number(id, reg) : make(id, reg);
        if (wholes)
            extend(made, reg);
        return made;
    };
    const auto is_linear = [&](NodeId id) {
        return trait(id).is_linear && !(numbers && trait(id).is_pointer);
    };
    Both both;
    if (is_linear(b)) {
        both.a = one(a, 0);
        both.b = one(b, 1);
    } else if (is_linear(a)) {
        both.b = one(b, 0);
        out_.move(1, 0);
        both.a = one(a, 0);
    } else if (trait(b).weight > trait(a).weight) {
        both.b = one(b, 0);
        const int held = hold();
        both.a = one(a, 0);
        release(held, 1);
    } else {
        both.a = one(a, 0);
        const int held = hold();
        both.b = one(b, 0);
        out_.move(1, 0);
        release(held, 0);
    }
    return both;
}

// Without a signed division, which came with 6.6, and without branches, which would multiply what
// the verifier has to follow.
void Generator::Impl::divide_signed(Op op)
{
    const auto sign = [&](int to, int of) { // all bits of it
        out_.move(to, of);
        out_.alu_imm(BPF_ARSH, to, 63);
    };
    const auto negate_by = [&](int reg, int mask) {
        out_.alu(BPF_XOR, reg, mask);
        out_.alu(BPF_SUB, reg, mask);
    };
    sign(2, 0);
    sign(3, 1);
    negate_by(0, 2);
    negate_by(1, 3);
    out_.alu(operation(op, false), 0, 1);
    if (op == Op::divide)
        out_.alu(BPF_XOR, 2, 3);
    negate_by(0, 2);
}

Generator::Impl::Made Generator::Impl::arithmetic(const Node& n, int reg)
{
    const Type& t = code_.types()[n.type];
    const bool is_half = t.size <= 4;
    const bool divides = n.op == Op::divide || n.op == Op::modulo;
    const bool shifts = n.op == Op::shift_left || n.op == Op::shift_right;
    const bool wholes = !is_half || (divides && t.is_signed);
    const Made made{t.size, t.is_signed, !is_half || (!t.is_signed && t.size == 4)};
    NodeId a = n.a, b = n.b;
    if (is_commutative(n.op) && trait(a).is_constant)
        std::swap(a, b);
    const int op = operation(n.op, t.is_signed);
    const auto width = std::int32_t(is_half ? 31 : 63);

    auto value = constant_value(b);
    if (value && shifts)
        value = *value & width;
    const bool immediate = value && (is_half || fits(*value)) && !(divides && t.is_signed);
    if (immediate && divides && *value == 0) {
        out_.jump(exits_.missing);
        return made;
    }
    if (immediate) {
        if (trait(a).is_pointer || !trait(a).is_linear)
            reg = 0;
        Made m = make_number(a, reg);
        if (wholes)
            extend(m, reg);
        if (is_half)
            out_.alu32_imm(op, reg, std::int32_t(*value));
        else
            out_.alu_imm(op, reg, std::int32_t(*value));
        return made;
    }
    make_both(a, b, wholes, true);
    if (shifts)
        out_.alu_imm(BPF_AND, 1, width);
    if (divides && is_half)
        out_.jump32_if_imm(BPF_JEQ, 1, 0, exits_.missing);
    else if (divides)
        out_.jump_if_imm(BPF_JEQ, 1, 0, exits_.missing);
    if (divides && t.is_signed) {
        divide_signed(n.op);
        return {t.size, true, !is_half};
    }
    if (is_half)
        out_.alu32(op, 0, 1);
    else
        out_.alu(op, 0, 1);
    return made;
}

Generator::Impl::Made Generator::Impl::convert(const Node& n, int reg)
{
    const Type& t = code_.types()[n.type];
    const bool keeps = t.size == 8 && t.kind != Type::Kind::boolean;
    Made m = keeps ? make(n.a, reg) : make_number(n.a, reg);
    if (t.kind == Type::Kind::boolean) {
        const Label done = out_.new_label();
        extend(m, reg);
        out_.jump_if_imm(BPF_JEQ, reg, 0, done);
        out_.move(reg, std::int64_t(1));
        out_.bind(done);
        return {t.size, false, true};
    }
    if (t.size > m.size) {
        extend(m, reg);
        return {t.size, t.is_signed, t.size == 8 || !m.is_signed || t.is_signed};
    }
    const bool same = t.size == m.size && t.is_signed == m.is_signed;
    return {t.size, t.is_signed, t.size == 8 || (same && m.is_whole)};
}

Generator::Impl::Made Generator::Impl::helper(const Node& n)
{
    const Type& t = code_.types()[n.type];
    const auto with_context = [&](int number) {
        out_.move(1, kContext);
        out_.call(number);
    };
    switch (n.helper) {
    case Helper::pid_tgid:
        out_.call(BPF_FUNC_get_current_pid_tgid);
        break;
    case Helper::uid_gid:
        out_.call(BPF_FUNC_get_current_uid_gid);
        break;
    case Helper::cpu:
        out_.call(BPF_FUNC_get_smp_processor_id);
        break;
    case Helper::ktime_ns:
        out_.call(BPF_FUNC_ktime_get_ns);
        break;
    case Helper::task:
        out_.call(machine_.task_btf ? BPF_FUNC_get_current_task_btf : BPF_FUNC_get_current_task);
        break;
    case Helper::cgroup_id:
        out_.call(BPF_FUNC_get_current_cgroup_id);
        break;
    case Helper::kernel_stack_id:
    case Helper::user_stack_id:
        out_.move(3, std::int64_t(n.helper == Helper::user_stack_id ? BPF_F_USER_STACK : 0));
        out_.map(2, machine_.stacks_fd);
        with_context(BPF_FUNC_get_stackid);
        break;
    case Helper::function_ip:
        with_context(BPF_FUNC_get_func_ip);
        break;
    case Helper::cookie:
        with_context(BPF_FUNC_get_attach_cookie);
        break;
    }
    return {t.size, t.is_signed, t.size == 8};
}

Generator::Impl::Made Generator::Impl::truth_value(NodeId id)
{
    const Label yes = out_.new_label(), no = out_.new_label(), done = out_.new_label();
    condition(id, yes, no, exits_.undecided, yes);
    out_.bind(yes);
    out_.move(0, std::int64_t(1));
    out_.jump(done);
    out_.bind(no);
    out_.move(0, std::int64_t(0));
    out_.bind(done);
    return {4, true, true};
}

Generator::Impl::Made Generator::Impl::choose(const Node& n)
{
    const Type& t = code_.types()[n.type];
    const Label yes = out_.new_label(), no = out_.new_label(), done = out_.new_label();
    condition(n.a, yes, n.op == Op::known ? exits_.undecided : no, exits_.undecided, yes);
    out_.bind(yes);
    whole(n.b);
    if (n.op == Op::known)
        return {t.size, t.is_signed, true};
    out_.jump(done);
    out_.bind(no);
    whole(n.c);
    out_.bind(done);
    return {t.size, t.is_signed, true};
}

// To `reg` if it is linear, else to r0 and from there.
Generator::Impl::Made Generator::Impl::make(NodeId id, int reg)
{
    if (reg != 0 && !trait(id).is_linear) {
        const Made made = make(id, 0);
        out_.move(reg, 0);
        return made;
    }
    const Node n = node(id);
    const Type& t = code_.types()[n.type];
    if (trait(id).is_constant) {
        constant(id, reg);
        return {t.size, t.is_signed, true};
    }
    switch (n.op) {
    case Op::context:
    case Op::record:
        out_.move(reg, n.op == Op::record ? kRecord : kContext);
        return {};
    case Op::helper:
        return helper(n);
    case Op::column:
        out_.jump(exits_.undecided);
        return {t.size, t.is_signed, true};
    case Op::load:
        return load(n, reg);
    case Op::address: {
        const Place p = place(n.a, n.value);
        if (p.offset == 0)
            return make(p.pointer, reg);
        make_address(p, reg);
        return {};
    }
    case Op::add:
    case Op::subtract:
    case Op::multiply:
    case Op::divide:
    case Op::modulo:
    case Op::bit_and:
    case Op::bit_or:
    case Op::bit_xor:
    case Op::shift_left:
    case Op::shift_right:
        return arithmetic(n, reg);
    case Op::negate:
    case Op::complement: {
        make_number(n.a, reg);
        const bool is_half = t.size <= 4;
        const int op = n.op == Op::negate ? BPF_NEG : BPF_XOR;
        if (is_half)
            out_.alu32_imm(op, reg, -1);
        else
            out_.alu_imm(op, reg, -1);
        return {t.size, t.is_signed, !is_half || (!t.is_signed && t.size == 4)};
    }
    case Op::convert:
        return convert(n, reg);
    case Op::swap_bytes: {
        make_number(n.a, reg);
        out_.swap_bytes(reg, n.size * 8);
        return {t.size, t.is_signed,
                t.size > n.size || t.size == 8 || (!t.is_signed && t.size == n.size)};
    }
    case Op::select:
    case Op::known:
        return choose(n);
    case Op::text:
        fail("cannot use a text as a number", 0, "compare it with a text");
    default:
        return truth_value(id);
    }
}

} // namespace corebox::expr
