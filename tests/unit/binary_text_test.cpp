// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What trace -B makes of STRCMP() with a list of bytes.
#include "../../libbpf-tools/dynamic/binary_text.hpp"
#include "expr/parse.hpp"
#include <gtest/gtest.h>

namespace
{

using namespace corebox;

TEST(BinaryText, BytesBecomeComparisonsOfWords)
{
    EXPECT_EQ(compare_bytes("vfs_read (count == 7) \"%d\", count"),
              "vfs_read (count == 7) \"%d\", count");
    EXPECT_EQ(compare_bytes("f (STRCMP(\"0x7f,69,0\", arg2))"),
              "f ((*(u16 *)((u8 *)(arg2) + 0) == 0x457f && *(u8 *)((u8 *)(arg2) + 2) == 0x0))");
    EXPECT_EQ(compare_bytes("f (!STRCMP({1, 2, 3, 4}, p->q[1]) || x)"),
              "f (!(*(u32 *)((u8 *)(p->q[1]) + 0) == 0x4030201) || x)");
    for (const char* wrong : {"f (STRCMP(\"abc\", p))", "f (STRCMP(\"256\", p))", "f (STRCMP(1))"})
        EXPECT_THROW(compare_bytes(wrong), expr::TextError) << wrong;
}

} // namespace
