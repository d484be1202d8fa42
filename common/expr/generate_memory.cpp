// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Memory: the stack, what pointers point to, loads.
#include "base/error.hpp"
#include "expr/generate_impl.hpp"
#include <algorithm>

namespace corebox::expr
{

namespace
{

constexpr int kContext = 6, kRecord = 7;
// Above are error codes (include/linux/err.h).
constexpr std::int32_t kLastAddress = -4096;

} // namespace

void Generator::Impl::use_stack(int bytes)
{
    if (unsigned(bytes) > kMaxStack)
        fail("cannot generate code for the expression: it needs too many values at once", 0,
             "use a simpler expression");
    stack_ = std::max(stack_, unsigned(bytes));
}

int Generator::Impl::hold()
{
    const int slot = held_++;
    if (slot < 2) {
        out_.move(8 + slot, 0);
    } else {
        const int offset = kText - 8 * (slot - 1);
        use_stack(-offset);
        out_.store(8, kFrame, offset, 0);
    }
    return slot;
}

void Generator::Impl::peek(int slot, int reg)
{
    if (slot < 2)
        out_.move(reg, 8 + slot);
    else
        out_.load(8, reg, kFrame, kText - 8 * (slot - 1));
}

// Lockdown: programs with these helpers do not load.
void Generator::Impl::require_reading() const
{
    if (!machine_.may_read)
        fail("cannot read what the expression points to: the kernel's lockdown forbids it", 0,
             "use arguments, members of structures that fentry, fexit or tp_btf probes know, or "
             "columns");
}

void Generator::Impl::call_by_space(int kernel, int user, Space space)
{
    if (space != Space::unknown) {
        out_.call(space == Space::kernel ? kernel : user);
        return;
    }
    // The address tells: its sign, or bit 55 where the upper byte may be a tag.
    const Label in_kernel = out_.new_label(), done = out_.new_label();
    if (machine_.arm64) {
        out_.move(4, 3);
        out_.alu_imm(BPF_LSH, 4, 8);
    }
    out_.jump_if_imm(BPF_JSLT, machine_.arm64 ? 4 : 3, 0, in_kernel);
    out_.call(user);
    out_.jump(done);
    out_.bind(in_kernel);
    out_.call(kernel);
    out_.bind(done);
}

void Generator::Impl::read(std::uint32_t bytes, Space space, Label failed)
{
    require_reading();
    out_.move(2, std::int64_t(bytes));
    call_by_space(BPF_FUNC_probe_read_kernel, BPF_FUNC_probe_read_user, space);
    out_.jump_if_imm(BPF_JNE, 0, 0, failed);
}

void Generator::Impl::read_text(std::uint32_t bytes, Space space, Label failed)
{
    require_reading();
    out_.move(2, std::int64_t(bytes));
    call_by_space(BPF_FUNC_probe_read_kernel_str, BPF_FUNC_probe_read_user_str, space);
    out_.jump_if_imm(BPF_JSLT, 0, 0, failed);
}

void Generator::Impl::stack_address(int reg, int offset)
{
    use_stack(-offset);
    out_.move(reg, kFrame);
    out_.alu_imm(BPF_ADD, reg, offset);
}

void Generator::Impl::add_offset(int reg, std::int64_t offset)
{
    if (fits(offset)) {
        if (offset)
            out_.alu_imm(BPF_ADD, reg, std::int32_t(offset));
    } else {
        out_.move(2, offset);
        out_.alu(BPF_ADD, reg, 2);
    }
}

void Generator::Impl::scratch_value(Label failed)
{
    uses_scratch_ = true;
    stack_address(2, kSlot);
    out_.store_imm(4, kFrame, kSlot, 0);
    out_.map(1, machine_.scratch_fd);
    out_.call(BPF_FUNC_map_lookup_elem);
    out_.jump_if_imm(BPF_JEQ, 0, 0, failed);
}

void Generator::Impl::make_pointer(const Place& p, int reg, bool test_error)
{
    make(p.pointer, reg);
    const Node& n = node(p.pointer);
    if (n.op == Op::helper && n.helper == Helper::task)
        return;
    out_.jump_if_imm(BPF_JEQ, reg, 0, exits_.missing);
    // A plain load through an error code gives 0, helpers fail.
    if (test_error && trait(p.pointer).from_context)
        out_.jump_if_imm(BPF_JGT, reg, kLastAddress, exits_.missing);
}

void Generator::Impl::make_address(const Place& p, int reg)
{
    if (p.base == Place::Base::pointer) {
        make_pointer(p, trait(p.pointer).is_linear ? reg : 0, false);
        if (reg != 0 && !trait(p.pointer).is_linear)
            out_.move(reg, 0);
    } else {
        out_.move(reg, p.base == Place::Base::record ? kRecord : kContext);
    }
    add_offset(reg, p.offset);
}

Generator::Impl::Made Generator::Impl::load(const Node& n, int reg)
{
    const Type& t = code_.types()[n.type];
    const Place p = place(n.a, n.value);
    const Word w = word(n, p);
    if (is_plain(p, w, t, n.trusted)) {
        int base = p.base == Place::Base::record ? kRecord : kContext;
        if (p.base == Place::Base::pointer)
            make_pointer(p, base = trait(p.pointer).is_linear ? reg : 0, true);
        out_.load(w.size, reg, base, std::int32_t(w.offset));
    } else {
        Place from = p;
        from.offset = w.offset;
        make_address(from, 3);
        stack_address(1, kSlot);
        read(w.size, p.space, exits_.missing);
        out_.load(w.size, reg, kFrame, kSlot);
    }
    if (!w.bits)
        return {t.size, t.is_signed, t.size == 8 || (w.size == t.size && !t.is_signed)};
    const auto above = std::int32_t(64 - w.bit - w.bits);
    if (!t.is_signed && w.bit == 0 && w.bits < 32) {
        out_.alu_imm(BPF_AND, reg, std::int32_t((1u << w.bits) - 1));
    } else if (w.bits < 64) {
        if (above)
            out_.alu_imm(BPF_LSH, reg, above);
        out_.alu_imm(t.is_signed ? BPF_ARSH : BPF_RSH, reg, std::int32_t(64 - w.bits));
    }
    return {t.size, t.is_signed, true};
}

} // namespace corebox::expr
