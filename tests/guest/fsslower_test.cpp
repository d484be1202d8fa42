// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "fuse_server.hpp"
#include "overlay.hpp"
#include <csignal>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

namespace
{

using namespace corebox::test;
using std::to_string;

Environment rung(const std::string& name)
{
    return name.empty() ? Environment{} : Environment{{"COREBOX_PROBES", name}};
}

int open_file(const std::string& path, int flags)
{
    const int fd = ::open(path.c_str(), flags, 0644);
    EXPECT_GE(fd, 0) << path << ": " << strerrordesc_np(errno);
    return fd;
}

// Over 1 KB and 40 components.
std::string make_deep(const TempDir& dir)
{
    std::string deep = dir.path();
    for (int i = 0; i < 40; i++) {
        deep += "/component-" + to_string(i) + "-" + std::string(18, 'x');
        EXPECT_EQ(::mkdir(deep.c_str(), 0755), 0);
    }
    EXPECT_GT(deep.size(), 1024u);
    return deep;
}

// "R 500 4096": what happened to a file, without how long it took.
std::string fact(const Json& r)
{
    const Json& offset = r.at("offset_bytes");
    return r.at("op").get<std::string>() + " " + to_string(r.at("bytes").get<int>()) +
           (offset.is_null() ? "" : " " + to_string(offset.get<int>()));
}

std::vector<std::string> facts(const Records& records)
{
    std::vector<std::string> out;
    for (const Json& r : records)
        out.push_back(fact(r));
    return out;
}

// Each of these causes one row, the O_SYNC write two: its fsync ends before it does.
void do_everything(const std::string& path, bool is_fuse = false)
{
    const std::string data(4096, 'd');
    char buffer[500];
    const int fd = open_file(path, O_RDWR | O_CREAT);
    EXPECT_EQ(::pwrite(fd, data.data(), 1000, 0), 1000);
    EXPECT_EQ(::pwrite(fd, data.data(), 4096, 100'000), 4096);
    for (const int offset : {0, 77, 50'000})
        EXPECT_EQ(::pread(fd, buffer, 500, offset), 500);
    EXPECT_EQ(::pread(fd, buffer, 500, is_fuse ? 65'536 : 104'096), 0);
    EXPECT_EQ(::syscall(SYS_pread64, fd, 8, 500, 0), -1);
    EXPECT_EQ(errno, EFAULT);
    iovec parts[] = {{buffer, 100}, {buffer + 200, 11}};
    EXPECT_EQ(::preadv(fd, parts, 2, 5), 111);
    EXPECT_EQ(::fsync(fd), 0);
    struct stat st {
    };
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(::fstat(fd, &st), 0);
    const int end = open_file(path, O_WRONLY | O_APPEND);
    EXPECT_EQ(::write(end, data.data(), 10), 10);
    if (is_fuse)
        return;
    const int sync = open_file(path, O_WRONLY | O_SYNC);
    EXPECT_EQ(::pwrite(sync, data.data(), 4096, 4096), 4096);
}

const std::vector<std::string> kEverything = {
    "O 0",        "W 1000 0", "W 4096 100000", "R 500 0", "R 500 77", "R 500 50000",
    "R 0 104096", "R -14 0",  "R 111 5",       "S 0 0",   "G 0",      "G 0",
    "G 0",        "O 0",      "W 10 104096",   "O 0",     "S 0 4096", "W 4096 4096"};

struct FsRung {
    const char *fs, *rung;
};

class FsslowerOn : public testing::TestWithParam<FsRung>
{
};

INSTANTIATE_TEST_SUITE_P(FileSystems, FsslowerOn,
                         testing::Values(FsRung{"ext4", ""}, FsRung{"ext4", "kprobe"},
                                         FsRung{"xfs", ""}, FsRung{"xfs", "kprobe"},
                                         FsRung{"btrfs", ""}),
                         [](const auto& info) {
                             return std::string(info.param.fs) + "_" +
                                    (*info.param.rung ? info.param.rung : "default");
                         });

TEST_P(FsslowerOn, ShowsExactlyWhatAProcessDoes)
{
    const auto [fs, forced] = GetParam();
    TempDir dir(std::string("/mnt/") + fs);
    const std::string name = "a\nb\x1b[31m", path = make_deep(dir) + "/" + name;
    Child child([&] { do_everything(path); });
    const std::string tool = std::string(fs) + "slower";
    Tracer tracer({tool, "-F", "0", "--json", "--explain", "-p", to_string(child.pid())},
                  rung(forced));
    const pid_t pid = child.pid();
    child.go_wait();
    const Result result = tracer.wait();
    EXPECT_EQ(result.status, 0) << result.err;
    expect_exact(result);
    // A module's functions can be entered by fexit where modules have BTF.
    const bool has_types =
        has_module_types(fs) || has_function(std::string(fs) + "_file_read_iter");
    const std::string taken = *forced ? forced : has_types ? "fexit" : "kprobe";
    EXPECT_NE(result.err.find("  " + taken + ": taken (" + fs + "_file_read_iter)"),
              std::string::npos)
        << result.err;

    EXPECT_EQ(facts(result.records), kEverything);
    std::uint64_t last = 0;
    for (const Json& r : result.records) {
        EXPECT_EQ(r.at("path"), path);
        EXPECT_EQ(r.at("file"), name);
        EXPECT_EQ(r.at("pid"), pid);
        EXPECT_EQ(r.at("tid"), pid);
        EXPECT_EQ(r.at("uid"), 0);
        EXPECT_EQ(r.at("comm"), "guest_tests");
        EXPECT_GT(r.at("lat_ns"), 0);
        EXPECT_GE(r.at("time_ns"), last);
        last = r.at("time_ns");
    }
    // The write holds its fsync.
    ASSERT_EQ(result.records.size(), kEverything.size());
    EXPECT_GT(result.records[17].at("lat_ns"), result.records[16].at("lat_ns"));
}

TEST(Fsslower, ThresholdsOnASlowFileSystem)
{
    TempDir dir;
    const FuseServer server(dir.path(), std::chrono::milliseconds(60));
    const std::string path = dir / "slow";
    Child child([&] {
        do_everything(path, true);
        // As many fast operations as the server can do.
        const int fd = open_file(path, O_RDONLY);
        struct stat st {
        };
        for (int i = 0; i < 17; i++)
            EXPECT_EQ(::fstat(fd, &st), 0);
    });
    const std::string pid = to_string(child.pid());
    Tracer never({"fuseslower", "-m", "600000", "-p", pid, "--json"});
    Tracer slow({"fsslower", "-t", "fuse", "59.5", "-F", "-p", pid});
    child.go_wait();
    const Result n = never.wait(), s = slow.wait();
    EXPECT_EQ(n.status, 0) << n.err;
    expect_exact(n);
    EXPECT_EQ(n.account["seen"], 15 + 18);
    EXPECT_EQ(n.account["filtered"], 15 + 18);
    EXPECT_TRUE(n.records.empty());
    EXPECT_EQ(s.status, 0) << s.err;
    EXPECT_NE(s.err.find("fsslower: 33 seen = "), std::string::npos) << s.err;
    const auto rows = lines(s.out);
    ASSERT_FALSE(rows.empty());
    EXPECT_EQ(words(rows[0]), words("TIME COMM PID T BYTES OFF_KB LAT(ms) FILENAME"));
    std::map<std::string, int> reads; // by size
    for (std::size_t i = 1; i < rows.size(); i++) {
        const auto w = words(rows[i]);
        ASSERT_EQ(w.size(), 8u) << rows[i];
        EXPECT_EQ(w[1], "guest_tests");
        EXPECT_EQ(w[2], pid);
        EXPECT_GE(std::stod(w[6]), 59.5) << rows[i];
        EXPECT_EQ(w[7], path);
        if (w[3] == "R")
            reads[w[4]]++;
    }
    // Other operations may be slow too where the emulator is; the read that faults asks nobody.
    EXPECT_EQ(reads["500"], 3) << s.out;
    EXPECT_EQ(reads["111"], 1) << s.out;
}

TEST(Fsslower, AProcessKilledInACallLeavesNothingWrong)
{
    TempDir dir;
    const FuseServer server(dir.path(), std::chrono::milliseconds(300));
    const std::string path = dir / "slow";
    Gate reading;
    Child killed([&] {
        const int fd = open_file(path, O_RDONLY);
        char buffer[64];
        reading.open();
        [[maybe_unused]] const ssize_t n = ::pread(fd, buffer, sizeof buffer, 0);
    });
    Child next([&] {
        char buffer[64];
        EXPECT_EQ(::pread(open_file(path, O_RDONLY), buffer, sizeof buffer, 0), 64);
    });
    Tracer tracer({"fuseslower", "0", "--json", "--comm", "guest_tests"});
    Tracer files({"fileslower", "0", "--json", "--comm", "guest_tests"});
    const pid_t victim = killed.pid(), other = next.pid();
    killed.go();
    reading.wait();
    ::usleep(100'000); // it is in the call, or not yet: both have to be right
    ::kill(victim, SIGKILL);
    EXPECT_EQ(killed.wait(), 128 + SIGKILL);
    next.go_wait();
    // One that has the dead one's number, and does not read: of its start nothing may be left.
    write_file("/proc/sys/kernel/ns_last_pid", to_string(victim - 1));
    Child heir([&] { open_file(path, O_RDONLY); });
    EXPECT_EQ(heir.pid(), victim);
    heir.go_wait();
    const Result result = tracer.stop(), all = files.stop();
    EXPECT_EQ(result.status, 0) << result.err;
    expect_exact(result);
    const Records of_next = with(result.records, "pid", other);
    EXPECT_EQ(facts(of_next), (std::vector<std::string>{"O 0", "R 64 0"}));
    EXPECT_LE(with(with(result.records, "pid", victim), "op", "R").size(), 1u);
    expect_exact(all);
    const auto slow = [](const Json& r) { return r.at("file") == "slow"; };
    EXPECT_EQ(count_if(with(all.records, "pid", other), slow), 1u) << all.out;
    EXPECT_LE(count_if(with(all.records, "pid", victim), slow), 1u) << all.out;
    for (const Json& r : all.records)
        if (slow(r) && r.at("pid") == other) {
            EXPECT_EQ(r.at("bytes"), 64);
            EXPECT_GE(r.at("lat_ns"), 299'000'000);
        }
}

// What overlayfs does below, ext4slower shows, and fileslower what the program does.
TEST(Fsslower, OverlayfsOverExt4)
{
    const Overlay overlay;
    write_file(overlay.lower() + "/old", std::string(1000, 'x'));
    Child child([&] {
        char buffer[1000] = {};
        const int made = open_file(overlay.merged() + "/new", O_RDWR | O_CREAT);
        EXPECT_EQ(::pwrite(made, buffer, 1000, 0), 1000);
        EXPECT_EQ(::pread(made, buffer, 500, 77), 500);
        EXPECT_EQ(::pread(open_file(overlay.merged() + "/old", O_RDONLY), buffer, 11, 5), 11);
    });
    const std::string pid = to_string(child.pid());
    Tracer below({"ext4slower", "0", "-F", "--json", "-p", pid});
    Tracer above({"fileslower", "0", "-F", "--json", "-p", pid});
    child.go_wait();
    const Result b = below.wait(), a = above.wait();
    expect_exact(b);
    expect_exact(a);
    EXPECT_EQ(facts(b.records),
              (std::vector<std::string>{"O 0", "W 1000 0", "R 500 77", "O 0", "R 11 5"}));
    ASSERT_EQ(a.records.size(), 3u) << a.out;
    // Before 6.5 the files below have the paths of those above.
    const bool fake = !has_function("backing_file_open");
    for (std::size_t i = 0; i < b.records.size(); i++)
        EXPECT_EQ(b.records[i].at("path"),
                  i < 3 ? (fake ? overlay.merged() : overlay.upper()) + "/new"
                        : (fake ? overlay.merged() : overlay.lower()) + "/old");
    for (std::size_t i = 0; i < 3; i++) {
        EXPECT_EQ(a.records[i].at("path"), overlay.merged() + (i < 2 ? "/new" : "/old"));
        EXPECT_EQ(a.records[i].at("dir"), i ? "R" : "W");
        EXPECT_EQ(a.records[i].at("bytes"), i == 0 ? 1000 : i == 1 ? 500 : 11);
    }
}

// Libbpf's own way with BTF, which the kit falls back to. It is slow.
TEST(Fsslower, TypesByLibbpf)
{
    if (!has_module_types("xfs"))
        GTEST_SKIP() << "modules have no BTF here";
    const Result r = run({"xfsslower", "--check", "--explain"}, {{"COREBOX_BTF", "full"}});
    EXPECT_EQ(r.status, 0) << r.err;
    EXPECT_NE(r.err.find("fexit: taken (xfs_file_open)"), std::string::npos) << r.err;
}

TEST(Fsslower, OptionsAndOtherNames)
{
    Result r = run({"fsslower"});
    EXPECT_EQ(r.status, 1);
    EXPECT_EQ(lines(r.err).size(), 1u);
    EXPECT_NE(r.err.find("--type ext4|xfs|btrfs|nfs|f2fs|fuse|bcachefs|zfs"), std::string::npos);
    for (const std::vector<std::string>& bad :
         std::vector<std::vector<std::string>>{{"fsslower", "-t", "reiserfs"},
                                               {"ext4slower", "-m", "x"},
                                               {"ext4slower", "-1"},
                                               {"ext4slower", "1", "2"},
                                               {"ext4slower", "-m", "1e3"}}) {
        r = run(bad);
        EXPECT_EQ(r.status, 1) << bad.back();
        EXPECT_EQ(r.err.rfind(bad[0] + ": ", 0), 0u) << r.err; // the name that was typed
        EXPECT_EQ(lines(r.err).size(), 1u);
    }
    r = run({"zfsslower"});
    EXPECT_EQ(r.status, 2);
    EXPECT_EQ(r.err, "zfsslower: cannot trace zfs: its module is not loaded; modprobe zfs\n");
    r = run({"nfsslower", "--check", "--explain"});
    EXPECT_EQ(r.status, 0) << r.err;
    for (const char* name : {"(nfs_file_read)", "(nfs_getattr)", "(nfs4_file_open)",
                             "(nfs_atomic_open)", "(__nfs_commit_inode)", "(nfs_file_fsync)"})
        EXPECT_NE(r.err.find(name), std::string::npos) << r.err;
    r = run({"xfsslower", "--schema"});
    EXPECT_EQ(Json::parse(r.out).at("name"), "xfsslower");
    r = run({"fsslower", "--schema"});
    EXPECT_EQ(Json::parse(r.out).at("aliases").size(), 8u);

    TempDir dir("/mnt/ext4");
    Child child([&] { do_everything(dir / "f"); });
    const std::string pid = to_string(child.pid());
    Tracer csv({"ext4slower", "-j", "-m0", "-p", pid, "-d", "60"});
    child.go_wait();
    r = csv.wait();
    EXPECT_EQ(r.status, 0) << r.err;
    const auto rows = lines(r.out);
    ASSERT_EQ(rows.size(), 1 + kEverything.size()) << r.out;
    EXPECT_EQ(rows[0], "ENDTIME_us,TASK,PID,TYPE,BYTES,OFFSET_b,LATENCY_us,FILE"); // BCC's
    EXPECT_NE(rows[2].find(",guest_tests," + pid + ",W,1000,0,"), std::string::npos) << rows[2];
    EXPECT_TRUE(rows[2].ends_with(",f")) << rows[2];
    EXPECT_EQ(run({"ext4slower", "--csv", "--json"}).status, 1);
}

} // namespace
