// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "overlay.hpp"
#include <cerrno>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace
{

using namespace corebox::test;
using std::to_string;

constexpr unsigned kNoReplace = 1, kExchange = 2; // RENAME_...

int renameat2(const std::string& from, const std::string& to, unsigned flags)
{
    return int(::syscall(SYS_renameat2, AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), flags));
}

struct Expected {
    std::string action, path, new_path;
    bool directory = false;
};

// Deletes, renames and exchanges in `top`; what that is.
std::vector<Expected> facts(const std::string& top)
{
    const std::string a = top + "/a", b = top + "/b", d = top + "/d", e = top + "/d/e";
    const std::string hostile = top + "/x > y\n\x1b[1m";
    const auto file = [](const std::string& path) { write_file(path, "x"); };
    file(a);
    EXPECT_EQ(::mkdir(d.c_str(), 0755), 0);
    EXPECT_EQ(::rename(a.c_str(), b.c_str()), 0);
    EXPECT_EQ(::rename(b.c_str(), e.c_str()), 0); // to another directory
    file(a);
    EXPECT_EQ(::rename(a.c_str(), e.c_str()), 0); // over a file
    file(a);
    EXPECT_EQ(renameat2(a, e, kExchange), 0);
    EXPECT_EQ(renameat2(a, e, kNoReplace), -1); // and these do not happen
    EXPECT_EQ(::rmdir(d.c_str()), -1);
    EXPECT_EQ(::unlink((top + "/missing").c_str()), -1);
    EXPECT_EQ(::unlink(d.c_str()), -1);
    EXPECT_EQ(::link(a.c_str(), b.c_str()), 0);
    EXPECT_EQ(::rename(a.c_str(), b.c_str()), 0); // two names of one file: nothing is done
    EXPECT_EQ(::unlink(b.c_str()), 0);
    EXPECT_EQ(::unlink(a.c_str()), 0);
    EXPECT_EQ(::unlink(e.c_str()), 0);
    EXPECT_EQ(::rename(d.c_str(), (top + "/f").c_str()), 0);
    EXPECT_EQ(::rmdir((top + "/f").c_str()), 0);
    EXPECT_EQ(::symlink("nowhere", a.c_str()), 0);
    const int at = ::open(top.c_str(), O_RDONLY | O_DIRECTORY);
    EXPECT_EQ(::unlinkat(at, "a", 0), 0);
    ::close(at);
    file(hostile);
    EXPECT_EQ(::unlink(hostile.c_str()), 0);
    return {{"RENAME", a, b},
            {"RENAME", b, e},
            {"REPLACE", a, e},
            {"EXCHANGE", a, e},
            {"DELETE", b, {}},
            {"DELETE", a, {}},
            {"DELETE", e, {}},
            {"RENAME", d, top + "/f", true},
            {"DELETE", top + "/f", {}, true},
            {"DELETE", a, {}},
            {"DELETE", hostile, {}}};
}

class FilegoneRung : public EachRung
{
};

INSTANTIATE_TEST_SUITE_P(Rungs, FilegoneRung, testing::Values("fentry", "kprobe"), rung_name);

TEST_P(FilegoneRung, ShowsWhatGoes)
{
    TempDir memory, disk("/mnt/ext4");
    std::vector<Expected> expected;
    Child child([&] {
        facts(memory.path());
        facts(disk.path());
    });
    // The same in a scratch directory, to learn what to expect.
    for (const std::string& top : {memory.path(), disk.path()}) {
        TempDir scratch;
        for (Expected e : facts(scratch.path())) {
            e.path.replace(0, scratch.path().size(), top);
            if (!e.new_path.empty())
                e.new_path.replace(0, scratch.path().size(), top);
            expected.push_back(e);
        }
    }
    const pid_t pid = child.pid();
    Tracer tracer({"filegone", "--json", "-p", to_string(pid)}, env());
    child.go_wait();
    const Result result = tracer.wait();
    expect_exact(result);
    ASSERT_EQ(result.records.size(), expected.size()) << result.out;
    for (std::size_t i = 0; i < expected.size(); i++) {
        const Json& r = result.records[i];
        EXPECT_EQ(r.at("action"), expected[i].action) << r;
        EXPECT_EQ(r.at("path"), expected[i].path);
        EXPECT_EQ(r.at("new_path"),
                  expected[i].new_path.empty() ? Json() : Json(expected[i].new_path));
        EXPECT_EQ(r.at("directory"), expected[i].directory) << r;
        EXPECT_EQ(r.at("pid"), pid);
        EXPECT_EQ(r.at("comm"), "guest_tests");
    }
    EXPECT_EQ(result.records[0].at("file"), "a > b");
    EXPECT_EQ(result.records[3].at("file"), "a <> e");
}

