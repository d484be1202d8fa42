// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "harness.hpp"
#include <fcntl.h>
#include <unistd.h>

namespace
{

using namespace corebox::test;

TEST(Opensnoop, ShowsExactlyTheOpensOfAProcess)
{
    Child child([] {
        for (int i = 0; i < 23; i++)
            ::open(("/no/such/" + std::to_string(i)).c_str(), O_RDONLY);
    });
    Tracer tracer({"opensnoop", "--json", "-p", std::to_string(child.pid())});
    child.go_wait();
    const Result result = tracer.wait();
    EXPECT_EQ(result.status, 0) << result.err;
    EXPECT_EQ(result.records.size(), 23u);
    expect_exact(result);
}

} // namespace
