// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "harness.hpp"
#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace
{

using namespace corebox::test;
using std::to_string;

// The numbers are the same on every architecture; libc has not all of them.
enum : long {
    kOpenTree = 428,
    kMoveMount = 429,
    kFsopen = 430,
    kFsconfig = 431,
    kFsmount = 432,
    kFspick = 433,
    kMountSetattr = 442,
    kOpenTreeAttr = 467,
};

struct MountAttr {
    std::uint64_t set, clear, propagation, userns_fd;
};

class MountsnoopRung : public EachRung
{
};

INSTANTIATE_TEST_SUITE_P(Rungs, MountsnoopRung, testing::Values("", "fexit", "tracepoint"),
                         rung_name);

TEST_P(MountsnoopRung, ShowsEveryCall)
{
    if (is("fexit") && !has_sessions())
        GTEST_SKIP() << "without kprobe sessions fexit is the default";
    const bool setattr = has_function(system_call("mount_setattr")),
               tree_attr = has_function(system_call("open_tree_attr"));
    in_namespaces(0, [&] {
        TempDir dir;
        const std::string at = dir / "m", to = dir / "to", hostile = "s\"r\nc";
        ASSERT_EQ(::mkdir(at.c_str(), 0755), 0);
        ASSERT_EQ(::mkdir(to.c_str(), 0755), 0);
        const std::string longest(4095, 'l'); // longer than a name may be, and whole here
        const std::string data = "size=1m,mode=0" + std::string(500, '7');
        // A name whose NUL is the last byte before memory that is not there.
        char* page = static_cast<char*>(
            ::mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        ::munmap(page + 4096, 4096);
        char* at_end = page + 4096 - 6;
        std::copy_n("tmpfs", 6, at_end);
        MountAttr attr{0x1 | 0x20, 0x70 | 0x8, MS_PRIVATE, 0};
        Child child([&] {
            EXPECT_EQ(::chdir(dir.path().c_str()), 0);
            EXPECT_EQ(::mount(hostile.c_str(), "m", at_end, MS_NOSUID | MS_NODEV, "size=1m"), 0);
            EXPECT_EQ(::mount("none", "missing", "securityfs", 0x40000000, nullptr), -1);
            EXPECT_EQ(::mount(nullptr, at.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, data.c_str()),
                      -1);
            EXPECT_EQ(::mount("", longest.c_str(), "tmpfs", 0, nullptr), -1);
            EXPECT_EQ(::umount2("m", MNT_DETACH | UMOUNT_NOFOLLOW), 0);
            EXPECT_EQ(::umount2("m", 0), -1);
            EXPECT_EQ(::syscall(SYS_pivot_root, "m", "to"), -1);
            const int fs = int(::syscall(kFsopen, "tmpfs", 1));
            EXPECT_GE(fs, 0);
            EXPECT_EQ(::syscall(kFsconfig, fs, 1, "size", "2m", 0), 0);
            EXPECT_EQ(::syscall(kFsconfig, fs, 0, "ro", nullptr, 0), 0);
            EXPECT_EQ(::syscall(kFsconfig, fs, 2, "blob", "a\0b", 3), -1);
            EXPECT_EQ(::syscall(kFsconfig, fs, 6, nullptr, nullptr, 0), 0);
            const int mnt = int(::syscall(kFsmount, fs, 1, 0x2 | 0x8 | 0x10));
            EXPECT_GE(mnt, 0);
            EXPECT_EQ(::syscall(kMoveMount, mnt, "", AT_FDCWD, "m", 0x4), 0);
            const int picked = int(::syscall(kFspick, AT_FDCWD, "m", 0x1 | 0x4));
            EXPECT_GE(picked, 0);
            const int tree = int(::syscall(kOpenTree, AT_FDCWD, "m", 0x1 | 0x80000 | 0x8000));
            EXPECT_GE(tree, 0);
            if (setattr)
                EXPECT_EQ(::syscall(kMountSetattr, tree, "", 0x1000, &attr, sizeof attr), 0);
            if (tree_attr)
                ::close(int(::syscall(kOpenTreeAttr, AT_FDCWD, "m", 0x1, &attr, sizeof attr)));
            EXPECT_EQ(::umount2("m", MNT_DETACH), 0);
        });
        const pid_t pid = child.pid();
        Tracer tracer({"mountsnoop", "--json", "-p", to_string(pid)}, env());
        child.go_wait();
        const Result result = tracer.wait();
        expect_exact(result);
        std::vector<std::string> expected{
            R"(mount("s\"r\nc", "m", "tmpfs", MS_NOSUID|MS_NODEV, "size=1m") = 0)",
            R"(mount("none", "missing", "securityfs", 0x40000000, NULL) = -ENOENT)",
            R"(mount(NULL, ")" + at + R"(", NULL, MS_RDONLY|MS_REMOUNT, ")" + data +
                R"(") = -EINVAL)",
            R"(mount("", ")" + longest + R"(", "tmpfs", 0, NULL) = -ENAMETOOLONG)",
            R"(umount("m", MNT_DETACH|UMOUNT_NOFOLLOW) = 0)",
            R"(umount("m", 0) = -EINVAL)",
            R"(pivot_root("m", "to") = -EINVAL)",
            R"(fsopen("tmpfs", FSOPEN_CLOEXEC) = FS)",
            R"(fsconfig(FS, FSCONFIG_SET_STRING, "size", "2m", 0) = 0)",
            R"(fsconfig(FS, FSCONFIG_SET_FLAG, "ro", NULL, 0) = 0)",
            R"(fsconfig(FS, FSCONFIG_SET_BINARY, "blob", "a\x00b", 3) = -EINVAL)",
            R"(fsconfig(FS, FSCONFIG_CMD_CREATE, NULL, NULL, 0) = 0)",
            R"(fsmount(FS, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID|MOUNT_ATTR_NOEXEC|MOUNT_ATTR_NOATIME) = MNT)",
            R"(move_mount(MNT, "", AT_FDCWD, "m", MOVE_MOUNT_F_EMPTY_PATH) = 0)",
            R"(fspick(AT_FDCWD, "m", FSPICK_CLOEXEC|FSPICK_NO_AUTOMOUNT) = PICK)",
            R"(open_tree(AT_FDCWD, "m", OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC|AT_RECURSIVE) = TREE)"};
        const std::string attributes =
            R"({set=MOUNT_ATTR_RDONLY|MOUNT_ATTR_STRICTATIME, clr=MOUNT_ATTR_NOEXEC|MOUNT_ATTR__ATIME, propagation=MS_PRIVATE, userns_fd=0}, 32) = )";
        if (setattr)
            expected.push_back(R"(mount_setattr(TREE, "", AT_EMPTY_PATH, )" + attributes + "0");
        if (tree_attr)
            expected.push_back(R"(open_tree_attr(AT_FDCWD, "m", OPEN_TREE_CLONE, )" + attributes +
                               "ATTR");
        expected.push_back(R"(umount("m", MNT_DETACH) = 0)");
        ASSERT_EQ(result.records.size(), expected.size()) << result.out;
        // Descriptors as they were.
        const auto ret = [&](const char* op) {
            return to_string(with(result.records, "op", op).at(0).at("ret").get<int>());
        };
        const auto fill = [](std::string& text, const std::string& word, const std::string& by) {
            for (auto i = text.find(word); i != text.npos; i = text.find(word))
                text.replace(i, word.size(), by);
        };
        struct stat ns;
        ASSERT_EQ(::stat("/proc/self/ns/mnt", &ns), 0);
        for (std::size_t i = 0; i < expected.size(); i++) {
            std::string line = expected[i];
            for (const auto& [word, op] : {std::pair{"(FS,", "FSOPEN"},
                                           {"= FS", "FSOPEN"},
                                           {"(MNT,", "FSMOUNT"},
                                           {"= MNT", "FSMOUNT"},
                                           {"= PICK", "FSPICK"},
                                           {"(TREE,", "OPEN_TREE"},
                                           {"= TREE", "OPEN_TREE"}})
                if (line.find(word) != line.npos)
                    fill(line, word, (word[0] == '(' ? "(" + ret(op) + "," : "= " + ret(op)));
            if (line.ends_with("ATTR"))
                fill(line, "= ATTR", "= " + ret("OPEN_TREE_ATTR"));
            const Json& r = result.records[i];
            EXPECT_EQ(r.at("call"), line);
            EXPECT_EQ(r.at("pid"), pid);
            EXPECT_EQ(r.at("ppid"), ::getpid());
            EXPECT_EQ(r.at("mnt_ns"), ns.st_ino);
            EXPECT_GT(r.at("lat_us"), 0);
        }
        EXPECT_EQ(result.records[0].at("source"), hostile);
        EXPECT_EQ(result.records[3].at("target"), longest);
        EXPECT_EQ(result.records[10].at("value"), std::string("a\0b", 3));
    });
}

