// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Calls of each function that a pattern chooses, exactly; and the engine behind it
// (FunctionProbes).
#include "harness.hpp"
#include <algorithm>
#include <chrono>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace
{

using namespace corebox::test;

std::uint64_t calls(const Records& records, const std::string& function)
{
    std::uint64_t n = 0;
    for (const Json& r : with(records, "function", function))
        n += r["count"].get<std::uint64_t>();
    return n;
}

constexpr int kReads = 137, kWrites = 211, kDirs = 13;

void work(const std::string& dir)
{
    char byte = 'x';
    const int in = ::open("/dev/zero", O_RDONLY), out = ::open("/dev/null", O_WRONLY);
    for (int i = 0; i < kReads; i++)
        EXPECT_EQ(::read(in, &byte, 1), 1);
    for (int i = 0; i < kWrites; i++)
        EXPECT_EQ(::write(out, &byte, 1), 1);
    for (int i = 0; i < kDirs; i++)
        EXPECT_EQ(::mkdir((dir + "/" + std::to_string(i)).c_str(), 0755), 0);
}

// (The ways of probing are funccount's, and tested there.)
TEST(Vfscount, CountsEachFunction)
{
    TempDir dir;
    Child child([&] { work(dir.path()); });
    TempDir elsewhere;
    Child other([&] { work(elsewhere.path()); });
    const std::string pid = std::to_string(child.pid());
    Tracer tracer({"vfscount", "-p", pid, "--json"});
    other.go_wait(); // first: with the process of -p its tool ends
    child.go_wait();
    const Result r = tracer.stop();
    EXPECT_EQ(r.status, 0) << r.err;
    // The child's own reads and writes beside those: none.
    EXPECT_EQ(calls(r.records, "vfs_read"), kReads) << r.out;
    EXPECT_EQ(calls(r.records, "vfs_write"), kWrites);
    EXPECT_EQ(calls(r.records, "vfs_mkdir"), kDirs);
    EXPECT_EQ(calls(r.records, "vfs_rename"), 0u);
    EXPECT_EQ(r.account["lost"], 0);
    std::uint64_t sum = 0, last = 0;
    for (const Json& row : r.records) {
        EXPECT_TRUE(row["function"].get<std::string>().starts_with("vfs_")) << row;
        EXPECT_GE(row["count"].get<std::uint64_t>(), last) << "ascending";
        last = row["count"].get<std::uint64_t>();
        sum += last;
    }
    EXPECT_EQ(r.account["printed"], sum);
}

// The table as BCC's, with addresses as kallsyms has them; intervals lose nothing.
TEST(Vfscount, TextAndIntervals)
{
    TempDir dir;
    const Result once = run({"vfscount", "--pattern", "vfs_w*", "0.3"});
    EXPECT_EQ(once.status, 0) << once.err;
    const auto rows = lines(once.out);
    ASSERT_GE(rows.size(), 1u);
    EXPECT_EQ(words(rows[0]), (std::vector<std::string>{"ADDR", "FUNC", "COUNT"}));

    Child child([&] {
        for (int i = 0; i < 5; i++) {
            char byte;
            const int in = ::open("/dev/zero", O_RDONLY);
            for (int n = 0; n < 1000; n++)
                if (::read(in, &byte, 1) != 1)
                    throw std::runtime_error("read");
            ::close(in);
            ::usleep(150'000);
        }
    });
    Tracer tracer({"vfscount", "-i", "0.2", "-T", "-p", std::to_string(child.pid()), "--pattern",
                   "vfs_rea?"});
    child.go_wait();
    const Result r = tracer.wait(); // ends with its process
    EXPECT_EQ(r.status, 0) << r.err;
    std::uint64_t sum = 0, headers = 0;
    std::string address;
    for (const std::string& line : lines(r.out)) {
        const auto w = words(line);
        headers += !w.empty() && w[0] == "ADDR" ? 1 : 0;
        if (w.size() == 3 && w[1] == "vfs_read") {
            sum += std::stoul(w[2]);
            address = w[0];
        }
    }
    EXPECT_EQ(sum, 5000u) << r.out;
    EXPECT_GE(headers, 3u);
    EXPECT_EQ(shell("grep ' vfs_read$' /proc/kallsyms").out, address.substr(2) + " T vfs_read\n");
}

// Regular expressions; functions of a module, of names that the compiler made; bad input.
TEST(Vfscount, Patterns)
{
    TempDir dir("/tmp");
    Child child([&] { work(dir.path()); });
    Tracer tracer({"vfscount", "-r", "--pattern", "vfs_(read|mkdir)$", "--json", "-p",
                   std::to_string(child.pid())});
    child.go_wait();
    const Result r = tracer.stop();
    EXPECT_EQ(r.records.size(), 2u) << r.out;
    EXPECT_EQ(calls(r.records, "vfs_read"), kReads);
    EXPECT_EQ(calls(r.records, "vfs_mkdir"), kDirs);

    // Compilers rename static functions: file_tty_write.isra.0 or .constprop.0.
    const Result renamed = run({"vfscount", "--check", "--pattern", "file_tty_write"});
    EXPECT_EQ(renamed.status, 0) << renamed.err;

    for (const std::vector<std::string>& bad : {std::vector<std::string>{"vfscount", "0"},
                                                {"vfscount", "x"},
                                                {"vfscount", "-r", "--pattern", "vfs_("},
                                                {"vfscount", "1", "2"}})
        EXPECT_EQ(run(bad).status, 1) << bad.back();
    const Result none = run({"vfscount", "--pattern", "no_such_function_*"});
    EXPECT_EQ(none.status, 2);
    EXPECT_EQ(lines(none.err).size(), 1u);
}

TEST(Vfscount, Flood)
{
    constexpr int kCalls = 50'000;
    const auto read = [] {
        char byte;
        const int in = ::open("/dev/zero", O_RDONLY);
        for (int n = 0; n < kCalls; n++)
            if (::read(in, &byte, 1) != 1)
                throw std::runtime_error("read");
    };
    Child a(read), b(read);
    Tracer tracer({"vfscount", "-i", "0.1", "--json", "--pattern", "vfs_read", "-p",
                   std::to_string(a.pid()) + "," + std::to_string(b.pid())});
    a.go();
    b.go();
    EXPECT_EQ(a.wait(), 0);
    EXPECT_EQ(b.wait(), 0);
    const Result r = tracer.stop();
    EXPECT_EQ(calls(r.records, "vfs_read") + r.account["lost"].get<std::uint64_t>(), 2u * kCalls);
}

} // namespace
