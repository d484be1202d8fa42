// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "harness.hpp"
#include <fcntl.h>
#include <sys/sendfile.h>
#include <unistd.h>

namespace
{

using namespace corebox::test;
using std::to_string;

constexpr std::size_t kPage = 4096;
constexpr std::uint64_t kPages = 1009; // of the file that is read

int must(long result)
{
    EXPECT_GE(result, 0) << errno;
    return int(result);
}

// A file of so many pages, written to its storage.
void make_file(const std::string& path, std::size_t pages)
{
    write_file(path, std::string(pages * kPage, 'x'));
    const int fd = must(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    EXPECT_EQ(::fsync(fd), 0);
    ::close(fd);
}

void read_pages(const std::string& path, std::size_t pages, std::size_t step = kPage)
{
    static char buffer[16 * kPage];
    const int fd = must(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    for (std::size_t at = 0; at < pages * kPage;)
        at += std::size_t(must(::pread(fd, buffer, std::min(step, pages * kPage - at), long(at))));
    ::close(fd);
}

void write_pages(const std::string& path, std::size_t pages, std::size_t step = kPage)
{
    static const std::string buffer(16 * kPage, 'y');
    const int fd = must(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    for (std::size_t at = 0; at < pages * kPage;)
        at += std::size_t(
            must(::pwrite(fd, buffer.data(), std::min(step, pages * kPage - at), long(at))));
    ::close(fd);
}

struct Totals {
    std::uint64_t hits = 0, misses = 0, dirties = 0, read = 0, faults = 0, read_in = 0;
};

Totals sum(const Records& records)
{
    Totals t;
    for (const Json& r : records) {
        t.hits += r.at("hits").get<std::uint64_t>();
        t.misses += r.at("misses").get<std::uint64_t>();
        t.dirties += r.at("dirties").get<std::uint64_t>();
        t.read += r.at("read_pages").get<std::uint64_t>();
        t.faults += r.at("fault_pages").get<std::uint64_t>();
        t.read_in += r.at("read_in_pages").get<std::uint64_t>();
        EXPECT_GE(r.at("cached_mib").get<std::uint64_t>(), 1u);
        EXPECT_TRUE(r.at("buffers_mib").is_number());
    }
    return t;
}

// The sums of cachestat -p CHILD over `work` in one child.
Totals trace(
    const std::function<void()>& work, const Environment& env = {},
    const std::function<void()>& others = [] {})
{
    Child child(work);
    Tracer tracer({"cachestat", "--json", "-p", to_string(child.pid()), "3600"}, env);
    others();
    child.go_wait();
    const Result result = tracer.wait();
    EXPECT_EQ(result.status, 0) << result.err;
    expect_exact(result);
    return sum(result.records);
}

TEST(Cachestat, ColdReadsMissAndWarmReadsHit)
{
    const TempDir dir("/mnt/ext4");
    make_file(dir / "file", kPages);
    drop_caches();
    const Totals cold = trace([&] { read_pages(dir / "file", kPages); });
    EXPECT_EQ(cold.misses, kPages);
    EXPECT_EQ(cold.read_in, kPages);
    EXPECT_EQ(cold.read, kPages);
    EXPECT_EQ(cold.hits, cold.faults);
    EXPECT_EQ(cold.dirties, 0u);

    // In units of 1 page and of 16, at an offset, beyond the end, and what is no page cache.
    const Totals warm = trace([&] {
        read_pages(dir / "file", kPages);
        read_pages(dir / "file", kPages, 16 * kPage);
        const int fd = must(::open((dir / "file").c_str(), O_RDONLY | O_CLOEXEC));
        char buffer[2 * kPage];
        EXPECT_EQ(::pread(fd, buffer, 2, kPage - 1), 2);                            // 2 pages
        EXPECT_EQ(::pread(fd, buffer, sizeof buffer, (kPages - 1) * kPage), kPage); // 1
        EXPECT_EQ(::pread(fd, buffer, sizeof buffer, kPages * kPage), 0);           // 0
        EXPECT_EQ(::pread(fd, buffer, sizeof buffer, 9 * kPages * kPage), 0);       // 0
        ::close(fd);
        const int zero = must(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
        EXPECT_EQ(::read(zero, buffer, sizeof buffer), long(sizeof buffer));
        ::close(zero);
    });
    EXPECT_EQ(warm.read, 2 * kPages + 3);
    EXPECT_EQ(warm.hits, warm.read + warm.faults);
    EXPECT_EQ(warm.misses, 0u);
    EXPECT_EQ(warm.read_in, 0u);
}

TEST(Cachestat, CountsPagesThatBecomeDirtyOnce)
{
    const TempDir disk("/mnt/ext4"), memory("/tmp");
    const Totals t = trace([&] {
        write_pages(disk / "small", 503);
        write_pages(disk / "large", 211, 16 * kPage); // in large folios where there are such
        write_pages(disk / "small", 97);              // they are dirty
        write_pages(memory / "file", 307);
        write_pages(memory / "file", 307);
        read_pages(memory / "file", 307); // no storage: always a hit
    });
    EXPECT_EQ(t.dirties, 503u + 211 + 307);
    EXPECT_EQ(t.read, 307u);
    EXPECT_EQ(t.misses, 0u);
    EXPECT_EQ(t.read_in, 0u);
}

TEST(Cachestat, PagesReadAheadAreNoMisses)
{
    const TempDir dir("/mnt/ext4");
    make_file(dir / "file", kPages);
    drop_caches();
    const Totals t = trace([&] { read_pages(dir / "file", 11); });
    EXPECT_EQ(t.read, 11u);
    EXPECT_GT(t.read_in, 11u);
    EXPECT_LT(t.read_in, 300u);
    EXPECT_EQ(t.hits + t.misses, t.read + t.faults);
    EXPECT_GE(t.misses, 11u);
}

TEST(Cachestat, SeesSendfile)
{
    const TempDir dir("/mnt/ext4");
    make_file(dir / "file", 503);
    drop_caches();
    const Totals t = trace([&] {
        const int in = must(::open((dir / "file").c_str(), O_RDONLY | O_CLOEXEC));
        const int out = must(::open("/dev/null", O_WRONLY | O_CLOEXEC));
        std::size_t sent = 0;
        while (sent < 503 * kPage)
            sent += std::size_t(must(::sendfile(out, in, nullptr, 503 * kPage - sent)));
        ::close(in);
        ::close(out);
    });
    EXPECT_EQ(t.read, 503u);
    EXPECT_EQ(t.misses, 503u);
}

// The other rungs, one run for all; and others' pages are not counted.
TEST(Cachestat, EveryRungCountsTheSame)
{
    const TempDir dir("/mnt/ext4"), memory("/tmp");
    make_file(dir / "file", kPages);
    make_file(dir / "other", 499);
    drop_caches();
    const Totals t = trace(
        [&] {
            read_pages(dir / "file", kPages);
            read_pages(dir / "file", kPages);
            write_pages(dir / "new", 503);
            write_pages(memory / "new", 211);
        },
        {{"COREBOX_PROBES", "kprobe,raw_tp"}}, [&] { read_pages(dir / "other", 499); });
    EXPECT_EQ(t.read, 2 * kPages);
    EXPECT_EQ(t.misses, kPages);
    EXPECT_EQ(t.read_in, kPages);
    EXPECT_EQ(t.dirties, 503u + 211);
}

// All processes; text.
TEST(Cachestat, PrintsALineAnInterval)
{
    const TempDir dir("/mnt/ext4");
    make_file(dir / "file", kPages);
    read_pages(dir / "file", kPages);
    Tracer tracer({"cachestat", "-T", "0.3", "4"});
    read_pages(dir / "file", kPages);
    const Result result = tracer.wait();
    EXPECT_EQ(result.status, 0) << result.err;
    const auto text = lines(result.out);
    ASSERT_EQ(text.size(), 5u) << result.out;
    EXPECT_EQ(words(text[0]), (std::vector<std::string>{"TIME", "HITS", "MISSES", "DIRTIES",
                                                        "HITRATIO", "BUFFERS_MB", "CACHED_MB"}));
    std::uint64_t hits = 0;
    for (std::size_t i = 1; i < text.size(); i++) {
        const auto w = words(text[i]);
        ASSERT_EQ(w.size(), 7u) << text[i];
        EXPECT_EQ(w[0].size(), 8u);
        hits += std::stoull(w[1]);
    }
    EXPECT_GE(hits, kPages);
    for (const std::vector<std::string>& bad :
         {std::vector<std::string>{"cachestat", "0"}, {"cachestat", "1", "x"}, {"cachestat", "-Q"}})
        EXPECT_EQ(run(bad).status, 1) << bad.back();
}

} // namespace
