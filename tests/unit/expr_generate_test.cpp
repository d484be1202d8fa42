// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The generated code, run by bpf_machine.hpp, does what the evaluator does.
#include "base/error.hpp"
#include "expr/glob.hpp"
#include "expr_print.hpp"
#include "expr_world.hpp"
#include <cstring>
#include <fnmatch.h>
#include <gtest/gtest.h>

namespace corebox::test
{

using namespace expr;

namespace
{

enum Result : std::uint64_t { kNo, kYes, kUndecided };

struct Generated {
    std::vector<bpf_insn> code;
    std::vector<std::uint64_t> tables;
    unsigned stack = 0;
};

expr::Machine machine_of(const FakeKernel& kernel, bool typed, bool task_btf)
{
    expr::Machine m;
    m.typed = typed;
    m.task_btf = task_btf;
    m.scratch_fd = BpfMachine::kScratchFd;
    m.tables_fd = BpfMachine::kTablesFd;
    m.structs.walk = [&](auto... arguments) { return kernel.walk(arguments...); };
    return m;
}

// r0: which of the three.
Generated generate_test(const Code& code, NodeId test, const expr::Machine& machine)
{
    Assembler out;
    Generator generator(code, machine, out);
    const Label yes = out.new_label(), no = out.new_label(), undecided = out.new_label();
    out.move(6, 1);
    out.move(7, 2);
    generator.condition(test, yes, no, undecided);
    for (const auto& [label, result] : {std::pair(yes, kYes), {no, kNo}, {undecided, kUndecided}}) {
        out.bind(label);
        out.move(0, std::int64_t(result));
        out.exit();
    }
    const auto tables = generator.tables();
    return {out.finish(), {tables.begin(), tables.end()}, generator.stack_bytes()};
}

std::string listing(std::span<const bpf_insn> code)
{
    std::string out;
    char line[80];
    for (std::size_t at = 0; at < code.size(); at++) {
        const bpf_insn& i = code[at];
        std::snprintf(line, sizeof line, "%4zu: %02x r%d r%d %+d %#x\n", at, i.code, i.dst_reg,
                      i.src_reg, i.off, unsigned(i.imm));
        out += line;
    }
    return out;
}

TEST(ExprGenerate, RandomTestsAreAsEvaluated)
{
    std::mt19937_64 random(20261130);
    FakeKernel kernel;
    std::size_t results[3] = {}, undecided_by_kernel = 0;
    unsigned stack = 0;
    for (int n = 0; n < 10'000; n++) {
        Code code(kernel.types);
        RandomCode build(code, kernel, random);
        build.with_user_space = n % 4 == 0;
        const NodeId test = build.test(int(random() % 4));
        const bool typed = n % 2, task_btf = n % 3;
        const Generated generated = generate_test(code, test, machine_of(kernel, typed, task_btf));
        stack = std::max(stack, generated.stack);
        for (int world = 0; world < 3; world++) {
            kernel.shuffle(random);
            BpfMachine machine = kernel.machine(typed);
            machine.tables = generated.tables;
            const Truth truth = expr::test(code, test, kernel.world());
            const std::uint64_t expected = truth == Truth::yes  ? kYes
                                           : truth == Truth::no ? kNo
                                                                : kUndecided;
            results[expected]++;
            std::uint64_t got = 0;
            try {
                got = machine.run(generated.code);
            } catch (const Refused& refused) {
                FAIL() << n << ": " << refused.what() << "\n"
                       << print(code, test) << "\n"
                       << listing(generated.code);
            }
            if (got == kUndecided && expected != kUndecided &&
                side_of(code, test) != Side::kernel) {
                undecided_by_kernel++;
                continue;
            }
            ASSERT_EQ(got, expected) << n << ": " << print(code, test) << "\n"
                                     << listing(generated.code);
        }
    }
    EXPECT_GT(results[kYes], 5000u);
    EXPECT_GT(results[kNo], 5000u);
    EXPECT_GT(results[kUndecided], 500u);
    EXPECT_LT(undecided_by_kernel, 3000u);
    EXPECT_LE(stack, 256u);
}

TEST(ExprGenerate, RandomValuesAreAsEvaluated)
{
    std::mt19937_64 random(13);
    FakeKernel kernel;
    std::size_t missing = 0;
    for (int n = 0; n < 10'000; n++) {
        Code code(kernel.types);
        RandomCode build(code, kernel, random);
        const NodeId value = build.number(int(random() % 5), build.type());
        const bool typed = n % 2;
        Assembler out;
        const expr::Machine target = machine_of(kernel, typed, n % 3);
        Generator generator(code, target, out);
        const Label none = out.new_label();
        out.move(6, 1);
        out.move(7, 2);
        generator.value(value, none);
        out.store(8, 7, 504, 0);
        out.move(0, std::int64_t(1));
        out.exit();
        out.bind(none);
        out.move(0, std::int64_t(0));
        out.exit();
        const auto bytes = out.finish();
        kernel.shuffle(random);
        BpfMachine machine = kernel.machine(typed);
        machine.tables.assign(generator.tables().begin(), generator.tables().end());
        std::optional<std::int64_t> got;
        try {
            if (machine.run(bytes))
                std::memcpy(&got.emplace(), &machine.record[504], 8);
        } catch (const Refused& refused) {
            FAIL() << n << ": " << refused.what() << "\n"
                   << print(code, value) << "\n"
                   << listing(bytes);
        }
        const auto expected = compute(code, value, kernel.world());
        missing += !expected;
        if (!got && side_of(code, value) != Side::kernel)
            continue;
        ASSERT_EQ(got, expected) << n << ": " << print(code, value) << "\n" << listing(bytes);
    }
    EXPECT_GT(missing, 500u);
    EXPECT_LT(missing, 6000u);
}

TEST(ExprGlob, IsAsFnmatch)
{
    std::mt19937_64 random(1);
    const auto some = [&](const char* characters, std::size_t length) {
        std::string text;
        for (std::size_t n = random() % (length + 1); n > 0; n--)
            text += characters[random() % std::strlen(characters)];
        return text;
    };
    std::size_t matched = 0;
    for (int n = 0; n < 100'000; n++) {
        const std::string pattern = some("ab*?[]!-^c\\", 8), text = some("aabc[]-!\\^", 8);
        const bool expected = ::fnmatch(pattern.c_str(), text.c_str(), FNM_NOESCAPE) == 0;
        matched += expected;
        ASSERT_EQ(Glob(pattern).matches(text), expected) << pattern << " " << text;
    }
    EXPECT_GT(matched, 2000u);
}

} // namespace

} // namespace corebox::test