// What overlayfs does in its layers is not shown, unless it is asked for; what the caller does in a
// layer is.
TEST(Filegone, Overlayfs)
{
    const Overlay overlay;
    const std::string top = overlay.merged(), upper = overlay.upper();
    const auto trace = [&](std::vector<std::string> options) {
        write_file(overlay.lower() + "/old", "x");
        Child child([&] {
            write_file(top + "/a", "x");
            EXPECT_EQ(::mkdir((top + "/d").c_str(), 0755), 0);
            EXPECT_EQ(::rename((top + "/a").c_str(), (top + "/d/b").c_str()), 0);
            EXPECT_EQ(::unlink((top + "/d/b").c_str()), 0);
            EXPECT_EQ(::rmdir((top + "/d").c_str()), 0);
            EXPECT_EQ(::unlink((top + "/old").c_str()), 0); // the upper gets a whiteout
            EXPECT_EQ(::unlink((upper + "/old").c_str()), 0);
        });
        options.insert(options.begin(), {"filegone", "--json", "-p", to_string(child.pid())});
        Tracer tracer(options);
        child.go_wait();
        const Result result = tracer.wait();
        expect_exact(result);
        std::vector<std::string> seen;
        for (const Json& r : result.records)
            seen.push_back(r.at("action").get<std::string>() + " " +
                           r.at("path").get<std::string>());
        return seen;
    };
    const std::vector<std::string> expected{"RENAME " + top + "/a", "DELETE " + top + "/d/b",
                                            "DELETE " + top + "/d", "DELETE " + top + "/old",
                                            "DELETE " + upper + "/old"};
    EXPECT_EQ(trace({}), expected);
    std::vector<std::string> all = trace({"--layers"});
    for (const std::string& line : expected)
        EXPECT_EQ(std::erase(all, line), 1) << line;
    for (const std::string& line :
         {"RENAME " + upper + "/a", "DELETE " + upper + "/d/b", "DELETE " + upper + "/d"})
        EXPECT_EQ(std::erase(all, line), 1) << line;
}

// Names of 255 bytes and a path of over 1 KB and 40 components, both ways.
TEST(Filegone, LongPathsAndText)
{
    TempDir dir("/mnt/ext4");
    std::string deep = dir.path();
    for (int i = 0; i < 40; i++) {
        deep += "/" + std::string(28, char('a' + i % 26));
        ASSERT_EQ(::mkdir(deep.c_str(), 0755), 0);
    }
    const std::string name(255, 'n'), from = deep + "/" + name, to = dir / "t\no";
    write_file(from, "x");
    EXPECT_GT(from.size(), 1024u);
    const auto text = [&](std::vector<std::string> options) {
        Child child([&] {
            EXPECT_EQ(::rename(from.c_str(), to.c_str()), 0);
            EXPECT_EQ(::rename(to.c_str(), from.c_str()), 0);
        });
        options.insert(options.begin(), {"filegone", "-p", to_string(child.pid())});
        Tracer tracer(options);
        child.go_wait();
        const Result result = tracer.wait();
        EXPECT_EQ(result.status, 0) << result.err;
        auto rows = lines(result.out);
        EXPECT_EQ(rows.size(), 3u) << result.out;
        rows.resize(3);
        return rows;
    };
    const auto names = text({});
    EXPECT_EQ(words(names[0]), (std::vector<std::string>{"TIME", "PID", "COMM", "ACTION", "FILE"}));
    EXPECT_TRUE(names[1].ends_with("RENAME   " + name + " > t\\no")) << names[1];
    EXPECT_TRUE(names[2].ends_with("RENAME   t\\no > " + name)) << names[2];
    const auto paths = text({"-F"});
    EXPECT_TRUE(paths[1].ends_with(" " + from + " > " + (dir / "t\\no"))) << paths[1];
    EXPECT_TRUE(paths[2].ends_with(" " + (dir / "t\\no") + " > " + from)) << paths[2];
}

