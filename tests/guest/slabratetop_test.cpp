// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What a process has the kernel allocate: files of pipes from a cache, messages of 2000 bytes by
// kmalloc.
#include "harness.hpp"
#include <sys/msg.h>
#include <unistd.h>

namespace
{

using namespace corebox::test;

constexpr unsigned kPipes = 211, kMessages = 307;

// Each pipe is two files; each message has a header of 48 bytes.
void allocate()
{
    for (unsigned i = 0; i < kPipes; i++) {
        int fds[2];
        ASSERT_EQ(::pipe(fds), 0);
        ::close(fds[0]);
        ::close(fds[1]);
    }
    const int queue = ::msgget(IPC_PRIVATE, 0600);
    struct {
        long type = 1;
        char text[2000];
    } message{};
    for (unsigned i = 0; i < kMessages; i++) {
        ASSERT_EQ(::msgsnd(queue, &message, sizeof message.text, 0), 0);
        ASSERT_EQ(::msgrcv(queue, &message, sizeof message.text, 0, 0),
                  ssize_t(sizeof message.text));
    }
    ::msgctl(queue, IPC_RMID, nullptr);
}

// Exactly one row, of that many allocations and at most some of the process's own.
Json expect_allocations(const Result& result, const std::string& cache, unsigned n)
{
    const Records found = with(result.records, "cache", cache);
    EXPECT_EQ(found.size(), 1u) << cache << "\n" << result.out;
    if (found.empty())
        return {};
    EXPECT_GE(found[0]["allocs"], n) << found[0];
    EXPECT_LE(found[0]["allocs"], n + 20) << found[0];
    return found[0];
}

class SlabratetopRung : public EachRung
{
};

TEST_P(SlabratetopRung, CountsCachesAndSizes)
{
    const Result result = watch("slabratetop", {"100"}, allocate, {.env = env()});
    expect_exact(result);
    const Json files = expect_allocations(result, "filp", 2 * kPipes);
    const unsigned file_bytes = unsigned(files["bytes"]) / unsigned(files["allocs"]);
    EXPECT_EQ(file_bytes * unsigned(files["allocs"]), files["bytes"]);
    EXPECT_GE(file_bytes, 128u);
    EXPECT_LE(file_bytes, 512u);
    const Json messages = expect_allocations(result, "kmalloc-2k", kMessages);
    EXPECT_EQ(messages["bytes"], 2048 * unsigned(messages["allocs"]));
    // The most bytes first.
    for (std::size_t i = 1; i < result.records.size(); i++)
        EXPECT_GE(result.records[i - 1]["bytes"], result.records[i]["bytes"]);
}

TEST_P(SlabratetopRung, TellsCallersApart)
{
    const Result result =
        watch("slabratetop", {"-S", "-s", "count", "100"}, allocate, {.env = env()});
    expect_exact(result);
    unsigned messages = 0;
    for (const Json& row : with(result.records, "cache", "kmalloc-2k"))
        if (std::string(row["caller"]).find("msg") != std::string::npos)
            messages += unsigned(row["allocs"]);
    EXPECT_EQ(messages, kMessages) << result.out;
    unsigned files = 0;
    for (const Json& row : with(result.records, "cache", "filp"))
        if (row["caller"] == "alloc_empty_file" || row["caller"] == "__alloc_file")
            files += unsigned(row["allocs"]);
    EXPECT_GE(files, 2 * kPipes) << result.out;
    EXPECT_LE(files, 2 * kPipes + 20) << result.out;
}

INSTANTIATE_TEST_SUITE_P(Rungs, SlabratetopRung, testing::Values("", "raw_tp,kprobe"), rung_name);

} // namespace
