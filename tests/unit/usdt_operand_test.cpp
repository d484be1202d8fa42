// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Operands of USDT probes: every form that Debian's programs have (5,995 of amd64, and arm64's),
// and those that compilers may write.
#include "probe/usdt_operand.hpp"
#include <gtest/gtest.h>

namespace
{

using namespace corebox;

usdt_operand parse(std::string_view text, Isa isa = Isa::x86_64,
                   const SymbolDistance& distance = {})
{
    const auto arguments = usdt_arguments(text);
    return arguments.size() == 1 ? parse_operand(arguments[0], isa, distance) : usdt_operand{};
}

struct Expected {
    std::string_view text;
    usdt_kind kind;
    int size; // negative: signed
    std::int64_t offset = 0;
    int base = 0, index = 0, scale = 0, shift = 0;
};

void expect(const Expected& e, Isa isa, const SymbolDistance& distance = {})
{
    const usdt_operand o = parse(e.text, isa, distance);
    EXPECT_EQ(int(o.kind), int(e.kind)) << e.text;
    EXPECT_EQ(o.is_signed ? -int(o.size) : int(o.size), e.size) << e.text;
    EXPECT_EQ(o.offset, e.offset) << e.text;
    EXPECT_EQ(int(o.base), e.base) << e.text;
    EXPECT_EQ(int(o.index), e.index) << e.text;
    EXPECT_EQ(int(o.scale), e.scale) << e.text;
    EXPECT_EQ(int(o.shift), e.shift) << e.text;
}

// Places in struct pt_regs (arch/x86/include/asm/ptrace.h).
constexpr int kR13 = 16, kRbp = 32, kRbx = 40, kRax = 80, kRcx = 88, kRdi = 112, kRsp = 152;

TEST(UsdtOperand, X86)
{
    for (const Expected& e : {
             Expected{"8@%rbx", USDT_REGISTER, 8, 0, kRbx},
             {"-4@%eax", USDT_REGISTER, -4, 0, kRax},
             {"1@%dil", USDT_REGISTER, 1, 0, kRdi},
             {"-2@%r13w", USDT_REGISTER, -2, 0, kR13},
             {"1@%ah", USDT_REGISTER, 1, 0, kRax, 0, 0, 8},
             {"%rdi", USDT_REGISTER, 8, 0, kRdi},
             {"8@16(%rsp)", USDT_MEMORY, 8, 16, kRsp},
             {"-4@-60(%rbp)", USDT_MEMORY, -4, -60, kRbp},
             {"8@(%rsp)", USDT_MEMORY, 8, 0, kRsp},
             {"4@0(%r13)", USDT_MEMORY, 4, 0, kR13},
             {"8@-8(%rbp,%rcx,4)", USDT_MEMORY, 8, -8, kRbp, kRcx, 4},
             {"4@(%rax,%rcx)", USDT_MEMORY, 4, 0, kRax, kRcx, 1},
             {"8@0x10(,%rax,8)", USDT_MEMORY, 8, 16, USDT_NO_BASE, kRax, 8},
             {"-4@$1", USDT_CONSTANT, -4, 1},
             {"4@$-1", USDT_CONSTANT, 4, -1},
             {"8@$0x7f", USDT_CONSTANT, 8, 127},
             {"8@$18446744073709551615", USDT_CONSTANT, 8, -1},
         })
        expect(e, Isa::x86_64);
}

// By how far the symbol lies from the probe.
TEST(UsdtOperand, X86Symbols)
{
    const SymbolDistance distance = [](std::string_view name) {
        return name == "NBuffers" ? std::optional<std::int64_t>(-4096) : std::nullopt;
    };
    expect({"-4@NBuffers(%rip)", USDT_RELATIVE, -4, -4096}, Isa::x86_64, distance);
    expect({"-4@40+NBuffers(%rip)", USDT_RELATIVE, -4, -4056}, Isa::x86_64, distance);
    expect({"8@NBuffers-8(%rip)", USDT_RELATIVE, 8, -4104}, Isa::x86_64, distance);
    // libc's mp_ is in no table: the probe can be counted, the argument not be read.
    EXPECT_EQ(parse("8@32+mp_(%rip)", Isa::x86_64, distance).kind, USDT_NONE);
    EXPECT_EQ(parse("-4@NBuffers(%rip)").kind, USDT_NONE);
}

TEST(UsdtOperand, Arm64)
{
    constexpr int kSp = 31 * 8;
    for (const Expected& e : {
             Expected{"8@x22", USDT_REGISTER, 8, 0, 22 * 8},
             {"-4@x28", USDT_REGISTER, -4, 0, 28 * 8},
             {"4@w3", USDT_REGISTER, 4, 0, 3 * 8},
             {"8@sp", USDT_REGISTER, 8, 0, kSp},
             {"8@[sp, 224]", USDT_MEMORY, 8, 224, kSp},
             {"4@[x0, 60]", USDT_MEMORY, 4, 60, 0},
             {"4@[x20]", USDT_MEMORY, 4, 0, 20 * 8},
             {"4@[x0, #-8]", USDT_MEMORY, 4, -8, 0},
             {"8@[x1, x2]", USDT_MEMORY, 8, 0, 8, 16, 1},
             {"8@[x1, x2, lsl #3]", USDT_MEMORY, 8, 0, 8, 16, 8},
             {"-4@1", USDT_CONSTANT, -4, 1},
             {"4@-1", USDT_CONSTANT, 4, -1},
             {"4@#12", USDT_CONSTANT, 4, 12},
         })
        expect(e, Isa::arm64);
}

// What is of no form above is never read as something else.
TEST(UsdtOperand, WhatCannotBeRead)
{
    for (const char* text : {"8@%xmm0", "16@%rax", "3@%rax", "8@", "8@%", "8@$", "8@$x", "8@(%rax",
                             "8@()", "8@8(%xmm1)", "8@(%rax,%rcx,3)", "8@(%rax,%rcx,8,1)", "8@name",
                             "8@name(%rax)", "8@-name(%rip)", "8@x1"})
        EXPECT_EQ(parse(text).kind, USDT_NONE) << text;
    for (const char* text : {"8@x31", "8@d0", "8@[x0", "8@[]", "8@[x0, w1, uxtw #2]",
                             "8@[x0, x1, lsl #4]", "8@%rax", "8@[x0, 8, 8]"})
        EXPECT_EQ(parse(text, Isa::arm64).kind, USDT_NONE) << text;
}

} // namespace
