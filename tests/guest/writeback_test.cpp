// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Writeback: of a file that syncfs(2) has written, and of one that nobody asks for and that grows
// too old.
#include "harness.hpp"
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace
{

using namespace corebox::test;

constexpr std::size_t kPage = 4096, kPages = 700;
constexpr const char *kSynced = "/mnt/ext4/writeback.sync", *kOld = "/mnt/ext4/writeback.old";

// "254:32", and "vdc".
std::string number_of(const std::string& mount)
{
    struct stat st {
    };
    if (::stat(mount.c_str(), &st) != 0)
        throw std::runtime_error("no " + mount);
    return std::to_string(major(st.st_dev)) + ":" + std::to_string(minor(st.st_dev));
}

std::string disk_of(const std::string& mount)
{
    char to[4096] = {};
    if (::readlink(("/sys/dev/block/" + number_of(mount)).c_str(), to, sizeof to - 1) < 0)
        throw std::runtime_error("no disk of " + mount);
    const std::string path = to;
    return path.substr(path.rfind('/') + 1);
}

void sync_a_file()
{
    ::unlink(kSynced); // ext4 writes a file that replaces another one when it is closed
    write_file(kSynced, std::string(kPages * kPage, 'x'));
    const int fd = ::open(kSynced, O_RDONLY | O_CLOEXEC);
    EXPECT_EQ(::syncfs(fd), 0);
    ::close(fd);
}

// Until the kernel writes a file by itself.
class Soon
{
public:
    Soon() { set("1", "10"); }
    ~Soon() { set(expire_, interval_); }

private:
    static constexpr const char* kExpire = "/proc/sys/vm/dirty_expire_centisecs";
    static constexpr const char* kInterval = "/proc/sys/vm/dirty_writeback_centisecs";
    static void set(const std::string& expire, const std::string& interval)
    {
        write_file(kExpire, expire);
        write_file(kInterval, interval);
    }
    const std::string expire_ = read_file(kExpire), interval_ = read_file(kInterval);
};

class WritebackRung : public EachRung
{
};

TEST_P(WritebackRung, PagesByReason)
{
    ::sync();
    ::unlink(kOld);
    const std::string disk = disk_of("/mnt/ext4"), number = number_of("/mnt/ext4");
    const auto work = [] {
        sync_a_file();
        const Soon soon;
        write_file(kOld, std::string(kPages * kPage, 'y'));
        ::usleep(1'500'000);
    };
    const Result result = watch("writeback", {}, work, {.env = env(), .by = nullptr});
    expect_exact(result);
    std::map<std::string, std::size_t> pages;
    for (const Json& row : result.records) {
        EXPECT_GT(row["lat_ns"], 0u) << row;
        EXPECT_LT(row["lat_ns"], 10'000'000'000u) << row;
        if (row["device"] != disk)
            continue;
        EXPECT_EQ(row["bdi"], number) << row;
        pages[row["reason"]] += std::size_t(row["pages"]);
    }
    // And what the file system notes of them.
    EXPECT_GE(pages["sync"], kPages) << result.out;
    EXPECT_LE(pages["sync"], kPages + 64) << result.out;
    EXPECT_GE(pages["periodic"], kPages) << result.out;
    EXPECT_LE(pages["periodic"], kPages + 64) << result.out;
    ::unlink(kSynced);
    ::unlink(kOld);
}

INSTANTIATE_TEST_SUITE_P(Rungs, WritebackRung, testing::Values("", "raw_tp"), rung_name);

TEST(Writeback, TextWhereAndBadInput)
{
    ::sync();
    const std::string disk = disk_of("/mnt/ext4");
    const Result result =
        watch("writeback",
              {"--where", "device == \"" + disk + "\" && reason == \"sync\" && pages >= 700"},
              sync_a_file, {.json = false, .by = nullptr});
    const auto text = lines(result.out);
    ASSERT_EQ(text.size(), 2u) << result.out << result.err;
    EXPECT_EQ(words(text[0]), words("TIME DEVICE PAGES REASON ms"));
    const auto row = words(text[1]);
    EXPECT_EQ(row[1], disk);
    EXPECT_EQ(row[3], "sync");
    EXPECT_EQ(run({"writeback", "-p", "1"}).status, 1);
    ::unlink(kSynced);
}

} // namespace
