// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "contest.hpp"
#include <sys/mman.h>
#include <sys/syscall.h>

namespace
{

using namespace corebox::test;
using std::to_string;

bool has_nodes() { return ::access("/sys/devices/system/node/node1", F_OK) == 0; }

// Of /proc/vmstat: pages that NUMA balancing has moved since the boot.
std::uint64_t pages_moved()
{
    for (const std::string& line : lines(read_file("/proc/vmstat")))
        if (line.starts_with("numa_pages_migrated "))
            return std::stoull(words(line).at(1));
    return 0;
}

void tune(const std::string& name, const std::string& value)
{
    const std::string debug = "/sys/kernel/debug/sched/numa_balancing/" + name,
                      sysctl = "/proc/sys/kernel/numa_balancing_" + name;
    write_file(::access(debug.c_str(), F_OK) == 0 ? debug : sysctl, value);
}

// Memory of one node, used on the other until the kernel has moved it, or for a while.
void use_from_afar()
{
    constexpr std::size_t kBytes = 8 << 20;
    pin(0);
    auto* const memory = static_cast<volatile char*>(
        ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    ASSERT_NE(memory, MAP_FAILED);
    ::madvise(const_cast<char*>(memory), kBytes, MADV_NOHUGEPAGE);
    for (std::size_t i = 0; i < kBytes; i += 4096)
        memory[i] = 1;
    pin(cpus() - 1);
    const std::uint64_t before = pages_moved();
    wait_until(
        [&] {
            for (int again = 0; again < 20; again++)
                for (std::size_t i = 0; i < kBytes; i += 4096)
                    memory[i] = memory[i] + 1;
            return pages_moved() - before > 500;
        },
        std::chrono::seconds(20));
}

// What the kernel itself counts.
TEST(NumaMove, PagesThatBalancingMoves)
{
    if (!has_nodes())
        return; // the guest that has them shows it
    write_file("/proc/sys/kernel/numa_balancing", "1");
    tune("scan_delay_ms", "10");
    tune("scan_period_min_ms", "10");
    tune("scan_period_max_ms", "20");
    for (const std::string rung : {"", "kprobe"}) {
        SCOPED_TRACE(rung);
        Child child(use_from_afar);
        // The tools have memory that may move, too.
        const std::uint64_t earlier = pages_moved();
        Tracer all({"numamove", "--json", "60"}, forced(rung));
        Tracer none({"numamove", "--json", "-p", to_string(::getpid()), "60"}, forced(rung));
        const std::uint64_t before = pages_moved();
        child.go_wait();
        const std::uint64_t now = pages_moved(), moved = now - before;
        const Result r = all.stop(SIGINT), other = none.stop(SIGINT);
        ASSERT_EQ(r.records.size(), 1u) << r.out << r.err;
        const Json& row = r.records[0];
        EXPECT_GT(moved, 500u);
        EXPECT_GE(row.at("pages"), moved) << row;
        EXPECT_LE(row.at("pages"), now - earlier) << row;
        EXPECT_EQ(row.at("migrations"), row.at("pages")) << row; // small pages only
        EXPECT_GT(row.at("ns"), 0u);
        expect_exact(r);
        EXPECT_EQ(other.records.at(0).at("pages"), 0u);
    }
    write_file("/proc/sys/kernel/numa_balancing", "0");
}

TEST(NumaMove, SaysThatThereIsOneNode)
{
    if (has_nodes())
        return;
    const Result result = run({"numamove"});
    EXPECT_EQ(result.status, 2);
    EXPECT_EQ(lines(result.err).size(), 1u) << result.err;
    EXPECT_NE(result.err.find("this machine has one NUMA node"), std::string::npos) << result.err;
}

} // namespace
