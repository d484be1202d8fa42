// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The guests have no counters of the cache: what is counted and how it is added up is tested on
// events that the kernel itself counts.
#include "harness.hpp"
#include <csignal>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace
{

using namespace corebox::test;
using std::to_string;
constexpr unsigned kPages = 600, kSleeps = 50;

void touch_and_sleep()
{
    constexpr std::size_t kPage = 4096;
    void* memory =
        ::mmap(nullptr, kPages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ::madvise(memory, kPages * kPage, MADV_NOHUGEPAGE);
    for (unsigned i = 0; i < kPages; i++)
        static_cast<volatile char*>(memory)[i * kPage] = 1;
    ::munmap(memory, kPages * kPage);
    for (unsigned i = 0; i < kSleeps; i++)
        ::usleep(100);
}

std::uint64_t sum(const Records& records, const char* key)
{
    std::uint64_t n = 0;
    for (const Json& r : records)
        n += r.at(key).get<std::uint64_t>();
    return n;
}

TEST(Llcstat, SaysThatThereAreNoCounters)
{
    const Result r = run({"llcstat", "1"});
    EXPECT_EQ(r.status, 2);
    EXPECT_EQ(lines(r.err).size(), 1u) << r.err;
    EXPECT_NE(r.err.find("does not provide these hardware counters"), std::string::npos) << r.err;
    for (const std::vector<std::string>& bad :
         std::vector<std::vector<std::string>>{{"--events", "page-faults"},
                                               {"--events", "page-faults,x"},
                                               {"-c", "0"},
                                               {"x"},
                                               {"1", "2"}}) {
        auto arguments = bad;
        arguments.insert(arguments.begin(), "llcstat");
        EXPECT_EQ(run(arguments).status, 1) << testing::PrintToString(bad);
    }
}

TEST(Llcstat, AddsUpWhatProcessesDo)
{
    Child child([] {
        ::prctl(PR_SET_NAME, "to\nuch");
        touch_and_sleep();
    });
    Child other([] { touch_and_sleep(); });
    const pid_t pid = child.pid(), other_pid = other.pid();
    Tracer all({"llcstat", "--events", "page-faults,context-switches", "-c", "1", "--json", "-t"});
    Tracer one({"llcstat", "--events", "page-faults,context-switches", "-c", "1", "--json", "-p",
                to_string(child.pid())});
    other.go_wait();
    child.go_wait();
    const Result r = all.stop(SIGINT);
    expect_exact(r);
    const Records rows = with(r.records, "comm", "to\nuch");
    EXPECT_GE(sum(rows, "references"), kPages);
    EXPECT_LE(sum(rows, "references"), 2 * kPages);
    EXPECT_GE(sum(rows, "misses"), kSleeps);
    for (const Json& row : r.records) {
        const auto references = row.at("references").get<std::uint64_t>();
        const auto misses = row.at("misses").get<std::uint64_t>();
        EXPECT_EQ(row.at("samples"), references + misses);
        if (references == 0)
            EXPECT_TRUE(row.at("hit_pct").is_null()); // not a division by zero
        else if (misses >= references)
            EXPECT_EQ(row.at("hit_pct"), 0);
        else
            EXPECT_NEAR(row.at("hit_pct").get<double>(),
                        100.0 * double(references - misses) / double(references), 0.01);
    }
    for (const Json& row : rows) {
        EXPECT_EQ(row.at("pid"), pid);
        EXPECT_EQ(row.at("tid"), pid);
    }
    EXPECT_GE(sum(with(r.records, "pid", other_pid), "references"), kPages);
    const Result filtered = one.wait(); // ends with the process
    expect_exact(filtered);
    EXPECT_EQ(with(filtered.records, "pid", pid).size(), filtered.records.size());
    EXPECT_GE(sum(filtered.records, "references"), kPages);
    EXPECT_GE(filtered.account.at("filtered"), kPages);
}

TEST(Llcstat, SamplesAndPrintsAsBcc)
{
    Child child([] { touch_and_sleep(); });
    const pid_t pid = child.pid();
    Tracer tracer({"llcstat", "--events", "page-faults,page-faults", "-c", "10", "-p",
                   to_string(child.pid())});
    child.go_wait();
    const Result r = tracer.wait();
    EXPECT_EQ(r.status, 0) << r.err;
    const auto out = lines(r.out);
    ASSERT_GE(out.size(), 3u) << r.out;
    EXPECT_EQ(out[1], "PID      NAME             CPU     REFERENCE         MISS    HIT%");
    const auto row = words(out[2]);
    EXPECT_EQ(row.at(0), to_string(pid));
    EXPECT_EQ(std::stoul(row.at(3)) % 10, 0u) << out[2];
    EXPECT_TRUE(out.back().starts_with("Total References: ")) << out.back();
    EXPECT_NE(out.back().find(" Hit Rate: "), std::string::npos);
}

} // namespace