// A file seen through a bind mount of a directory is named where all of its file system is.
TEST(Filegone, MountsAndFilters)
{
    in_namespaces(0, [] {
        TempDir dir;
        const std::string disk = dir / "disk", part = dir / "part";
        ASSERT_EQ(::mkdir(disk.c_str(), 0755), 0);
        ASSERT_EQ(::mkdir(part.c_str(), 0755), 0);
        ASSERT_EQ(::mount("none", disk.c_str(), "tmpfs", 0, nullptr), 0);
        ASSERT_EQ(::mkdir((disk + "/sub").c_str(), 0755), 0);
        ASSERT_EQ(::mount((disk + "/sub").c_str(), part.c_str(), nullptr, MS_BIND, nullptr), 0);
        Child child([&] {
            write_file(part + "/one", "x");
            EXPECT_EQ(::unlink((part + "/one").c_str()), 0);
        });
        Child other([&] {
            write_file(disk + "/other", "x");
            EXPECT_EQ(::unlink((disk + "/other").c_str()), 0);
        });
        Tracer tracer({"filegone", "--json", "-p", to_string(child.pid())});
        other.go_wait();
        child.go_wait();
        const Result result = tracer.wait();
        expect_exact(result);
        ASSERT_EQ(result.records.size(), 1u);
        EXPECT_EQ(result.records[0].at("path"), disk + "/sub/one");
        EXPECT_GE(result.account.at("filtered"), 1);
        EXPECT_EQ(::umount(part.c_str()), 0);
        EXPECT_EQ(::umount(disk.c_str()), 0);
    });
}

// A mount namespace whose only mount of a file system comes after many of others, as a container's:
// its own path is shown.
TEST(Filegone, MountAmongMany)
{
    TempDir dir("/mnt/ext4"), mine("/tmp");
    in_namespaces(0, [&] {
        constexpr int kOthers = 40;
        TempDir others("/tmp");
        for (int i = 0; i < kOthers; i++) {
            const std::string at = others / to_string(i);
            ::mkdir(at.c_str(), 0755);
            ASSERT_EQ(::mount(dir.path().c_str(), at.c_str(), nullptr, MS_BIND, nullptr), 0);
        }
        Child child([&] {
            ASSERT_EQ(::unshare(CLONE_NEWNS), 0);
            ASSERT_EQ(::mount(dir.path().c_str(), mine.path().c_str(), nullptr, MS_BIND, nullptr),
                      0);
            for (int i = 0; i < kOthers; i++)
                ::umount2((others / to_string(i)).c_str(), MNT_DETACH);
            ::umount2("/mnt/ext4", MNT_DETACH);
            write_file(mine / "file", "x");
            EXPECT_EQ(::unlink((mine / "file").c_str()), 0);
        });
        Tracer tracer({"filegone", "--json", "-p", to_string(child.pid())});
        child.go_wait();
        const Result result = tracer.wait();
        ASSERT_EQ(result.records.size(), 1u) << result.out;
        EXPECT_EQ(result.records[0].at("path"), mine / "file");
        for (int i = 0; i < kOthers; i++)
            ::umount2((others / to_string(i)).c_str(), MNT_DETACH);
    });
}

} // namespace
