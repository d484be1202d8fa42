// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf_machine.hpp"
#include <algorithm>
#include <cstring>
#include <string>

namespace corebox::test
{

namespace
{

constexpr std::size_t kStackBytes = 512, kScratchBytes = 4096, kMaxSteps = 1'000'000;

[[noreturn]] void refuse(const std::string& why) { throw Refused(why); }

std::size_t size_of(int code)
{
    switch (BPF_SIZE(code)) {
    case BPF_B:
        return 1;
    case BPF_H:
        return 2;
    case BPF_W:
        return 4;
    default:
        return 8;
    }
}

template <class Unsigned, class Signed>
bool compares(int op, Unsigned a, Unsigned b)
{
    const auto x = Signed(a), y = Signed(b);
    switch (op) {
    case BPF_JEQ:
        return a == b;
    case BPF_JNE:
        return a != b;
    case BPF_JGT:
        return a > b;
    case BPF_JGE:
        return a >= b;
    case BPF_JLT:
        return a < b;
    case BPF_JLE:
        return a <= b;
    case BPF_JSGT:
        return x > y;
    case BPF_JSGE:
        return x >= y;
    case BPF_JSLT:
        return x < y;
    case BPF_JSLE:
        return x <= y;
    case BPF_JSET:
        return (a & b) != 0;
    default:
        refuse("unknown jump");
    }
}

template <class T, class S>
T calculate(int op, T a, T b)
{
    constexpr T width = sizeof(T) * 8;
    switch (op) {
    case BPF_ADD:
        return a + b;
    case BPF_SUB:
        return a - b;
    case BPF_MUL:
        return a * b;
    case BPF_DIV:
        return b ? a / b : 0;
    case BPF_MOD:
        return b ? a % b : a;
    case BPF_OR:
        return a | b;
    case BPF_AND:
        return a & b;
    case BPF_XOR:
        return a ^ b;
    case BPF_NEG:
        return 0 - a;
    case BPF_LSH:
    case BPF_RSH:
    case BPF_ARSH:
        if (b >= width)
            refuse("a shift by " + std::to_string(b));
        return op == BPF_LSH ? a << b : op == BPF_RSH ? a >> b : T(S(a) >> b);
    default:
        refuse("unknown arithmetic");
    }
}

} // namespace

const BpfMachine::Register& BpfMachine::get(int reg) const
{
    if (r_[reg].kind == Kind::unknown)
        refuse("r" + std::to_string(reg) + " was never written");
    return r_[reg];
}

std::uint64_t BpfMachine::number(int reg) const
{
    if (get(reg).kind != Kind::number)
        refuse("r" + std::to_string(reg) + " is a pointer");
    return r_[reg].value;
}

std::span<std::byte> BpfMachine::bytes_of(const Register& base, std::uint64_t address,
                                          std::size_t size, bool to_write)
{
    const auto within = [&](std::span<std::byte> all, std::uint64_t begin) {
        if (address < begin || address - begin > all.size() ||
            size > all.size() - (address - begin))
            refuse("outside of where the pointer may point");
        return all.subspan(address - begin, size);
    };
    switch (base.kind) {
    case Kind::record:
        return within(record, kRecord);
    case Kind::stack:
        if (address % size && size <= 8)
            refuse("misaligned stack access");
        return within(stack_, kStack);
    case Kind::scratch:
        return within(scratch_, kScratch);
    case Kind::tables:
        if (to_write)
            refuse("writes a table");
        return within(std::as_writable_bytes(std::span(tables)), kTables);
    default:
        refuse("no memory to access directly");
    }
}

BpfMachine::Register BpfMachine::load(const Register& base, std::int32_t offset, std::size_t size)
{
    const std::uint64_t address = base.value + std::uint64_t(std::int64_t(offset));
    std::uint64_t value = 0;
    const auto to = std::as_writable_bytes(std::span(&value, 1)).first(size);
    if (base.kind == Kind::context) {
        if (base.value != kContext)
            refuse("dereference of modified ctx ptr");
        if (offset < 0 || std::size_t(offset) + size > context.size() ||
            std::size_t(offset) % size || (is_typed && size != 8))
            refuse("invalid bpf_context access");
        std::memcpy(&value, &context[std::size_t(offset)], size);
        const auto argument = std::size_t(offset) / 8;
        if (is_typed && argument < arguments.size() && arguments[argument])
            return {Kind::structure, value, value, arguments[argument]};
        return {Kind::number, value};
    }
    if (base.kind == Kind::structure) {
        const std::int64_t at = std::int64_t(address - base.origin);
        const std::int64_t found = at < 0 || !walk ? -1
                                                   : walk(std::uint32_t(base.structure),
                                                          std::uint32_t(at), std::uint32_t(size));
        if (found < 0)
            refuse("access beyond the end of a member");
        if (!read || !read(address, false, to))
            value = 0; // the exception table's
        return found > 0 ? Register{Kind::structure, value, value, found}
                         : Register{Kind::number, value};
    }
    const auto from = bytes_of(base, address, size, false);
    std::ranges::copy(from, to.begin());
    if (base.kind == Kind::stack) {
        const std::size_t at = address - kStack;
        for (std::size_t i = at; i < at + size; i++)
            if (!written_[i])
                refuse("invalid read from stack, never written");
        const Slot& slot = slots_[at / 8];
        if (slot.is_whole) {
            if (size != 8)
                refuse("invalid size of register fill");
            return slot.kept;
        }
    }
    return {Kind::number, value};
}

void BpfMachine::store(const Register& base, std::int32_t offset, std::size_t size,
                       const Register& value)
{
    const std::uint64_t address = base.value + std::uint64_t(std::int64_t(offset));
    const auto to = bytes_of(base, address, size, true);
    std::memcpy(to.data(), &value.value, size);
    if (base.kind == Kind::stack) {
        const std::size_t at = address - kStack;
        std::fill_n(written_.begin() + long(at), size, 1);
        slots_[at / 8] = {size == 8 && value.kind != Kind::number, value};
    } else if (value.kind != Kind::number && size != 8) {
        refuse("a part of a pointer is stored");
    }
}

void BpfMachine::compute(const bpf_insn& i)
{
    const bool is_half = BPF_CLASS(i.code) == BPF_ALU;
    const int op = BPF_OP(i.code);
    Register& to = r_[i.dst_reg];
    const Register from = op == BPF_NEG || op == BPF_END ? Register{Kind::number}
                          : BPF_SRC(i.code) == BPF_X
                              ? get(i.src_reg)
                              : Register{Kind::number, std::uint64_t(std::int64_t(i.imm))};
    if (i.dst_reg == 10)
        refuse("writes r10");
    if (op == BPF_MOV) {
        to = from;
        if (is_half) {
            if (from.kind != Kind::number)
                refuse("half of a pointer");
            to.value = std::uint32_t(from.value);
        }
        return;
    }
    get(i.dst_reg);
    if (op == BPF_END) {
        number(i.dst_reg);
        to.value = __builtin_bswap64(to.value) >> (64 - i.imm);
        return;
    }
    if (!is_half && op == BPF_ADD && to.kind != Kind::number && from.kind == Kind::number &&
        to.kind != Kind::map && to.kind != Kind::scratch_or_null) {
        to.value += from.value;
        return;
    }
    if (!is_half && op == BPF_ADD && to.kind == Kind::number && from.kind == Kind::tables) {
        const std::uint64_t index = to.value;
        to = from;
        to.value += index;
        return;
    }
    if (to.kind != Kind::number || from.kind != Kind::number)
        refuse("arithmetic on a pointer");
    to.value = is_half ? calculate<std::uint32_t, std::int32_t>(op, std::uint32_t(to.value),
                                                                std::uint32_t(from.value))
                       : calculate<std::uint64_t, std::int64_t>(op, to.value, from.value);
}

bool BpfMachine::jumps(const bpf_insn& i)
{
    const bool is_half = BPF_CLASS(i.code) == BPF_JMP32;
    const Register a = get(i.dst_reg);
    const Register b = BPF_SRC(i.code) == BPF_X
                           ? get(i.src_reg)
                           : Register{Kind::number, std::uint64_t(std::int64_t(i.imm))};
    if (is_half && (a.kind != Kind::number || b.kind != Kind::number))
        refuse("half of a pointer is compared");
    const int op = BPF_OP(i.code);
    if (a.kind == Kind::scratch_or_null && b.value == 0 && a.value != 0)
        r_[i.dst_reg].kind = Kind::scratch;
    return is_half ? compares<std::uint32_t, std::int32_t>(op, std::uint32_t(a.value),
                                                           std::uint32_t(b.value))
                   : compares<std::uint64_t, std::int64_t>(op, a.value, b.value);
}

// bpf_probe_read_* and their like for texts: r1 to, r2 bytes, r3 from.
void BpfMachine::copy(int helper)
{
    if (!has_reads)
        refuse("unknown func bpf_probe_read");
    const bool user = helper == BPF_FUNC_probe_read_user || helper == BPF_FUNC_probe_read_user_str;
    const bool is_text =
        helper == BPF_FUNC_probe_read_user_str || helper == BPF_FUNC_probe_read_kernel_str;
    const std::size_t size = number(2);
    if (size == 0)
        refuse("invalid zero-sized read");
    const Register to = get(1);
    // The helper's destination needs no alignment, only room.
    std::span<std::byte> room;
    if (to.kind == Kind::stack) {
        if (to.value < kStack || to.value - kStack + size > stack_.size())
            refuse("invalid stack access of a helper");
        const std::size_t at = to.value - kStack;
        room = std::span(stack_).subspan(at, size);
        std::fill_n(written_.begin() + long(at), size, 1);
        for (std::size_t i = at / 8; i <= (at + size - 1) / 8; i++)
            slots_[i] = {};
    } else {
        room = bytes_of(to, to.value, size, true);
    }
    const Register from = get(3);
    // What is not the kernel's or a process's memory, but the program's: readable all the same.
    const auto fetch = [&](std::uint64_t address, std::span<std::byte> bytes) {
        const auto own = [&](std::span<std::byte> all, std::uint64_t begin) {
            if (user || address < begin || address - begin > all.size() ||
                bytes.size() > all.size() - (address - begin))
                return false;
            std::ranges::copy(all.subspan(address - begin, bytes.size()), bytes.begin());
            return true;
        };
        return own(context, kContext) || own(record, kRecord) || own(stack_, kStack) ||
               (read && read(address, user, bytes));
    };
    std::uint64_t result = 0;
    if (!is_text) {
        if (!fetch(from.value, room)) {
            std::ranges::fill(room, std::byte{});
            result = std::uint64_t(-14);
        }
    } else {
        std::size_t length = 0;
        for (; length < size; length++) {
            if (!fetch(from.value + length, room.subspan(length, 1))) {
                result = std::uint64_t(-14);
                break;
            }
            if (room[length] == std::byte{})
                break;
        }
        if (result == 0) {
            length = std::min(length, size - 1);
            room[length] = std::byte{};
            // As strncpy_from_user_nofault() of mm/maccess.c.
            result = user && length == 0 ? 0 : length + 1;
        }
    }
    r_[0] = {Kind::number, result};
}

void BpfMachine::call(int number_of_helper)
{
    switch (number_of_helper) {
    case BPF_FUNC_map_lookup_elem:
        if (get(1).kind != Kind::map || r_[1].value != kScratchFd)
            refuse("no map to look up in");
        if (load(get(2), 0, 4).value != 0)
            refuse("the scratch has one value");
        r_[0] = {Kind::scratch_or_null, kScratch};
        break;
    case BPF_FUNC_probe_read_user:
    case BPF_FUNC_probe_read_kernel:
    case BPF_FUNC_probe_read_user_str:
    case BPF_FUNC_probe_read_kernel_str:
        copy(number_of_helper);
        break;
    case BPF_FUNC_get_current_task_btf: {
        const std::uint64_t address = helper ? helper(number_of_helper) : 0;
        r_[0] = {Kind::structure, address, address, task};
        break;
    }
    default:
        r_[0] = {Kind::number, helper ? helper(number_of_helper) : 0};
    }
    for (int i = 1; i <= 5; i++)
        r_[i] = {};
}

std::uint64_t BpfMachine::run(std::span<const bpf_insn> code)
{
    std::ranges::fill(r_, Register{});
    stack_.assign(kStackBytes, std::byte{0xa5});
    written_.assign(kStackBytes, 0);
    slots_.assign(kStackBytes / 8, {});
    scratch_.assign(kScratchBytes, std::byte{0x5a});
    r_[1] = {Kind::context, kContext};
    r_[2] = {Kind::record, kRecord};
    r_[3] = {Kind::number, record.size()};
    r_[10] = {Kind::stack, kStack + kStackBytes};
    steps = 0;
    for (std::size_t at = 0;; at++) {
        if (at >= code.size())
            refuse("runs beyond the end");
        if (++steps > kMaxSteps)
            refuse("does not end");
        const bpf_insn& i = code[at];
        switch (BPF_CLASS(i.code)) {
        case BPF_ALU:
        case BPF_ALU64:
            compute(i);
            break;
        case BPF_LDX:
            r_[i.dst_reg] = load(get(i.src_reg), i.off, size_of(i.code));
            break;
        case BPF_STX:
            store(get(i.dst_reg), i.off, size_of(i.code), get(i.src_reg));
            break;
        case BPF_ST:
            store(get(i.dst_reg), i.off, size_of(i.code),
                  {Kind::number, std::uint64_t(std::int64_t(i.imm))});
            break;
        case BPF_LD:
            if (i.src_reg == BPF_PSEUDO_MAP_FD)
                r_[i.dst_reg] = {Kind::map, std::uint64_t(i.imm)};
            else if (i.src_reg == BPF_PSEUDO_MAP_VALUE && i.imm == kTablesFd)
                r_[i.dst_reg] = {Kind::tables, kTables + std::uint32_t(code[at + 1].imm)};
            else if (i.src_reg == 0)
                r_[i.dst_reg] = {Kind::number,
                                 std::uint32_t(i.imm) | std::uint64_t(code[at + 1].imm) << 32};
            else
                refuse("unknown map");
            at++;
            break;
        default:
            if (i.code == (BPF_JMP | BPF_EXIT))
                return number(0);
            if (i.code == (BPF_JMP | BPF_CALL))
                call(i.imm);
            else if (i.code == (BPF_JMP | BPF_JA) || jumps(i))
                at += std::size_t(std::int64_t(i.off));
        }
    }
}

} // namespace corebox::test
