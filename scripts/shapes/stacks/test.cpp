// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "harness.hpp"
#include <unistd.h>

namespace corebox::test
{
namespace
{

// Cause facts, a prime number of them, and compare exactly; once on each rung of the ladder.
class @Name@ : public testing::TestWithParam<const char*>
{
};

TEST_P(@Name@, CountsEachChange)
{
    Child child([] {
        for (int i = 0; i < 23; i++)
            if (::chdir("/sys/kernel") != 0)
                ::_exit(1);
    });
    const pid_t pid = child.pid();
    Tracer tracer({"@name@", "--pid", std::to_string(pid), "--json"},
                  {{"COREBOX_PROBES", GetParam()}});
    child.go_wait();
    const Result result = tracer.wait(); // the end of its target is the tool's
    EXPECT_EQ(result.status, 0) << result.err;
    ASSERT_FALSE(result.records.empty());
    std::uint64_t changes = 0;
    for (const auto& row : result.records) {
        EXPECT_EQ(row["pid"], pid);
        changes += row["count"].get<std::uint64_t>();
    }
    EXPECT_EQ(changes, 23u);
}

INSTANTIATE_TEST_SUITE_P(Rungs, @Name@, testing::Values("fentry", "kprobe"),
                         [](const auto& info) { return std::string(info.param); });

} // namespace
} // namespace corebox::test
