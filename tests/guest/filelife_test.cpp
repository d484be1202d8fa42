// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "overlay.hpp"
#include <csignal>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace
{

using namespace corebox::test;
using std::to_string;

class FilelifeRung : public EachRung
{
};

INSTANTIATE_TEST_SUITE_P(Rungs, FilelifeRung, testing::Values("", "kprobe", "fexit"), rung_name);

struct Expected {
    std::string path;
    double age_s = 0; // at least
    bool replaced = false;
};

TEST_P(FilelifeRung, ShowsLivesFromBirthToDeath)
{
    TempDir dir("/mnt/ext4"), memory;
    std::string deep = dir.path();
    for (int i = 0; i < 40; i++) {
        deep += "/" + std::string(28, char('a' + i % 26));
        ASSERT_EQ(::mkdir(deep.c_str(), 0755), 0);
    }
    deep += "/" + std::string(255, 'n');
    EXPECT_GT(deep.size(), 1024u);
    const std::string old = dir / "old", target = dir / "old target", hostile = dir / "a\nb\x1b[1m";
    write_file(old, "x");
    write_file(target, "x");
    Gate made;
    // A file of another process: who deletes it counts.
    Child maker([&] {
        write_file(dir / "other's", "x");
        made.open();
    });
    const pid_t maker_pid = maker.pid();
    Child child([&] {
        made.wait();
        const auto remove = [](const std::string& path) { EXPECT_EQ(::unlink(path.c_str()), 0); };
        for (const std::string& top : {dir.path(), memory.path()}) {
            write_file(top + "/short", "x");
            write_file(top + "/long", "x");
            remove(top + "/short");
            ::usleep(250'000);
            remove(top + "/long");
        }
        write_file(deep, "x");
        write_file(hostile, "x");
        remove(deep);
        remove(hostile);
        remove(dir / "other's");
        // Older than the tool, or not files: not shown.
        remove(old);
        EXPECT_EQ(::mkdir((dir / "d").c_str(), 0755), 0);
        EXPECT_EQ(::rmdir((dir / "d").c_str()), 0);
        EXPECT_EQ(::mkfifo((dir / "p").c_str(), 0600), 0);
        remove(dir / "p");
        // Opened, not made; not deleted.
        write_file(dir / "kept", "x");
        write_file(dir / "kept", "y");
        EXPECT_EQ(::unlink(dir.path().c_str()), -1);
        // Renamed over: what was there dies, what comes is renamed and lives on.
        write_file(dir / "new", "x");
        write_file(dir / "victim", "x");
        EXPECT_EQ(::rename((dir / "new").c_str(), (dir / "victim").c_str()), 0);
        EXPECT_EQ(::rename((dir / "victim").c_str(), target.c_str()), 0);
        remove(target);
        // The last of two names.
        write_file(dir / "name", "x");
        EXPECT_EQ(::link((dir / "name").c_str(), (dir / "second").c_str()), 0);
        remove(dir / "name");
        remove(dir / "second");
        // Made without open.
        EXPECT_EQ(::mknod((dir / "node").c_str(), S_IFREG | 0600, 0), 0);
        EXPECT_EQ(::mknod((dir / "node").c_str(), S_IFREG | 0600, 0), -1);
        remove(dir / "node");
    });
    const pid_t pid = child.pid();
    Tracer tracer({"filelife", "--json", "-p", to_string(pid)}, env());
    maker.go();
    child.go_wait();
    maker.wait();
    const Result result = tracer.wait();
    expect_exact(result);
    const std::vector<Expected> expected{{dir / "short"},
                                         {dir / "long", 0.25},
                                         {memory / "short"},
                                         {memory / "long", 0.25},
                                         {deep},
                                         {hostile},
                                         {dir / "other's"},
                                         {dir / "victim", 0, true},
                                         {target},
                                         {dir / "second"},
                                         {dir / "node"}};
    ASSERT_EQ(result.records.size(), expected.size()) << result.out;
    for (std::size_t i = 0; i < expected.size(); i++) {
        const Json& r = result.records[i];
        EXPECT_EQ(r.at("path"), expected[i].path) << r;
        EXPECT_EQ(r.at("file"), expected[i].path.substr(expected[i].path.rfind('/') + 1));
        EXPECT_EQ(r.at("replaced"), expected[i].replaced) << r;
        EXPECT_GE(r.at("age_ns").get<double>(), expected[i].age_s * 1e9);
        EXPECT_LT(r.at("age_ns").get<double>(), 60e9);
        EXPECT_EQ(r.at("pid"), pid);
        EXPECT_EQ(r.at("creator_pid"), i == 6 ? maker_pid : pid);
    }
}

// More files than are remembered: the young ones are still known.
TEST(Filelife, TextAndManyFiles)
{
    TempDir dir;
    Child child([&] {
        for (int i = 0; i < 20'000; i++)
            ::close(::open((dir / to_string(i)).c_str(), O_CREAT | O_WRONLY, 0600));
        write_file(dir / "a\nb", "x");
        EXPECT_EQ(::unlink((dir / "a\nb").c_str()), 0);
    });
    const std::string pid = to_string(child.pid());
    Tracer names({"filelife", "-p", pid});
    Tracer paths({"filelife", "-F", "-p", pid});
    child.go_wait();
    for (const auto& [result, file] :
         {std::pair{names.wait(), std::string("a\\nb")}, std::pair{paths.wait(), dir / "a\\nb"}}) {
        EXPECT_EQ(result.status, 0) << result.err;
        const auto rows = lines(result.out);
        ASSERT_EQ(rows.size(), 2u) << result.out;
        EXPECT_EQ(words(rows[0]),
                  (std::vector<std::string>{"TIME", "PID", "COMM", "AGE(s)", "FILE"}));
        const auto row = words(rows[1]);
        ASSERT_EQ(row.size(), 5u);
        EXPECT_EQ(row[1], pid);
        EXPECT_EQ(row[3].size() - row[3].find('.'), 3u) << row[3];
        EXPECT_EQ(row[4], file);
    }
}

// More files than are remembered, all deleted: those that were forgotten are counted as lost, in
// whatever order they go.
TEST(Filelife, ForgottenFilesAreLost)
{
    constexpr int kFiles = 20'000, kFirst = 9'000;
    TempDir dir;
    Child child([&] {
        for (int i = 0; i < kFiles; i++)
            ::close(::open((dir / to_string(i)).c_str(), O_CREAT | O_WRONLY, 0600));
        for (int i = kFiles; i-- > kFirst;)
            ::unlink((dir / to_string(i)).c_str());
        for (int i = 0; i < kFirst; i++)
            ::unlink((dir / to_string(i)).c_str());
    });
    Tracer tracer({"filelife", "--json", "-p", to_string(child.pid())});
    child.go_wait();
    const Result result = tracer.wait();
    EXPECT_EQ(result.status, 3) << result.err;
    EXPECT_GE(result.records.size(), 10'000u);
    EXPECT_GE(result.account.at("lost_map"), kFiles - 16384 - 2 * 256);
    EXPECT_EQ(result.records.size() + result.account.at("lost").get<std::uint64_t>(), kFiles)
        << result.account;
}

// A file of overlayfs is two, of which the caller knows one.
TEST(Filelife, Overlayfs)
{
    const Overlay overlay;
    const auto trace = [&](std::vector<std::string> options) {
        Child child([&] {
            write_file(overlay.merged() + "/new", "x");
            EXPECT_EQ(::unlink((overlay.merged() + "/new").c_str()), 0);
        });
        options.insert(options.begin(), {"filelife", "--json", "-p", to_string(child.pid())});
        Tracer tracer(options);
        child.go_wait();
        const Result result = tracer.wait();
        expect_exact(result);
        std::vector<std::string> paths;
        for (const Json& r : result.records)
            paths.push_back(r.at("path"));
        return paths;
    };
    const std::string upper = overlay.upper() + "/new", merged = overlay.merged() + "/new";
    EXPECT_EQ(trace({}), (std::vector<std::string>{merged}));
    EXPECT_EQ(trace({"--layers"}), (std::vector<std::string>{upper, merged}));
}

TEST(Filelife, FloodIsExact)
{
    constexpr int kFlood = 5'000;
    TempDir dir;
    Child child([&] {
        for (int i = 0; i < kFlood; i++) {
            ::close(::open((dir / "f").c_str(), O_CREAT | O_WRONLY, 0600));
            ::unlink((dir / "f").c_str());
        }
    });
    Tracer tracer({"filelife", "--json", "-p", to_string(child.pid())});
    child.go_wait();
    const Result result = tracer.wait();
    expect_exact_flood(result, result.records.size(), kFlood);
}

} // namespace
