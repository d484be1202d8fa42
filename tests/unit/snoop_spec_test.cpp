// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What ksnoop's operands are taken apart to.
#include "../../libbpf-tools/dynamic/snoop_spec.hpp"
#include "base/text.hpp"
#include <gtest/gtest.h>

namespace
{

using namespace corebox;

std::string shape(std::string_view text)
{
    try {
        const SnoopSpec spec(text);
        std::string out(spec.function.text);
        if (spec.has_list)
            out += "()";
        for (const SnoopSpec::Argument& a : spec.arguments) {
            out += cat(" | ", a.of_return ? "return: " : "", a.value.text,
                       a.is_condition ? cat(" if ", a.whole.text) : "");
            EXPECT_EQ(a.whole.text,
                      std::string_view(spec.text).substr(a.whole.at, a.whole.text.size()));
        }
        return out;
    } catch (const expr::TextError& error) {
        EXPECT_LE(error.at, text.size());
        return cat("error at ", error.at, ": ", error.what());
    }
}

TEST(SnoopSpec, FunctionsAndArguments)
{
    EXPECT_EQ(shape("vfs_read"), "vfs_read");
    EXPECT_EQ(shape(" vfs_read ( ) "), "vfs_read()");
    EXPECT_EQ(shape("f(a, b->c.d[3] , return)"), "f() | a | b->c.d[3] | return: return");
    EXPECT_EQ(shape("f(skb->len > 128, skb)"), "f() | skb->len if skb->len > 128 | skb");
    EXPECT_EQ(shape("f(a->b >= -1, return != 0)"),
              "f() | a->b if a->b >= -1 | return: return if return != 0");
    EXPECT_EQ(shape("f(a << 2, ~b, (c == 1))"), "f() | a << 2 | ~b | (c == 1)");
    EXPECT_EQ(shape("f(n ~ \"a,(b*\", c in {1, 2})"),
              "f() | n if n ~ \"a,(b*\" | c if c in {1, 2}");
    EXPECT_EQ(shape("f(a == 1 || b == 2)"), "f() |  if a == 1 || b == 2");
}

TEST(SnoopSpec, Errors)
{
    EXPECT_EQ(shape("").substr(0, 10), "error at 0");
    EXPECT_EQ(shape("(a)").substr(0, 10), "error at 0");
    EXPECT_EQ(shape("f(a").substr(0, 10), "error at 1");
    EXPECT_EQ(shape("f(a) b").substr(0, 10), "error at 5");
    EXPECT_EQ(shape("f(a,,b)").substr(0, 10), "error at 3");
    EXPECT_EQ(shape("f a").substr(0, 10), "error at 1");
    EXPECT_EQ(shape("f(\"a)").substr(0, 10), "error at 2");
}

} // namespace
