// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "harness.hpp"
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace
{

using namespace corebox::test;
using std::to_string;

constexpr std::size_t kPage = 4096;

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

void transfer(const std::string& path, std::size_t pages, bool write)
{
    static char buffer[kPage];
    const int fd =
        must(::open(path.c_str(), (write ? O_WRONLY | O_CREAT : O_RDONLY) | O_CLOEXEC, 0600));
    for (std::size_t i = 0; i < pages; i++)
        EXPECT_EQ(write ? ::pwrite(fd, buffer, kPage, long(i * kPage))
                        : ::pread(fd, buffer, kPage, long(i * kPage)),
                  long(kPage));
    ::close(fd);
}

class CachetopRung : public EachRung
{
};

TEST_P(CachetopRung, CountsEachProcess)
{
    const TempDir dir("/mnt/ext4");
    make_file(dir / "read", 503);
    drop_caches();
    make_file(dir / "old", 97); // clean, and in the cache
    Child reader([&] {
        ::prctl(PR_SET_NAME, "a\n\x1b[31mb");
        transfer(dir / "read", 503, false);
        transfer(dir / "read", 503, false);
        transfer(dir / "read", 401, false);
    });
    Child writer([&] {
        EXPECT_EQ(::setuid(1000), 0);
        transfer(dir / "old", 97, true);
        transfer(dir / "new", 211, true);
    });
    EXPECT_EQ(::chmod(dir.path().c_str(), 0777), 0);
    EXPECT_EQ(::chmod((dir / "old").c_str(), 0666), 0);
    const pid_t reader_pid = reader.pid(), writer_pid = writer.pid();
    Tracer tracer({"cachetop", "--json", "3600"}, env());
    reader.go_wait();
    writer.go_wait();
    const Result result = tracer.stop();
    EXPECT_EQ(result.status, 0) << result.err;
    expect_exact(result);

    const auto of = [&](pid_t pid, int uid) -> Json {
        std::map<std::string, std::uint64_t> sum;
        Json all = Json::object();
        for (const Json& r : with(with(result.records, "pid", pid), "uid", uid)) {
            for (const char* key : {"hits", "misses", "dirties", "read_pages", "fault_pages",
                                    "read_in_pages", "new_pages"})
                all[key] = sum[key] += r.at(key).get<std::uint64_t>();
            all["last"] = r;
        }
        return all;
    };
    const Json r = of(reader_pid, 0), w = of(writer_pid, 1000);
    EXPECT_EQ(r.value("read_pages", 0), 503 + 503 + 401);
    EXPECT_EQ(r.value("misses", 0), 503);
    EXPECT_EQ(r.value("read_in_pages", 0), 503);
    EXPECT_EQ(r.value("hits", 0), 503 + 401 + r.value("fault_pages", 0));
    EXPECT_EQ(r.value("dirties", 1), 0);
    EXPECT_EQ(w.value("dirties", 0), 97 + 211);
    EXPECT_EQ(w.value("new_pages", 0), 211);
    EXPECT_EQ(w.value("misses", 1), 0);
    EXPECT_EQ(with(result.records, "comm", "a\n\x1b[31mb").size(), 1u);
    ASSERT_TRUE(w.contains("last"));
    EXPECT_NEAR(w["last"].at("write_hit_percent").get<double>(), 100.0 * 97 / 308, 0.01);
}

INSTANTIATE_TEST_SUITE_P(Rungs, CachetopRung, testing::Values("", "kprobe,raw_tp"), rung_name);

TEST(Cachetop, SortsAndFilters)
{
    const TempDir dir("/mnt/ext4");
    make_file(dir / "read", 503);
    drop_caches();
    Child misser([&] { transfer(dir / "read", 503, false); });
    Child hitter([&] {
        transfer(dir / "read", 503, false);
        transfer(dir / "read", 503, false);
    });
    const std::string m = to_string(misser.pid()), h = to_string(hitter.pid());
    // Three views of the same facts: they run side by side.
    Tracer by_hits({"cachetop", "-C", "3600"});
    Tracer by_misses({"cachetop", "-C", "-r", "1", "-s", "misses", "3600"});
    Tracer one({"cachetop", "-p", h, "-s", "hits", "-R", "3600", "1"});
    misser.go_wait();
    hitter.go_wait();
    const Result a = by_hits.stop(), b = by_misses.stop(), c = one.stop();
    const auto all = lines(a.out);
    ASSERT_GE(all.size(), 4u) << a.out;
    EXPECT_NE(all[0].find("loadavg"), std::string::npos);
    EXPECT_EQ(words(all[1]), (std::vector<std::string>{"PID", "UID", "CMD", "HITS", "MISSES",
                                                       "DIRTIES", "READ_HIT%", "WRITE_HIT%"}));
    EXPECT_EQ(words(all[2])[0], h);
    const auto top = lines(b.out);
    ASSERT_EQ(top.size(), 3u) << b.out;
    EXPECT_EQ(words(top[2])[0], m);
    EXPECT_EQ(words(top[2])[4], "503");
    const auto filtered = lines(c.out);
    ASSERT_EQ(filtered.size(), 3u) << c.out;
    EXPECT_EQ(words(filtered[2])[0], h);
    EXPECT_EQ(words(filtered[2])[4], "0");
    EXPECT_EQ(run({"cachetop", "-s", "nothing"}).status, 1);
}

} // namespace
