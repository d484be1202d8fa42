// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Swap: pages that a process has the kernel write to a swap file, and then reads again; as
// /proc/vmstat counts them.
#include "memory_cgroup.hpp"
#include <cstring>
#include <fcntl.h>
#include <sys/swap.h>
#include <unistd.h>

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

namespace
{

using namespace corebox::test;

constexpr std::size_t kPages = 700, kFilePages = 2048;
constexpr std::size_t kKept = 1 << 20; // bytes that the cgroup may keep in memory

// A swap file, without read-ahead.
class Swap
{
public:
    Swap()
    {
        std::string file(kFilePages * kPage, '\0');
        // union swap_header, linux/swap.h
        const std::uint32_t version_and_last[] = {1, kFilePages - 1};
        std::memcpy(file.data() + 1024, version_and_last, sizeof version_and_last);
        std::memcpy(file.data() + kPage - 10, "SWAPSPACE2", 10);
        write_file(kPath, file);
        drop_caches();
        write_file("/proc/sys/vm/page-cluster", "0");
        if (::swapon(kPath, 0) != 0)
            throw std::runtime_error(std::string("swapon: ") + std::strerror(errno));
    }
    ~Swap()
    {
        ::swapoff(kPath);
        ::unlink(kPath);
        write_file("/proc/sys/vm/page-cluster", "3");
    }

private:
    static constexpr const char* kPath = "/mnt/ext4/swap";
};

// Out and in again, each page by itself.
void swap_pages(const MemoryCgroup& box)
{
    box->enter();
    const Pages pages(kPages);
    for (std::size_t i = 0; i < kPages; i++) { // no page of zeros, no two alike
        std::memcpy(pages.data() + i * kPage, &i, sizeof i);
        pages.data()[i * kPage + 99] = 1;
    }
    ASSERT_EQ(::madvise(pages.data(), pages.bytes(), MADV_PAGEOUT), 0);
    // They are written, but still in memory, from where they would come back without a read.
    ::usleep(300'000);
    write_file(box->path() + "/memory.high", std::to_string(kKept));
    write_file(box->path() + "/memory.high", "max");
    for (std::size_t i = 0; i < kPages; i++)
        EXPECT_EQ(pages.data()[i * kPage + 99], 1);
}

std::uint64_t vmstat(const std::string& name)
{
    for (const std::string& line : lines(read_file("/proc/vmstat")))
        if (const auto field = words(line); field[0] == name)
            return std::stoull(field[1]);
    return 0;
}

class SwapinRung : public EachRung
{
};

TEST_P(SwapinRung, PagesAsTheKernelCountsThem)
{
    const Swap swap;
    const MemoryCgroup box("swapin", 64 << 20);
    const std::uint64_t in = vmstat("pswpin"), out = vmstat("pswpout");
    const Result result =
        watch("swapin", {"--out", "100"}, [&] { swap_pages(box); }, {.env = env()});
    expect_exact(result);
    ASSERT_EQ(result.records.size(), 1u) << result.out;
    const Json& row = result.records[0];
    EXPECT_EQ(row["comm"], "guest_tests");
    EXPECT_EQ(row["in"], vmstat("pswpin") - in);
    EXPECT_EQ(row["out"], vmstat("pswpout") - out);
    // Without what was kept, and with some more of the process.
    EXPECT_GE(row["in"], kPages - kKept / kPage);
    EXPECT_LE(row["in"], kPages + 200);
    EXPECT_GE(row["out"], kPages - 64); // some may be on a CPU's own list, which is not looked at
    EXPECT_LE(row["out"], kPages + 200);
    EXPECT_EQ(row["in_kib"], std::size_t(row["in"]) * kPage / 1024);
}

INSTANTIATE_TEST_SUITE_P(Rungs, SwapinRung, testing::Values("", "kprobe"), rung_name);

TEST(Swapin, TextWhereAndBadInput)
{
    const Swap swap;
    const MemoryCgroup box("swapin", 64 << 20);
    const Result result = watch("swapin", {"100", "--where", "direction == \"in\" && pages == 1"},
                                [&] { swap_pages(box); }, {.json = false});
    const auto text = lines(result.out);
    ASSERT_EQ(text.size(), 4u) << result.out << result.err;
    EXPECT_EQ(text[1].size(), std::string("12:34:56").size());
    EXPECT_EQ(words(text[2]), words("COMM PID COUNT"));
    EXPECT_EQ(words(text[3])[0], "guest_tests");
    EXPECT_GE(std::stoul(words(text[3])[2]), kPages - kKept / kPage);
    const Result untimed = run({"swapin", "-T", "0.1", "1"});
    EXPECT_EQ(untimed.out.find(':'), std::string::npos) << untimed.out;
    EXPECT_EQ(run({"swapin", "0"}).status, 1);
}

} // namespace
