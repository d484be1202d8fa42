// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Page faults: of pages that a process writes for the first time, and of a file that has left the
// page cache, as the kernel counts them for the process.
#include "memory_cgroup.hpp"
#include <algorithm>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace
{

using namespace corebox::test;

constexpr std::size_t kNew = 1500, kFromDisk = 60, kReadAgain = 40;

// A file of which no page is in the page cache.
class ColdFile
{
public:
    ColdFile()
    {
        write_file(kPath, std::string(kFromDisk * kPage, 'x'));
        fd_ = ::open(kPath, O_RDONLY | O_CLOEXEC);
        ::fsync(fd_);
        // A page that a CPU is about to put on a list stays; once the lists are in order, none
        // does.
        const bool is_cold = wait_until([&] {
            ::posix_fadvise(fd_, 0, 0, POSIX_FADV_DONTNEED);
            return pages_in_memory() == 0;
        });
        EXPECT_TRUE(is_cold);
    }
    ~ColdFile()
    {
        ::close(fd_);
        ::unlink(kPath);
    }
    std::uint64_t inode() const
    {
        struct stat st {
        };
        ::fstat(fd_, &st);
        return st.st_ino;
    }
    int fd() const { return fd_; }

private:
    std::size_t pages_in_memory() const
    {
        const Pages pages(kFromDisk, fd_);
        unsigned char in_memory[kFromDisk] = {};
        ::mincore(pages.data(), pages.bytes(), in_memory);
        return std::size_t(std::ranges::count_if(in_memory, [](auto page) { return page & 1; }));
    }

    static constexpr const char* kPath = "/mnt/ext4/faults.cold";
    int fd_ = -1;
};

// Each page by itself: no read-ahead, nothing mapped around it.
[[gnu::noinline]] void read_cold(const ColdFile& file)
{
    const Pages pages(kFromDisk, file.fd());
    ::madvise(pages.data(), pages.bytes(), MADV_RANDOM);
    EXPECT_EQ(pages.read(), kFromDisk * 'x');
    // They are in memory now, and faulted again as the mapping lets go of them.
    ::madvise(pages.data(), kReadAgain * kPage, MADV_DONTNEED);
    for (std::size_t i = 0; i < kReadAgain; i++)
        EXPECT_EQ(const_cast<volatile char*>(pages.data())[i * kPage], 'x');
}

[[gnu::noinline]] void write_new()
{
    const Pages pages(kNew);
    pages.write();
}

struct Faults {
    long minor, major;
};

Faults faults_so_far()
{
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return {usage.ru_minflt, usage.ru_majflt};
}

// How many the tool may have missed: only where the kernel skips programs, and counts that.
long unseen(const Result& result)
{
    if (preempts_itself())
        return long(result.account["lost"]);
    expect_exact(result);
    return 0;
}

void expect_seen(long seen, long caused, const Result& result)
{
    EXPECT_LE(seen, caused) << result.out;
    EXPECT_GE(seen + unseen(result), caused) << result.out;
}

class FaultsRung : public EachRung
{
};

TEST_P(FaultsRung, AsTheKernelCountsThem)
{
    auto* const counted = static_cast<Faults*>(
        ::mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    const ColdFile file;
    const auto work = [&] {
        *counted = {};
        const Faults before = faults_so_far();
        write_new();
        read_cold(file);
        const Faults after = faults_so_far();
        *counted = {after.minor - before.minor, after.major - before.major};
    };
    const Result result = watch("faults", {"-F", "100"}, work, {.env = env()});
    long minor = 0, major = 0;
    for (const Json& row : result.records) {
        EXPECT_EQ(row["comm"], "guest_tests");
        minor += long(row["minor"]);
        if (row["file"] != "dev/zero") // `counted` itself, before the kernel is asked
            major += long(row["major"]);
    }
    EXPECT_EQ(counted->major, long(kFromDisk));
    expect_seen(major, counted->major, result);
    // Some more before and after.
    EXPECT_GE(minor + unseen(result), counted->minor) << result.out;
    EXPECT_LE(minor, counted->minor + 100) << result.out;

    const Records cold = with(result.records, "file", "faults.cold");
    ASSERT_EQ(cold.size(), 1u) << result.out;
    expect_seen(cold[0]["major"], kFromDisk, result);
    EXPECT_EQ(cold[0]["inode"], file.inode());
    EXPECT_GE(cold[0]["minor"], 1u);
    EXPECT_LE(cold[0]["minor"], kReadAgain);
    const Records anonymous = with(result.records, "file", "[anon]");
    ASSERT_EQ(anonymous.size(), 1u) << result.out;
    EXPECT_EQ(anonymous[0]["major"], 0u);
    EXPECT_GE(long(anonymous[0]["minor"]) + unseen(result), long(kNew));
    EXPECT_LE(anonymous[0]["minor"], kNew + 100);
    ::munmap(counted, kPage);
}

TEST_P(FaultsRung, ByStack)
{
    const ColdFile file;
    const Result result = watch("faults", {"--stacks", "-U"},
                                [&] {
                                    write_new();
                                    read_cold(file);
                                },
                                {.env = env()});
    long written = 0, read = 0;
    for (const Json& row : result.records) {
        EXPECT_EQ(row["comm"], "guest_tests");
        const std::string stack = row["user"].dump();
        if (stack.find("write_new") != std::string::npos)
            written += long(row["minor"]);
        if (stack.find("read_cold") != std::string::npos)
            read += long(row["major"]);
    }
    EXPECT_GE(written + unseen(result), long(kNew)) << result.out;
    EXPECT_LE(written, long(kNew) + 5) << result.out;
    expect_seen(read, kFromDisk, result);
}

INSTANTIATE_TEST_SUITE_P(Rungs, FaultsRung, testing::Values("", "kprobe"), rung_name);

TEST(Faults, TextMajorWhereAndBadInput)
{
    const ColdFile file;
    const auto work = [&] {
        write_new();
        read_cold(file);
    };
    const Result table = watch("faults", {"-C", "-M", "100"}, work, {.json = false});
    const auto text = lines(table.out);
    ASSERT_EQ(text.size(), 3u) << table.out << table.err;
    EXPECT_EQ(words(text[1]), words("PID COMM MINOR MAJOR"));
    const auto row = words(text[2]);
    EXPECT_EQ(row[1], "guest_tests");
    EXPECT_EQ(row[2], "0");
    EXPECT_EQ(row[3], std::to_string(kFromDisk));

    const ColdFile again;
    const Result stacks =
        watch("faults", {"--stacks", "--where", "file == \"faults.cold\" && major"}, work,
              {.json = false});
    EXPECT_NE(stacks.out.find("Counting page faults of PID ["), std::string::npos)
        << stacks.out << stacks.err;
    EXPECT_NE(stacks.out.find(" major)\n"), std::string::npos) << stacks.out;
    EXPECT_NE(stacks.out.find("read_cold"), std::string::npos) << stacks.out;
    EXPECT_EQ(stacks.out.find("write_new"), std::string::npos) << stacks.out;

    EXPECT_EQ(run({"faults", "--stacks", "--files"}).status, 1);
    EXPECT_EQ(run({"faults", "--folded"}).status, 1);
}

} // namespace
