// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Expressions of integers, from their text: what the evaluator and the generated code compute is
// what C says. A C compiler computes the same expressions; where C leaves them undefined (division
// by zero, shifts beyond the width), macros say what ours do.
#include "bpf_machine.hpp"
#include "expr/build.hpp"
#include "expr/evaluate.hpp"
#include "expr/generate.hpp"
#include "expr/parse.hpp"
#include <array>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <gtest/gtest.h>
#include <random>
#include <unistd.h>

namespace corebox::test
{

using namespace expr;

namespace
{

// The same expression for us and for the compiler.
struct Both {
    std::string ours, c;
};

struct Variable {
    const char* name;
    const char* type;
    unsigned bytes;
    bool is_signed;
};
constexpr Variable kVariables[] = {
    {"a", "signed char", 1, true}, {"b", "unsigned char", 1, false},
    {"c", "short", 2, true},       {"d", "unsigned short", 2, false},
    {"e", "int", 4, true},         {"f", "unsigned int", 4, false},
    {"g", "long", 8, true},        {"h", "unsigned long", 8, false},
};
constexpr std::size_t kExpressions = 1500, kWorlds = 4;

class RandomText
{
public:
    explicit RandomText(std::mt19937_64& random) : random_(random) {}
    Both number(int depth);
    Both test(int depth);

private:
    unsigned below(unsigned n) { return unsigned(random_() % n); }
    static Both join(const char* format, const Both& a, const Both& b = {}, const Both& c = {});

    std::mt19937_64& random_;
};

// $1, $2 and $3 in "OURS ; C".
Both RandomText::join(const char* format, const Both& a, const Both& b, const Both& c)
{
    Both out;
    std::string* to = &out.ours;
    for (const char* s = format; *s; s++) {
        if (*s == ';') {
            to = &out.c;
        } else if (*s == '$') {
            const Both& operand = s[1] == '1' ? a : s[1] == '2' ? b : c;
            *to += to == &out.ours ? operand.ours : operand.c;
            s++;
        } else {
            *to += *s;
        }
    }
    return out;
}

Both RandomText::number(int depth)
{
    constexpr const char* kLiterals[] = {"0",
                                         "1",
                                         "2",
                                         "7",
                                         "10",
                                         "255",
                                         "4096",
                                         "0x7fffffff",
                                         "2147483648",
                                         "0x80000000",
                                         "4294967295",
                                         "0xffffffff",
                                         "0x100000000",
                                         "9223372036854775807",
                                         "0x8000000000000000",
                                         "'a'",
                                         "3u",
                                         "5ul"};
    constexpr const char* kCasts[] = {"(int)",           "(unsigned int)",  "(long)",
                                      "(unsigned long)", "(short)",         "(unsigned char)",
                                      "(signed char)",   "(unsigned short)"};
    constexpr const char* kBinary[] = {"($1 + $2);($1 + $2)",
                                       "($1 - $2);($1 - $2)",
                                       "($1 * $2);($1 * $2)",
                                       "($1 / $2);DIV($1, $2)",
                                       "($1 % $2);MOD($1, $2)",
                                       "($1 & $2);($1 & $2)",
                                       "($1 | $2);($1 | $2)",
                                       "($1 ^ $2);($1 ^ $2)",
                                       "($1 << $2);SHL($1, $2)",
                                       "($1 >> $2);SHR($1, $2)",
                                       "($1 << ($2 & 7));SHL($1, ($2 & 7))"};
    if (depth == 0) {
        const std::string text = below(3) ? kVariables[below(std::size(kVariables))].name
                                          : kLiterals[below(std::size(kLiterals))];
        return {text, text};
    }
    switch (below(10)) {
    case 0:
        return join("(-$1);(-$1)", number(depth - 1));
    case 1:
        return join("(~$1);(~$1)", number(depth - 1));
    case 2: {
        const std::string cast = kCasts[below(std::size(kCasts))];
        return join(("(" + cast + "$1);(" + cast + "$1)").c_str(), number(depth - 1));
    }
    case 3:
        return join("($1 ? $2 : $3);(TRUTH($1) ? $2 : $3)", test(depth - 1), number(depth - 1),
                    number(depth - 1));
    case 4:
        return test(depth - 1);
    default:
        return join(kBinary[below(std::size(kBinary))], number(depth - 1), number(depth - 1));
    }
}

Both RandomText::test(int depth)
{
    constexpr const char* kTests[] = {"($1 < $2);TEST($1, <, $2)",   "($1 <= $2);TEST($1, <=, $2)",
                                      "($1 > $2);TEST($1, >, $2)",   "($1 >= $2);TEST($1, >=, $2)",
                                      "($1 == $2);TEST($1, ==, $2)", "($1 != $2);TEST($1, !=, $2)"};
    if (depth > 0) {
        switch (below(8)) {
        case 0:
            return join("($1 && $2);(TRUTH($1) && TRUTH($2))", test(depth - 1), number(depth - 1));
        case 1:
            return join("($1 || $2);(TRUTH($1) || TRUTH($2))", number(depth - 1), test(depth - 1));
        case 2:
            return join("(!$1);(!TRUTH($1))", number(depth - 1));
        default:
            break;
        }
    }
    const int down = std::max(depth - 1, 0);
    return join(kTests[below(std::size(kTests))], number(down), number(down));
}

constexpr std::string_view kMacros = R"(
#include <stdio.h>
static int missing;
#define TEST(a, op, b) ({ int m_ = missing; missing = 0; int r_ = (a) op (b); \
    r_ = missing ? 0 : r_; missing = m_; r_; })
