// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Two tools in one process, each with its own account.
#include "harness.hpp"

namespace corebox::test
{
namespace
{

TEST(Host, TwoToolsSideBySide)
{
    const TempDir dir;
    write_file(dir / "file", "x");
    const Result both =
        run({"both", "runqlat", "--json", "2", "1", "+", "opensnoop", "--json", "-n", "cat", "--",
             "sh", "-c", "for i in 1 2 3 4 5 6 7; do cat " + dir / "file" + " >/dev/null; done"});
    EXPECT_EQ(both.status, 0) << both.err;

    const Records opened = with(both.records, "path", dir / "file");
    EXPECT_EQ(opened.size(), 7u) << both.out;
    std::uint64_t opens = 0, waits = 0;
    std::vector<std::uint64_t> printed;
    for (const Json& record : both.records) {
        opens += record.contains("path");
        if (record.contains("buckets"))
            waits += record["count"].get<std::uint64_t>();
    }
    for (const std::string& line : lines(both.out))
        if (const Json record = Json::parse(line); record.contains("account")) {
            const Json& a = record["account"];
            EXPECT_EQ(a["seen"], a["printed"].get<std::uint64_t>() +
                                     a["filtered"].get<std::uint64_t>() +
                                     a["lost"].get<std::uint64_t>());
            printed.push_back(a["printed"].get<std::uint64_t>());
        }
    // opensnoop ends with its command, runqlat after two seconds; seven processes waited to run.
    EXPECT_EQ(printed, (std::vector<std::uint64_t>{opens, waits}));
    EXPECT_GT(waits, 7u);
}

} // namespace
} // namespace corebox::test
