// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "../../libbpf-tools/user/database_title.hpp"
#include <gtest/gtest.h>

namespace
{

using corebox::parse_database_title;

TEST(DatabaseTitle, NamesOnlyWhatIsClear)
{
    const auto local = parse_database_title("postgres: ann shop [local] SELECT");
    EXPECT_EQ(local.user, "ann");
    EXPECT_EQ(local.database, "shop");
    EXPECT_EQ(local.client, "[local]");
    const auto far = parse_database_title("postgres: main: ann shop 192.0.2.7(40112) idle");
    EXPECT_EQ(far.user, "ann");
    EXPECT_EQ(far.client, "192.0.2.7(40112)");
    for (const char* title :
         {"", "mysqld", "postgres: checkpointer ", "postgres: ann", "postgres: ann shop [local]",
          "postgres: ann b shop [local] SELECT", "postgres: ann shop (1) SELECT",
          "postgres: ann shop a(b) SELECT", "postgres:  shop [local] SELECT"}) {
        EXPECT_EQ(parse_database_title(title).user, "") << title;
        EXPECT_EQ(parse_database_title(title).database, "") << title;
    }
}

} // namespace
