// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Whose connection a PostgreSQL process serves, by the title that it gives itself:
// "postgres: [CLUSTER: ]USER DATABASE HOST(PORT) ACTIVITY", or "[local]" in place of the host
// (src/backend/utils/misc/ps_status.c).
#pragma once
#include <string_view>

namespace corebox
{

struct DatabaseTitle {
    std::string_view user, database, client; // empty where the title does not say it clearly
};

// A name with a blank in it leaves it unclear which word is what.
DatabaseTitle parse_database_title(std::string_view title);

} // namespace corebox
