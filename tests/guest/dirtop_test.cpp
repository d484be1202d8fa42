// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Reads and writes by directory tree.
#include "harness.hpp"
#include <algorithm>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

namespace
{

using namespace corebox::test;

void write_bytes(const std::string& path, std::size_t calls, std::size_t bytes)
{
    const int fd = ::open(path.c_str(), O_CREAT | O_WRONLY | O_APPEND, 0644);
    const std::string text(bytes, 'x');
    for (std::size_t i = 0; i < calls; i++)
        if (::write(fd, text.data(), bytes) != ssize_t(bytes))
            throw std::runtime_error("write " + path);
    ::close(fd);
}

void read_bytes(const std::string& path, std::size_t calls, std::size_t bytes)
{
    const int fd = ::open(path.c_str(), O_RDONLY);
    std::string text(bytes, 'x');
    for (std::size_t i = 0; i < calls; i++)
        if (::read(fd, text.data(), bytes) < 0)
            throw std::runtime_error("read " + path);
    ::close(fd);
}

struct Sums {
    std::uint64_t reads = 0, writes = 0, read_bytes = 0, write_bytes = 0;
    bool operator==(const Sums&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Sums& s)
{
    return out << s.reads << ' ' << s.writes << ' ' << s.read_bytes << ' ' << s.write_bytes;
}

Sums sums(const Records& records, const std::string& path)
{
    Sums s;
    for (const Json& r : with(records, "path", path)) {
        s.reads += r["reads"].get<std::uint64_t>();
        s.writes += r["writes"].get<std::uint64_t>();
        s.read_bytes += r["read_bytes"].get<std::uint64_t>();
        s.write_bytes += r["write_bytes"].get<std::uint64_t>();
    }
    return s;
}

// Trees on ext4 with 20 sub-directories, one that reaches into another file system, one inside
// another, one with the same inode number elsewhere, 23 in all: more than BCC's 15.
void trees(const Environment& env)
{
    TempDir dir("/mnt/ext4"), tmpfs("/tmp");
    for (int i = 0; i < 20; i++)
        ::mkdir((dir / ("d" + std::to_string(i))).c_str(), 0755);
    ::mkdir((dir / "outer").c_str(), 0755);
    ::mkdir((dir / "outer/inner").c_str(), 0755);
    ::mkdir((dir / "outer/mnt").c_str(), 0755);
    ::mkdir((dir / "none").c_str(), 0755);
    ASSERT_EQ(::mount("none", (dir / "outer/mnt").c_str(), "tmpfs", 0, nullptr), 0);
    ::mkdir((dir / "outer/mnt/deep").c_str(), 0755);
    std::string deep = dir / "d3";
    for (int i = 0; i < 40; i++)
        ::mkdir((deep += "/directory").c_str(), 0755);
    Child child([&] {
        write_bytes(dir / "d1/file", 7, 1000);
        read_bytes(dir / "d1/file", 8, 1000); // the last at its end: 0 bytes
        write_bytes(deep + "/file", 3, 5);
        write_bytes(dir / "outer/inner/file", 11, 10);
        write_bytes(dir / "outer/mnt/deep/file", 2, 4096);
        write_bytes(dir / "none/file", 5, 1);
        char text[2][10];
        iovec v[2] = {{text[0], 10}, {text[1], 10}};
        const int fd = ::open((dir / "outer/inner/file").c_str(), O_RDONLY);
        EXPECT_EQ(::readv(fd, v, 2), 20);
        ::close(fd);
    });
    Tracer tracer({"dirtop", "-d",
                   (dir / "d*") + "," + (dir / "outer") + "," + (dir / "outer/inner"), "-p",
                   std::to_string(child.pid()), "--json", "--explain", "100"},
                  env);
    child.go_wait();
    const Result r = tracer.stop();
    expect_exact(r);
    EXPECT_EQ(r.records.size(), 3u) << r.out;
    EXPECT_EQ(sums(r.records, dir / "d1"), (Sums{8, 7, 7000, 7000}));
    EXPECT_EQ(sums(r.records, dir / "d3"), (Sums{0, 3, 0, 15}));
    EXPECT_EQ(sums(r.records, dir / "outer"), (Sums{1, 13, 20, 110 + 8192}));
    EXPECT_EQ(r.account["printed"], 8 + 7 + 3 + 1 + 13);
    EXPECT_GE(r.account["filtered"], 5);
    std::size_t considered = 0;
    for (const std::string& line : lines(r.err))
        considered += line.starts_with("dirtop: considering /mnt/ext4/") ? 1 : 0;
    EXPECT_EQ(considered, 22u);
    EXPECT_NE(r.err.find(env.empty() ? "  fexit: taken" : "  kprobe: taken"), std::string::npos)
        << r.err;
    ::umount((dir / "outer/mnt").c_str());
}

TEST(Dirtop, Trees) { trees({}); }
TEST(Dirtop, TreesByKprobe) { trees({{"COREBOX_PROBES", "kprobe"}}); }

// Two file systems whose directories have the same number; sendfile; --read-only.
TEST(Dirtop, DeviceCounts)
{
    in_namespaces(0, [] {
        TempDir dir("/tmp");
        for (const char* name : {"a", "b"}) {
            ::mkdir((dir / name).c_str(), 0755);
            ASSERT_EQ(::mount("none", (dir / name).c_str(), "tmpfs", 0, "inode64"), 0);
            ::mkdir((dir / (std::string(name) + "/dir")).c_str(), 0755);
        }
        struct stat a {
        }, b{};
        ::stat((dir / "a/dir").c_str(), &a);
        ::stat((dir / "b/dir").c_str(), &b);
        EXPECT_EQ(a.st_ino, b.st_ino);
        Child child([&] {
            write_bytes(dir / "a/dir/file", 3, 100);
            write_bytes(dir / "b/dir/file", 5, 1000);
            const int in = ::open((dir / "a/dir/file").c_str(), O_RDONLY);
            const int out = ::open((dir / "b/dir/copy").c_str(), O_CREAT | O_WRONLY, 0644);
            EXPECT_EQ(::sendfile(out, in, nullptr, 300), 300) << errno;
        });
        const std::string both = (dir / "a/dir") + "," + (dir / "b/dir");
        Tracer tracer({"dirtop", "-d", both, "--json", "100"});
        Tracer reads({"dirtop", "-d", both, "--json", "--read-only", "100"});
        child.go_wait();
        const Result r = tracer.stop(), o = reads.stop();
        expect_exact(r);
        EXPECT_EQ(r.records.size(), 2u);
        EXPECT_EQ(sums(r.records, dir / "a/dir"), (Sums{1, 3, 300, 300}));
        EXPECT_EQ(sums(r.records, dir / "b/dir"), (Sums{0, 6, 0, 5300}));
        EXPECT_EQ(sums(o.records, dir / "a/dir"), (Sums{1, 0, 300, 0}));
        EXPECT_EQ(o.records.size(), 1u);
        for (const char* name : {"a", "b"})
            ::umount2((dir / name).c_str(), MNT_DETACH);
    });
}

// Text, order, rows; directories that come while it runs; bad input.
TEST(Dirtop, TextAndNewDirectories)
{
    TempDir dir("/tmp");
    for (const char* name : {"x", "y", "z\n\x1b[1m"})
        ::mkdir((dir / name).c_str(), 0755);
    Gate made;
    Child child([&] {
        write_bytes(dir / "x/file", 10, 2048);
        write_bytes(dir / "y/file", 40, 10);
        write_bytes(dir / "z\n\x1b[1m/file", 1, 1);
        ::mkdir((dir / "later").c_str(), 0755);
        made.wait();
        write_bytes(dir / "later/file", 17, 1);
    });
    Tracer text({"dirtop", "-C", "-s", "writes", "-r", "2", "-d", dir / "*", "100"});
    Tracer all({"dirtop", "-d", dir / "*", "--json", "0.2"});
    child.go();
    all.wait_for("u001b[1m");
    // One more interval, so that the new one was looked for.
    const auto before = lines(all.out()).size();
    ASSERT_TRUE(wait_until([&] {
        write_bytes(dir / "y/again", 1, 1);
        return lines(all.out()).size() > before + 2;
    }));
    made.open();
    EXPECT_EQ(child.wait(), 0);
    const Result t = text.stop(), r = all.stop();
    EXPECT_EQ(sums(r.records, dir / "x"), (Sums{0, 10, 0, 20480}));
    EXPECT_EQ(sums(r.records, dir / "later"), (Sums{0, 17, 0, 17}));
    EXPECT_EQ(sums(r.records, dir / "z\n\x1b[1m"), (Sums{0, 1, 0, 1}));
    const auto rows = lines(t.out);
    ASSERT_EQ(rows.size(), 4u) << t.out;
    EXPECT_NE(rows[0].find(" loadavg: "), std::string::npos);
    EXPECT_EQ(words(rows[1]),
              (std::vector<std::string>{"READS", "WRITES", "R_Kb", "W_Kb", "PATH"}));
    EXPECT_TRUE(rows[2].ends_with(" " + dir.path() + "/y")) << t.out;
    EXPECT_EQ(words(rows[3]), (std::vector<std::string>{"0", "10", "0", "20", dir / "x"}));

    for (const std::vector<std::string>& bad :
         {std::vector<std::string>{"dirtop"},
          {"dirtop", "-d", dir.path(), "-s", "paths"},
          {"dirtop", "-d", dir.path(), "--read-only", "--write-only"}})
        EXPECT_EQ(run(bad).status, 1);
    EXPECT_EQ(run({"dirtop", "-d", dir / "no-such*"}).status, 2);
}

// A directory that gets another name and its old one back, one whose inode number a new directory
// gets: each is counted all the time, under the name that it has.
TEST(Dirtop, RenamedAndMadeAnew)
{
    TempDir dir("/mnt/ext4");
    for (const char* name : {"still", "a", "old"})
        ::mkdir((dir / name).c_str(), 0755);
    Tracer tracer({"dirtop", "-d", dir / "*", "--json", "0.2"});
    // Two lines more of one that is always there: what is there now was looked for meanwhile.
    const auto looked = [&] {
        const auto seen = [&] {
            const std::string out = tracer.out();
            const auto all = lines(out);
            return std::ranges::count_if(
                all, [](const std::string& line) { return line.find("/still") != line.npos; });
        };
        const auto before = seen();
        ASSERT_TRUE(wait_until([&] {
            write_bytes(dir / "still/file", 1, 1);
            return seen() >= before + 3;
        }));
    };
    looked();
    write_bytes(dir / "a/file", 3, 1);
    looked();
    ASSERT_EQ(::rename((dir / "a").c_str(), (dir / "b").c_str()), 0);
    looked();
    write_bytes(dir / "b/file", 5, 1);
    looked();
    ASSERT_EQ(::rename((dir / "b").c_str(), (dir / "a").c_str()), 0);
    looked();
    write_bytes(dir / "a/file", 7, 1);
    looked();
    write_bytes(dir / "a/file", 11, 1);
    struct stat before {
    }, after{};
    ::stat((dir / "old").c_str(), &before);
    ASSERT_EQ(::rmdir((dir / "old").c_str()), 0);
    ASSERT_EQ(::mkdir((dir / "new").c_str(), 0755), 0);
    ::stat((dir / "new").c_str(), &after);
    EXPECT_EQ(before.st_ino, after.st_ino);
    looked();
    write_bytes(dir / "new/file", 13, 1);
    looked();
    write_bytes(dir / "new/file", 17, 1);
    const Result r = tracer.stop();
    EXPECT_EQ(sums(r.records, dir / "a").writes, 3u + 7 + 11) << r.out;
    EXPECT_EQ(sums(r.records, dir / "b").writes, 5u) << r.out;
    EXPECT_EQ(sums(r.records, dir / "new").writes, 13u + 17) << r.out;
    EXPECT_EQ(sums(r.records, dir / "old").writes, 0u);
}

// Subvolumes cannot be told apart; that is said.
TEST(Dirtop, SubvolumesAreToldOf)
{
    TempDir dir("/mnt/btrfs");
    const int fd = ::open(dir.path().c_str(), O_RDONLY | O_DIRECTORY);
    for (const char* name : {"one", "two"}) {
        btrfs_ioctl_vol_args args{};
        std::string_view(name).copy(args.name, sizeof args.name - 1);
        ASSERT_EQ(::ioctl(fd, BTRFS_IOC_SUBVOL_CREATE, &args), 0) << errno;
    }
    ::mkdir((dir / "plain").c_str(), 0755);
    Child child([&] {
        write_bytes(dir / "one/file", 3, 1);
        write_bytes(dir / "two/file", 5, 1);
    });
    Tracer tracer({"dirtop", "-d", (dir / "one") + "," + (dir / "plain"), "-p",
                   std::to_string(child.pid()), "--json", "100"});
    child.go_wait();
    const Result r = tracer.stop();
    EXPECT_EQ(sums(r.records, dir / "one").writes, 3u + 5) << r.out;
    EXPECT_NE(r.err.find((dir / "one") + " is a subvolume of Btrfs"), r.err.npos) << r.err;
    EXPECT_EQ(r.err.find((dir / "plain") + " is"), r.err.npos) << r.err;
    for (const char* name : {"one", "two"}) {
        ::unlink((dir / (std::string(name) + "/file")).c_str());
        ::rmdir((dir / name).c_str());
    }
    ::close(fd);
}

TEST(Dirtop, Flood)
{
    TempDir dir("/tmp");
    Child child([&] { write_bytes(dir / "file", 100'000, 3); });
    Tracer tracer({"dirtop", "-d", dir.path(), "--json", "0.1"});
    child.go_wait();
    const Result r = tracer.stop();
    const Sums s = sums(r.records, dir.path());
    expect_exact_flood(r, s.writes, 100'000);
    EXPECT_EQ(s.write_bytes, s.writes * 3);
}

} // namespace
