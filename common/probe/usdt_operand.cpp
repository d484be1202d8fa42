// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe/usdt_operand.hpp"
#include "base/text.hpp"
#include <algorithm>
#include <array>
#include <cstring>
#include <elf.h>

namespace corebox
{
namespace
{

struct Register {
    std::uint16_t place; // in struct pt_regs
    std::uint8_t shift = 0;
};

// In the order of struct pt_regs (arch/x86/include/asm/ptrace.h): names of 8, 4, 2 and 1 bytes.
constexpr std::array<std::array<std::string_view, 4>, 15> kX86 = {{
    {"r15", "r15d", "r15w", "r15b"},
    {"r14", "r14d", "r14w", "r14b"},
    {"r13", "r13d", "r13w", "r13b"},
    {"r12", "r12d", "r12w", "r12b"},
    {"rbp", "ebp", "bp", "bpl"},
    {"rbx", "ebx", "bx", "bl"},
    {"r11", "r11d", "r11w", "r11b"},
    {"r10", "r10d", "r10w", "r10b"},
    {"r9", "r9d", "r9w", "r9b"},
    {"r8", "r8d", "r8w", "r8b"},
    {"rax", "eax", "ax", "al"},
    {"rcx", "ecx", "cx", "cl"},
    {"rdx", "edx", "dx", "dl"},
    {"rsi", "esi", "si", "sil"},
    {"rdi", "edi", "di", "dil"},
}};
constexpr std::uint16_t kX86Ip = 16 * 8, kX86Sp = 19 * 8;
constexpr std::uint16_t kArmSp = 31 * 8; // struct user_pt_regs: x0 to x30, sp

std::optional<Register> find_register(std::string_view name, Isa isa)
{
    if (isa == Isa::arm64) {
        if (name == "sp" || name == "wsp")
            return Register{kArmSp};
        if (name == "fp")
            name = "x29";
        if (name == "lr")
            name = "x30";
        if (name.size() < 2 || (name[0] != 'x' && name[0] != 'w'))
            return std::nullopt;
        const auto number = to_number<std::uint16_t>(name.substr(1));
        return number && *number <= 30 ? std::optional(Register{std::uint16_t(*number * 8)})
                                       : std::nullopt;
    }
    if (name == "rip")
        return Register{kX86Ip};
    if (name == "rsp" || name == "esp" || name == "sp" || name == "spl")
        return Register{kX86Sp};
    for (std::size_t i = 0; i < kX86.size(); i++)
        if (std::ranges::find(kX86[i], name) != kX86[i].end())
            return Register{std::uint16_t(i * 8)};
    constexpr std::pair<std::string_view, std::string_view> kHigh[] = {
        {"ah", "rax"}, {"bh", "rbx"}, {"ch", "rcx"}, {"dh", "rdx"}};
    for (const auto& [high, whole] : kHigh)
        if (name == high)
            return Register{find_register(whole, isa)->place, 8};
    return std::nullopt;
}

std::string_view trim(std::string_view s)
{
    const auto first = s.find_first_not_of(" \t");
    return first == s.npos ? "" : s.substr(first, s.find_last_not_of(" \t") - first + 1);
}

// "5", "-0x10", "18446744073709551615".
std::optional<std::int64_t> parse_number(std::string_view text)
{
    const bool negative = text.starts_with('-');
    text.remove_prefix(negative || text.starts_with('+') ? 1 : 0);
    const bool hex = text.starts_with("0x") || text.starts_with("0X");
    const auto value = to_number<std::uint64_t>(text.substr(hex ? 2 : 0), hex ? 16 : 10);
    if (!value)
        return std::nullopt;
    return std::int64_t(negative ? 0 - *value : *value);
}

// "40+name", "name-8", "name+4+4", "16", "": the sum of its numbers, and its one name.
struct Sum {
    std::int64_t number = 0;
    std::string_view name{};
};
std::optional<Sum> parse_sum(std::string_view text)
{
    Sum sum;
    while (!text.empty()) {
        const auto end = std::min(text.find_first_of("+-", 1), text.size());
        const std::string_view part = text.substr(0, end);
        text.remove_prefix(end);
        if (const auto number = parse_number(part)) {
            sum.number += *number;
            continue;
        }
        if (!sum.name.empty() || part.starts_with('-'))
            return std::nullopt;
        sum.name = part.substr(part.starts_with('+') ? 1 : 0);
    }
    return sum;
}

void set_constant(usdt_operand& out, std::int64_t value)
{
    out.kind = USDT_CONSTANT;
    out.offset = value;
}

void set_register(usdt_operand& out, Register r)
{
    out.kind = USDT_REGISTER;
    out.base = r.place;
    out.shift = r.shift;
}

// "DISPLACEMENT(%BASE,%INDEX,SCALE)"; false: it is none.
bool parse_x86_memory(usdt_operand& out, std::string_view text, const SymbolDistance& distance)
{
    const auto open = text.find('(');
    if (open == text.npos || !text.ends_with(')'))
        return false;
    const auto sum = parse_sum(trim(text.substr(0, open)));
    const auto parts = split(text.substr(open + 1, text.size() - open - 2), ',');
    if (!sum || parts.empty() || parts.size() > 3)
        return false;
    const auto at = [](std::string_view name) -> std::optional<Register> {
        name = trim(name);
        return name.starts_with('%') ? find_register(name.substr(1), Isa::x86_64) : std::nullopt;
    };
    out.offset = sum->number;
    if (trim(parts[0]) == "%rip") {
        const auto far = distance && !sum->name.empty() ? distance(sum->name) : std::nullopt;
        out.kind = USDT_RELATIVE;
        out.offset += far.value_or(0);
        return far && parts.size() == 1;
    }
    if (!sum->name.empty()) // an absolute address
        return false;
    out.kind = USDT_MEMORY;
    out.base = USDT_NO_BASE;
    if (!trim(parts[0]).empty()) {
        const auto base = at(parts[0]);
        if (!base)
            return false;
        out.base = base->place;
    }
    if (parts.size() == 1)
        return out.base != USDT_NO_BASE;
    const auto index = at(parts[1]);
    const auto scale = parts.size() == 3 ? to_number<std::uint8_t>(trim(parts[2])) : 1;
    if (!index || !scale || (*scale != 1 && *scale != 2 && *scale != 4 && *scale != 8))
        return false;
    out.index = index->place;
    out.scale = *scale;
    return true;
}

// "[BASE]", "[BASE, OFFSET]", "[BASE, INDEX]", "[BASE, INDEX, lsl #N]".
bool parse_arm_memory(usdt_operand& out, std::string_view text)
{
    const auto parts = split(text.substr(1, text.size() - 2), ',');
    const auto base = parts.empty() ? std::nullopt : find_register(trim(parts[0]), Isa::arm64);
    if (!base || parts.size() > 3)
        return false;
    out.kind = USDT_MEMORY;
    out.base = base->place;
    if (parts.size() == 1)
        return true;
    std::string_view second = trim(parts[1]);
    // An index of 4 bytes would have to be extended.
    const auto index = second.starts_with('x') ? find_register(second, Isa::arm64) : std::nullopt;
    if (!index) {
        second.remove_prefix(second.starts_with('#') ? 1 : 0);
        const auto number = parse_number(second);
        out.offset = number.value_or(0);
        return number && parts.size() == 2;
    }
    out.index = index->place;
    out.scale = 1;
    if (parts.size() == 2)
        return true;
    const std::string_view third = trim(parts[2]);
    const auto shift = third.starts_with("lsl #") || third.starts_with("LSL #")
                           ? to_number<std::uint8_t>(third.substr(5))
                           : std::nullopt;
    if (!shift || *shift > 3)
        return false;
    out.scale = std::uint8_t(1 << *shift);
    return true;
}

bool parse_into(usdt_operand& out, std::string_view text, Isa isa, const SymbolDistance& distance)
{
    const bool is_x86 = isa == Isa::x86_64;
    if (is_x86 && text.starts_with('%')) {
        const auto r = find_register(text.substr(1), isa);
        if (r)
            set_register(out, *r);
        return r.has_value();
    }
    if (is_x86 && !text.starts_with('$'))
        return parse_x86_memory(out, text, distance);
    if (!is_x86 && text.starts_with('[') && text.ends_with(']'))
        return parse_arm_memory(out, text);
    if (!is_x86)
        if (const auto r = find_register(text, isa)) {
            set_register(out, *r);
            return true;
        }
    const auto number = parse_number(text.substr(is_x86 || text.starts_with('#') ? 1 : 0));
    if (number)
        set_constant(out, *number);
    return number.has_value();
}

} // namespace

usdt_operand parse_operand(const UsdtArgument& argument, Isa isa, const SymbolDistance& distance)
{
    usdt_operand out{};
    const int size = argument.size < 0 ? -argument.size : argument.size;
    out.is_signed = argument.size < 0;
    out.size = std::uint8_t(size == 0 ? 8 : size); // not told: a whole register
    const bool known = out.size == 1 || out.size == 2 || out.size == 4 || out.size == 8;
    if (!known || size > 8 || !parse_into(out, trim(argument.operand), isa, distance))
        return {};
    return out;
}

namespace
{

constexpr std::size_t kMaxTable = 64u << 20;

// The ELF address of a variable; the symbols of functions alone are what ElfFile lists.
std::optional<std::uint64_t> find_variable(const ElfFile& file, std::string_view name)
{
    constexpr std::pair<const char*, const char*> kTables[] = {{".dynsym", ".dynstr"},
                                                               {".symtab", ".strtab"}};
    for (const auto& [symbols, strings] : kTables) {
        const auto table = file.section(symbols, kMaxTable),
                   text = file.section(strings, kMaxTable);
        for (std::size_t at = 0; table && text && at + sizeof(Elf64_Sym) <= table->size();
             at += sizeof(Elf64_Sym)) {
            Elf64_Sym symbol;
            std::memcpy(&symbol, table->data() + at, sizeof symbol);
            if (symbol.st_shndx == SHN_UNDEF || symbol.st_name >= text->size())
                continue;
            const std::string_view rest = std::string_view(*text).substr(symbol.st_name);
            if (rest.substr(0, rest.find('\0')) == name)
                return symbol.st_value;
        }
    }
    return std::nullopt;
}

} // namespace

usdt_site parse_site(const ElfFile& file, const UsdtNote& note)
{
    const SymbolDistance distance = [&](std::string_view symbol) -> std::optional<std::int64_t> {
        const auto variable = find_variable(file, symbol);
        for (const Segment& s : file.segments())
            if (variable && s.executable && note.offset >= s.offset &&
                note.offset - s.offset < s.file_size)
                return std::int64_t(*variable - (note.offset - s.offset + s.address));
        return std::nullopt;
    };
    usdt_site site{};
    std::size_t n = 0;
    for (const UsdtArgument& argument : usdt_arguments(note.arguments))
        if (n < USDT_ARGUMENTS)
            site.arguments[n++] = parse_operand(argument, kThisIsa, distance);
    return site;
}

} // namespace corebox
