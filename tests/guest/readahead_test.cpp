// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "harness.hpp"
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace
{

using namespace corebox::test;
using std::to_string;

constexpr std::size_t kPage = 4096;
constexpr std::uint64_t kPages = 1009;

int must(long result)
{
    EXPECT_GE(result, 0) << errno;
    return int(result);
}

void make_file(const std::string& path, std::size_t pages)
{
    write_file(path, std::string(pages * kPage, 'x'));
    const int fd = must(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    EXPECT_EQ(::fsync(fd), 0);
    ::close(fd);
}

void read_pages(const std::string& path, std::size_t pages)
{
    static char buffer[kPage];
    const int fd = must(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    for (std::size_t i = 0; i < pages; i++)
        EXPECT_EQ(::pread(fd, buffer, kPage, long(i * kPage)), long(kPage));
    ::close(fd);
}

std::uint64_t number(const Json& record, const char* key)
{
    return record.at(key).get<std::uint64_t>();
}

class ReadaheadRung : public EachRung
{
};

// All is used; then some is not, of which the cache drops what it can.
TEST_P(ReadaheadRung, CountsPagesUsedAndUnused)
{
    const TempDir dir("/mnt/ext4");
    make_file(dir / "whole", kPages);
    make_file(dir / "part", kPages);
    make_file(dir / "other", kPages);
    drop_caches();
    const Gate read, dropped;
    Child child([&] {
        read_pages(dir / "whole", kPages);
        read_pages(dir / "part", 101);
        read.open();
        dropped.wait();
    });
    Child other([&] { read_pages(dir / "other", kPages); });
    Tracer tracer({"readahead", "--json", "-p", to_string(child.pid())}, env());
    other.go_wait();
    child.go();
    read.wait();
    drop_caches();
    dropped.open();
    EXPECT_EQ(child.wait(), 0);
    const Result result = tracer.wait();
    EXPECT_EQ(result.status, 0) << result.err;
    expect_exact(result);
    ASSERT_EQ(result.records.size(), 1u);
    const Json& r = result.records[0];
    const auto total = number(r, "total_pages"), unused = number(r, "unused_pages");
    EXPECT_GT(total, kPages + 101);
    EXPECT_LT(total, 2 * kPages);
    EXPECT_GT(unused, 0u);
    // All but a few, on their way to the LRU list.
    EXPECT_LE(number(r, "dropped_pages"), unused);
    EXPECT_GT(number(r, "dropped_pages"), unused / 2);
    EXPECT_EQ(number(r, "interval_used_pages"), total - unused);
    // A large folio counts with all of its pages when the first is used.
    if (has_function("ext4_set_inode_mapping_order"))
        EXPECT_GE(total - unused, kPages + 101);
    else
        EXPECT_EQ(total - unused, kPages + 101);
    EXPECT_LE(number(r, "count"), total - unused);
    EXPECT_GT(number(r, "count"), 0u);
    EXPECT_EQ(r.at("unit"), "msecs");
}

INSTANTIATE_TEST_SUITE_P(Rungs, ReadaheadRung, testing::Values("", "kprobe,raw_tp"), rung_name);

TEST(Readahead, SeesForcedReadAheadAndMappedPages)
{
    const TempDir dir("/mnt/ext4");
    make_file(dir / "forced", kPages);
    make_file(dir / "mapped", kPages);
    drop_caches();
    const auto trace = [](const std::function<void()>& work) {
        Child child(work);
        Tracer tracer({"readahead", "--json", "-p", to_string(child.pid())});
        child.go_wait();
        const Result result = tracer.wait();
        EXPECT_EQ(result.status, 0) << result.err;
        return result.records.empty() ? Json() : result.records[0];
    };
    const Json forced = trace([&] {
        const int fd = must(::open((dir / "forced").c_str(), O_RDONLY | O_CLOEXEC));
        EXPECT_EQ(::posix_fadvise(fd, 0, 307 * kPage, POSIX_FADV_WILLNEED), 0);
        ::close(fd);
    });
    EXPECT_EQ(number(forced, "total_pages"), 307u);
    EXPECT_EQ(number(forced, "unused_pages"), 307u);
    EXPECT_EQ(number(forced, "count"), 0u);
    const Json mapped = trace([&] {
        const int fd = must(::open((dir / "mapped").c_str(), O_RDONLY | O_CLOEXEC));
        auto* p = static_cast<const volatile char*>(
            ::mmap(nullptr, kPages * kPage, PROT_READ, MAP_PRIVATE, fd, 0));
        for (std::size_t i = 0; i < kPages; i++)
            EXPECT_EQ(p[i * kPage], 'x');
        EXPECT_EQ(::munmap(const_cast<char*>(p), kPages * kPage), 0);
        ::close(fd);
    });
    EXPECT_EQ(number(mapped, "total_pages"), kPages);
    // What faults asked for is used at once; the rest when it is unmapped.
    EXPECT_GT(number(mapped, "interval_used_pages"), 0u);
}

TEST(Readahead, ReportsEachInterval)
{
    const TempDir dir("/mnt/ext4");
    make_file(dir / "file", kPages);
    drop_caches();
    Child child([&] { read_pages(dir / "file", 101); });
    Tracer text({"readahead"});
    Tracer small({"readahead", "--json", "--folios", "64"});
    Tracer json({"readahead", "--json", "-i", "0.5", "--count", "3"}); // the last: its time runs
    child.go_wait();
    const Result a = json.wait(), b = text.stop(), c = small.stop();
    EXPECT_EQ(a.status, 0) << a.err;
    ASSERT_EQ(a.records.size(), 3u);
    std::uint64_t total = 0;
    for (const Json& r : a.records)
        total += number(r, "interval_total_pages");
    EXPECT_EQ(total, number(a.records[2], "total_pages"));
    EXPECT_GE(total, 101u);
    EXPECT_EQ(b.status, 0) << b.err;
    EXPECT_NE(b.out.find("Read-ahead unused/total pages: "), std::string::npos) << b.out;
    EXPECT_NE(b.out.find("msecs"), std::string::npos) << b.out;
    // No room for all: counted, and said.
    if (c.status == 3)
        EXPECT_GT(number(c.account, "lost_map"), 0u);
    else
        EXPECT_EQ(c.status, 0) << c.err;
    EXPECT_EQ(number(c.records[0], "total_pages") + number(c.account, "lost_map") >= 64, true);
    EXPECT_EQ(run({"readahead", "-d", "0.1"}).status, 0);
    EXPECT_EQ(run({"readahead", "-i", "0"}).status, 1);
    EXPECT_EQ(run({"readahead", "--folios", "1"}).status, 1);
}

} // namespace
