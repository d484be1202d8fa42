// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// fsslower and fsdist on NFSv4.
#include "harness.hpp"
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <linux/nfsd/cld.h>
#include <memory>
#include <poll.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

namespace
{

using namespace corebox::test;
using std::to_string;

// NFSv4 over loopback with nothing but the kernel's own server and client. What rpc.mountd would
// answer, the test writes beforehand; Documentation/filesystems/nfs/rpc-cache.rst and exp_parse(),
// svc_export_parse() and expkey_parse() in the kernel say how.
class Nfs
{
public:
    Nfs()
    {
        for (const std::string& d : {exported(), mounted(), pipes()})
            make_directory(d);
        mount("tmpfs", exported(), "tmpfs", "");
        mount("rpc_pipefs", pipes(), "rpc_pipefs", "");
        clients_.go();
        mount("nfsd", kServer, "nfsd", "");
        // Versions 2 and 3 would want lockd, and that rpcbind.
        write_file(kServer + "/versions", "-2 -3 +4 +4.1 +4.2\n");
        write_file(kServer + "/portlist", "tcp 2049\n");
        const std::string until = to_string(std::time(nullptr) + 3600);
        constexpr int kInsecurePort = 0x4, kNoSubtreeCheck = 0x400, kFsid = 0x2000;
        write_file(kCaches + "auth.unix.ip/channel", "nfsd 127.0.0.1 " + until + " *\n");
        write_file(kCaches + "nfsd.export/channel",
                   "* " + exported() + " " + until + " " +
                       to_string(kInsecurePort | kNoSubtreeCheck | kFsid) + " 65534 65534 0\n");
        write_file(kCaches + "nfsd.fh/channel",
                   "* 1 \\x00000000 " + until + " " + exported() + "\n");
        write_file(kServer + "/threads", "2\n");
        Child mounter([&] {
            mount("127.0.0.1:/", mounted(), "nfs4", "vers=4.2,addr=127.0.0.1,clientaddr=127.0.0.1");
        });
        mounter.go_wait();
    }
    ~Nfs()
    {
        ::umount2(mounted().c_str(), MNT_DETACH);
        try {
            write_file(kServer + "/threads", "0\n");
            for (const char* cache : {"nfsd.fh", "nfsd.export", "auth.unix.ip"})
                write_file(kCaches + cache + "/flush", to_string(std::time(nullptr) + 1) + "\n");
        } catch (const std::exception& e) {
            ADD_FAILURE() << e.what();
        }
        EXPECT_EQ(::umount2(kServer.c_str(), 0), 0) << strerrordesc_np(errno);
        ::umount2(pipes().c_str(), MNT_DETACH);
        ::umount2(exported().c_str(), MNT_DETACH);
    }
    Nfs(const Nfs&) = delete;
    Nfs& operator=(const Nfs&) = delete;

    std::string exported() const { return dir_ / "exported"; }
    std::string mounted() const { return dir_ / "mounted"; }

private:
    static void make_directory(const std::string& path)
    {
        if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST)
            throw std::runtime_error(path + ": " + strerrordesc_np(errno));
    }
    static void mount(const std::string& what, const std::string& where, const std::string& type,
                      const std::string& options)
    {
        if (::mount(what.c_str(), where.c_str(), type.c_str(), 0, options.c_str()) != 0)
            throw std::runtime_error("mount " + what + ": " + strerrordesc_np(errno));
    }

    // In nfsdcld's place: of clients from before there are none, so that the server has no grace
    // period, in which nothing can be opened. It waits for this program when it starts.
    void know_no_clients() const
    {
        int fd = -1;
        wait_until([&] { return (fd = ::open((pipes() + "/nfsd/cld").c_str(), O_RDWR)) >= 0; });
        char message[sizeof(cld_msg_v2)];
        pollfd pipe{fd, POLLIN, 0}; // a read does not wait
        while (::poll(&pipe, 1, -1) == 1) {
            const ssize_t n = ::read(fd, message, sizeof message);
            if (n < 0)
                break;
            if (n == 0)
                continue;
            cld_msg head{};
            std::memcpy(&head, message, offsetof(cld_msg, cm_u) + sizeof head.cm_u.cm_version);
            head.cm_status = 0;
            if (head.cm_cmd == Cld_GetVersion)
                head.cm_u.cm_version = 1;
            std::memcpy(message, &head, offsetof(cld_msg, cm_u) + sizeof head.cm_u.cm_version);
            if (::write(fd, message, std::size_t(n)) != n)
                break;
        }
    }

    std::string pipes() const { return dir_ / "pipes"; }

    inline static const std::string kServer = "/proc/fs/nfsd", kCaches = "/proc/net/rpc/";
    TempDir dir_;
    Child clients_{[this] { know_no_clients(); }};
};

int open_file(const std::string& path, int flags)
{
    const int fd = ::open(path.c_str(), flags, 0644);
    EXPECT_GE(fd, 0) << path << ": " << strerrordesc_np(errno);
    return fd;
}

// One row each, in this order; commits (C) come with the fsync, and as the kernel likes.
const std::vector<std::string> kRows = {
    "O 0 - new",    "W 1000 0 new",   "W 4096 100000 new", "S 0 0 new",      "R 500 0 new",
    "R 500 77 new", "R 0 104096 new", "G 0 - new",         "G 0 - new",      "O 0 - new",
    "O 0 - new",    "O 0 - behind",   "O 0 - target",      "O -2 - missing", "O -17 - there",
};