TEST(Mountsnoop, TextForms)
{
    in_namespaces(0, [] {
        TempDir dir;
        const auto run_with = [&](std::vector<std::string> options) {
            Child child([&] {
                EXPECT_EQ(::mount("n", dir.path().c_str(), "tmpfs", 0, "size=1m"), 0);
                EXPECT_EQ(::umount2(dir.path().c_str(), MNT_DETACH), 0);
            });
            options.insert(options.begin(), {"mountsnoop", "-p", to_string(child.pid())});
            Tracer tracer(options);
            child.go_wait();
            const Result result = tracer.wait();
            EXPECT_EQ(result.status, 0) << result.err;
            return lines(result.out);
        };
        const auto plain = run_with({"-t", "-P"});
        ASSERT_EQ(plain.size(), 3u);
        using Row = std::vector<std::string>;
        EXPECT_EQ(words(plain[0]),
                  (Row{"TIME", "COMM", "PID", "TID", "PCOMM", "PPID", "MNT_NS", "CALL"}));
        EXPECT_EQ(words(plain[1])[4], "guest_tests");
        EXPECT_EQ(words(plain[1])[5], to_string(::getpid()));
        EXPECT_TRUE(plain[2].ends_with("umount(\"" + dir.path() + "\", MNT_DETACH) = 0"))
            << plain[2];
        const auto block = run_with({"-d"});
        ASSERT_EQ(block.size(), 23u);
        EXPECT_EQ(block[3], "OP: MOUNT");
        EXPECT_EQ(block[4], "RET: 0");
        EXPECT_TRUE(block[5].starts_with("LAT(us): "));
        EXPECT_EQ(block[7], "FS: \"tmpfs\"");
        EXPECT_EQ(block[8], "SOURCE: \"n\"");
        EXPECT_EQ(block[9], "TARGET: \"" + dir.path() + "\"");
        EXPECT_EQ(block[10], "DATA: \"size=1m\"");
        EXPECT_EQ(block[11], "FLAGS: 0");
        EXPECT_EQ(block[12], "");
        EXPECT_EQ(block[21], "FLAGS: MNT_DETACH");
    });
}

} // namespace