#define TRUTH(a) TEST(a, !=, 0)
#define TYPE(a, b) __typeof__((a) + (b))
#define DIV(a, b) ({ TYPE(a, b) x_ = (a), y_ = (b), r_ = 0; \
    if (!y_) missing = 1; else if (y_ == (TYPE(a, b))-1 && (TYPE(a, b))-1 < 0) r_ = -x_; \
    else r_ = x_ / y_; r_; })
#define MOD(a, b) ({ TYPE(a, b) x_ = (a), y_ = (b), r_ = 0; \
    if (!y_) missing = 1; else if (y_ == (TYPE(a, b))-1 && (TYPE(a, b))-1 < 0) r_ = 0; \
    else r_ = x_ % y_; r_; })
#define SHL(a, b) ({ __typeof__(+(a)) x_ = (a); x_ << ((b) & (sizeof x_ * 8 - 1)); })
#define SHR(a, b) ({ __typeof__(+(a)) x_ = (a); x_ >> ((b) & (sizeof x_ * 8 - 1)); })
)";

using World = std::array<std::uint64_t, std::size(kVariables)>;

std::string program(const std::vector<Both>& expressions, const std::vector<World>& worlds)
{
    std::string out(kMacros);
    for (const Variable& v : kVariables)
        out += std::string("static ") + v.type + " " + v.name + ";\n";
    for (std::size_t i = 0; i < expressions.size(); i++)
        out +=
            "static long f" + std::to_string(i) + "(void) { return " + expressions[i].c + "; }\n";
    out += "static long (*const all[])(void) = {";
    for (std::size_t i = 0; i < expressions.size(); i++)
        out += "f" + std::to_string(i) + ", ";
    out += "};\nint main(void)\n{\n";
    for (const World& world : worlds) {
        for (std::size_t i = 0; i < world.size(); i++)
            out += std::string(kVariables[i].name) + " = " + std::to_string(world[i]) + "ul; ";
        out += "for (int i = 0; i < " + std::to_string(expressions.size()) +
               "; i++) { missing = 0; long r = all[i](); printf(\"%ld %d\\n\", r, missing); }\n";
    }
    return out + "}\n";
}

struct Files {
    Files() = default;
    ~Files()
    {
        for (const char* kind : {"", ".c", ".out"})
            std::remove((name + kind).c_str());
    }
    Files(const Files&) = delete;
    Files& operator=(const Files&) = delete;
    const std::string name = testing::TempDir() + "expr_arithmetic." + std::to_string(::getpid());
};

TEST(ExprArithmetic, IsAsInC)
{
    if (std::system("gcc --version >/dev/null 2>&1"))
        GTEST_SKIP() << "no gcc here";
    std::mt19937_64 random(5);
    RandomText text(random);
    std::vector<Both> expressions;
    for (std::size_t i = 0; i < kExpressions; i++)
        expressions.push_back(text.number(int(1 + random() % 4)));
    std::vector<World> worlds(kWorlds);
    for (World& world : worlds)
        for (std::uint64_t& value : world)
            value = random() % 3 ? random() >> (random() % 64) : 0 - random() % 4;

    const Files files;
    const std::string& file = files.name;
    std::ofstream(file + ".c") << program(expressions, worlds);
    ASSERT_EQ(std::system(("gcc -w -O0 -fwrapv " + file + ".c -o " + file + " && " + file + " > " +
                           file + ".out")
                              .c_str()),
              0)
        << file << ".c";
    std::ifstream results(file + ".out");

    Types types;
    Names names;
    names.find = [&](Code& code, std::string_view name) {
        for (std::size_t i = 0; i < std::size(kVariables); i++)
            if (name == kVariables[i].name)
                return make_load(code, make_record(code), std::int64_t(i * 8),
                                 types.integer(kVariables[i].bytes, kVariables[i].is_signed));
        return NodeId::none;
    };
    std::size_t missing = 0, refused = 0;
    for (const World& world : worlds) {
        BpfMachine machine;
        machine.context.resize(8);
        machine.record.resize(world.size() * 8 + 8);
        std::memcpy(machine.record.data(), world.data(), sizeof world);
        for (const Both& expression : expressions) {
            std::int64_t value = 0;
            int is_missing = 0;
            results >> value >> is_missing;
            ASSERT_TRUE(results);
            missing += is_missing;
            const auto expected = is_missing ? std::nullopt : std::optional(value);

            Code code(types);
            NodeId node{};
            try {
                node = parse_value(code, names, expression.ours).node;
            } catch (const TextError& error) {
                ASSERT_STREQ(error.what(), "division by zero"); // a constant's
                refused++;
                continue;
            }
            const expr::World here{.record = machine.record};
            ASSERT_EQ(compute(code, node, here), expected) << expression.ours;

            Assembler out;
            Generator generator(code, {}, out);
            const Label none = out.new_label();
            out.move(6, 1);
            out.move(7, 2);
            generator.value(node, none);
            out.store(8, 7, std::int32_t(world.size() * 8), 0);
            out.move(0, std::int64_t(1));
            out.exit();
            out.bind(none);
            out.move(0, std::int64_t(0));
            out.exit();
            std::optional<std::int64_t> got;
            if (machine.run(out.finish()))
                std::memcpy(&got.emplace(), &machine.record[world.size() * 8], 8);
            ASSERT_EQ(got, expected) << expression.ours;
        }
    }
    EXPECT_LT(refused, kExpressions * kWorlds / 10);
    EXPECT_GT(missing, kExpressions * kWorlds / 100);
}

} // namespace

} // namespace corebox::test