// On the server, before: the client has never heard of these.
void prepare(const std::string& exported)
{
    for (const char* name : {"behind", "target", "there"})
        write_file(exported + "/" + name, "x");
    EXPECT_EQ(::symlink("target", (exported + "/link").c_str()), 0);
    EXPECT_EQ(::mkdir((exported + "/dir").c_str(), 0755), 0);
}

void do_everything(const std::string& top)
{
    const std::string data(4096, 'd');
    char buffer[500];
    const int fd = open_file(top + "/new", O_RDWR | O_CREAT); // nfs_atomic_open() makes it
    EXPECT_EQ(::pwrite(fd, data.data(), 1000, 0), 1000);
    EXPECT_EQ(::pwrite(fd, data.data(), 4096, 100'000), 4096);
    EXPECT_EQ(::fsync(fd), 0);
    EXPECT_EQ(::pread(fd, buffer, 500, 0), 500);
    EXPECT_EQ(::pread(fd, buffer, 500, 77), 500);
    EXPECT_EQ(::pread(fd, buffer, 500, 104'096), 0);
    struct stat st {
    };
    for (int i = 0; i < 2; i++)
        EXPECT_EQ(::fstat(fd, &st), 0);
    open_file(top + "/new", O_RDONLY); // known names: nfs4_file_open()
    open_file(top + "/new", O_WRONLY | O_CREAT);
    open_file(top + "/behind", O_RDONLY); // not known: nfs_atomic_open(), which makes nothing
    open_file(top + "/link", O_RDONLY);   // which leaves the link and the directory to others
    open_file(top + "/dir", O_RDONLY);
    EXPECT_EQ(::open((top + "/missing").c_str(), O_RDONLY), -1);
    EXPECT_EQ(errno, ENOENT);
    EXPECT_EQ(::open((top + "/there").c_str(), O_RDWR | O_CREAT | O_EXCL, 0600), -1);
    EXPECT_EQ(errno, EEXIST);
}

class FsslowerFsdistNfs : public EachRung
{
protected:
    static void SetUpTestSuite() { nfs_ = std::make_unique<Nfs>(); }
    static void TearDownTestSuite() { nfs_.reset(); }

    inline static std::unique_ptr<Nfs> nfs_; // its set-up takes longer than a test
};

INSTANTIATE_TEST_SUITE_P(Rungs, FsslowerFsdistNfs, testing::Values("", "kprobe"), rung_name);

TEST_P(FsslowerFsdistNfs, ShowWhatAProcessDoes)
{
    if (is("kprobe") && !has_module_types("nfs"))
        GTEST_SKIP() << "kprobes are the default where modules have no BTF";
    const std::string rung = is("") ? "default" : GetParam(), top = nfs_->mounted() + "/" + rung;
    ASSERT_EQ(::mkdir(top.c_str(), 0755), 0);
    prepare(nfs_->exported() + "/" + rung);
    Child child([&] { do_everything(top); });
    const pid_t pid = child.pid();
    Tracer slower({"nfsslower", "0", "-F", "--json", "--explain", "-p", to_string(pid)}, env());
    Tracer dist({"nfsdist", "--json", "-p", to_string(pid)}, env());
    child.go_wait();
    const Result rows = slower.wait(), counts = dist.wait();
    expect_exact(rows);
    expect_exact(counts);
    const std::string taken = is("") && has_module_types("nfs") ? "fexit" : "kprobe";
    for (const char* function : {"nfs_file_read", "nfs4_file_open", "nfs_atomic_open"})
        EXPECT_NE(rows.err.find("  " + taken + ": taken (" + function + ")"), std::string::npos)
            << rows.err;

    std::vector<std::string> seen;
    std::map<std::string, std::uint64_t> of_operation;
    for (const Json& r : rows.records) {
        EXPECT_EQ(r.at("pid"), pid);
        EXPECT_EQ(r.at("comm"), "guest_tests");
        EXPECT_GT(r.at("lat_ns"), 0);
        const std::string op = r.at("op");
        of_operation[op]++;
        if (op == "C") {
            EXPECT_EQ(r.at("file"), "new");
            continue;
        }
        const std::string file = r.at("file");
        EXPECT_EQ(r.at("path"), top + "/" + file);
        const Json& offset = r.at("offset_bytes");
        seen.push_back(op + " " + to_string(r.at("bytes").get<int>()) + " " +
                       (offset.is_null() ? "-" : to_string(offset.get<int>())) + " " + file);
    }
    EXPECT_EQ(seen, kRows) << rows.out;
    EXPECT_GE(of_operation["C"], 1u) << rows.out;
    for (const auto& [op, name] :
         {std::pair{"R", "read"}, std::pair{"W", "write"}, std::pair{"O", "open"},
          std::pair{"S", "fsync"}, std::pair{"G", "getattr"}, std::pair{"C", "commit"}}) {
        const Records of = with(counts.records, "operation", name);
        ASSERT_EQ(of.size(), 1u) << name;
        EXPECT_EQ(of[0].at("count"), of_operation[op]) << name;
    }
}

} // namespace
