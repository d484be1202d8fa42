// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The generated code, run by bpf_machine.hpp, does what the evaluator does.
#include "base/error.hpp"
#include "expr/build.hpp"
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
        expr::Machine target = machine_of(kernel, typed, task_btf);
        target.arm64 = n % 5 == 0;
        const Generated generated = generate_test(code, test, target);
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

// With lockdown=confidentiality programs have what needs no helper, and say so of the rest.
TEST(ExprGenerate, WithoutReadsToo)
{
    std::mt19937_64 random(7);
    FakeKernel kernel;
    std::size_t refused = 0, ran = 0;
    for (int n = 0; n < 3000; n++) {
        Code code(kernel.types);
        RandomCode build(code, kernel, random);
        const NodeId test = build.test(int(random() % 3));
        expr::Machine target = machine_of(kernel, true, true);
        target.may_read = false;
        Generated generated;
        try {
            generated = generate_test(code, test, target);
        } catch (const Failure& failure) {
            ASSERT_NE(failure.message.find("lockdown"), failure.message.npos);
            refused++;
            continue;
        }
        kernel.shuffle(random);
        BpfMachine machine = kernel.machine(true);
        machine.tables = generated.tables;
        machine.has_reads = false;
        const Truth truth = expr::test(code, test, kernel.world());
        ASSERT_EQ(machine.run(generated.code), truth == Truth::yes ? kYes : kNo)
            << n << ": " << print(code, test) << "\n"
            << listing(generated.code);
        ran++;
    }
    EXPECT_GT(refused, 200u);
    EXPECT_GT(ran, 1000u);
}

// Instructions that a test executes that is false, as one that fails for most events. What they
// cost is in tests/bench.
TEST(ExprGenerate, FalseIsCheap)
{
    std::mt19937_64 random(7);
    FakeKernel kernel;
    Types& types = kernel.types;
    Code code(types);
    const TypeId u32 = types.integer(4, false), u64 = types.integer(8, false);
    const TypeId pointer = types.pointer_to(kernel.node, Space::kernel);
    const NodeId context = make_context(code), record = make_record(code);
    const auto false_test = [&](NodeId value) {
        return make_comparison(code, Op::equal, value,
                               make_constant(code, 0x12345, code[value].type));
    };
    const auto text_test = [&](Op op, NodeId text, std::string literal) {
        return code.add({.op = op,
                         .type = types.integer(4, true),
                         .a = text,
                         .value = code.add_text(std::move(literal))});
    };
    std::vector<NodeId> levels{make_load(code, context, 56, pointer, true)};
    for (int i = 0; i < 3; i++)
        levels.push_back(make_load(code, levels.back(), FakeKernel::kNext, pointer));
    const NodeId kernel_text = make_text(
        code, make_load(code, context, 8, types.pointer_to(types.character(), Space::kernel)), 0,
        0);
    const NodeId name = make_text(code, levels[0], FakeKernel::kName, 16);

    struct Case {
        const char* what;
        NodeId test;
        std::size_t typed, read; // at most
    };
    const Case cases[] = {
        {"argument", false_test(make_load(code, context, 32, u64)), 6, 6},
        {"thread", false_test(convert(code, make_helper(code, Helper::pid_tgid, u64), u32)), 6, 6},
        {"record", false_test(make_load(code, record, 0, u32)), 6, 6},
        {"one level", false_test(make_load(code, levels[0], 20, u32)), 9, 15},
        {"two levels", false_test(make_load(code, levels[1], 20, u32)), 11, 24},
        {"three levels", false_test(make_load(code, levels[2], 20, u32)), 13, 33},
        {"four levels", false_test(make_load(code, levels[3], 20, u32)), 15, 42},
        {"text of a structure", text_test(Op::text_equal, name, "another"), 10, 15},
        {"kernel text", text_test(Op::glob, kernel_text, "/nowhere/*"), 14, 14},
        {"pattern", text_test(Op::glob, kernel_text, "/nowhere/*.conf"), 16, 16},
    };
    kernel.shuffle(random);
    // All pointers are there, and no text is empty.
    const std::uint64_t text = kernel.base + 3000;
    for (std::size_t i = 0; i < 8; i++) {
        std::byte* one = &kernel.memory[i * FakeKernel::kSize];
        std::memcpy(one + FakeKernel::kNext, &kernel.base, 8);
        std::memcpy(one + FakeKernel::kName, "nginx", 6);
    }
    std::memcpy(&kernel.memory[3000], "/etc/passwd and more", 20);
    std::memcpy(&kernel.context[8], &text, 8);
    std::memcpy(&kernel.context[56], &kernel.base, 8);
    for (const Case& c : cases)
        for (const bool typed : {true, false}) {
            const Generated generated =
                generate_test(code, c.test, machine_of(kernel, typed, typed));
            BpfMachine machine = kernel.machine(typed);
            machine.tables = generated.tables;
            EXPECT_EQ(machine.run(generated.code), kNo) << c.what;
            EXPECT_LE(machine.steps, typed ? c.typed : c.read) << c.what << " " << typed << "\n"
                                                               << listing(generated.code);
        }
}

// A short text may mean an endless lot, as what is asked twice is computed twice.
TEST(ExprGenerate, RefusesWhatIsTooComplex)
{
    FakeKernel kernel;
    Code code(kernel.types);
    const TypeId type = kernel.types.integer(4, true);
    NodeId value = make_load(code, make_record(code), 0, type);
    for (int i = 0; i < 100; i++)
        value = make_and(code, make_comparison(code, Op::less, value, make_int(code, 1)),
                         make_comparison(code, Op::less, make_int(code, 0), value));
    EXPECT_THROW(side_of(code, value), Failure);
    EXPECT_THROW(generate_where(code, value, {}), Failure);
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
