// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A mirror of two disks, made without mdadm, and the flushes that it is asked for.
#include "block.hpp"
#include <csignal>
#include <linux/major.h>
#include <linux/raid/md_p.h>
#include <linux/raid/md_u.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

namespace
{

using namespace corebox::test;
using std::to_string;

// /dev/mdN of two disks of RAM; without a superblock, so that nothing is written to them.
class Mirror
{
public:
    explicit Mirror(unsigned number) : name_("md" + to_string(number))
    {
        const dev_t device = makedev(MD_MAJOR, number);
        const std::string path = "/dev/" + name_;
        ::mknod(path.c_str(), S_IFBLK | 0600, device);
        fd_ = ::open(path.c_str(), O_RDWR | O_CLOEXEC); // makes it, where it does not exist
        EXPECT_GE(fd_, 0) << path << ": " << std::strerror(errno);
        mdu_array_info_t array{};
        array.major_version = 0;
        array.minor_version = 90;
        array.level = 1;
        array.size = 8 << 10; // KiB
        array.raid_disks = array.nr_disks = array.active_disks = array.working_disks = 2;
        array.not_persistent = 1;
        array.state = 1; // MD_SB_CLEAN: nothing to synchronise
        EXPECT_EQ(::ioctl(fd_, SET_ARRAY_INFO, &array), 0) << std::strerror(errno);
        for (int i = 0; i < 2; i++) {
            struct stat st {
            };
            const std::string part = "/dev/ram" + to_string(number % 8 * 2 + unsigned(i));
            EXPECT_EQ(::stat(part.c_str(), &st), 0) << part;
            mdu_disk_info_t disk{};
            disk.number = disk.raid_disk = i;
            disk.state = (1 << MD_DISK_ACTIVE) | (1 << MD_DISK_SYNC);
            disk.major = int(major(st.st_rdev));
            disk.minor = int(minor(st.st_rdev));
            EXPECT_EQ(::ioctl(fd_, ADD_NEW_DISK, &disk), 0) << part << std::strerror(errno);
        }
        mdu_param_t run{};
        EXPECT_EQ(::ioctl(fd_, RUN_ARRAY, &run), 0) << std::strerror(errno);
    }
    ~Mirror()
    {
        EXPECT_TRUE(wait_until([this] { return ::ioctl(fd_, STOP_ARRAY, nullptr) == 0; }))
            << std::strerror(errno);
        ::close(fd_);
        ::unlink(("/dev/" + name_).c_str());
    }
    Mirror(const Mirror&) = delete;
    Mirror& operator=(const Mirror&) = delete;

    const std::string& name() const { return name_; }
    std::string path() const { return "/dev/" + name_; }

private:
    std::string name_;
    int fd_ = -1;
};

void flush(const std::string& path, unsigned n)
{
    const File disk(path);
    for (unsigned i = 0; i < n; i++)
        EXPECT_EQ(::fsync(disk.fd()), 0) << std::strerror(errno);
}

class Mdflush : public testing::Test
{
protected:
    static void SetUpTestSuite() { ASSERT_EQ(shell("modprobe brd && modprobe raid1").status, 0); }
};

TEST_F(Mdflush, TellsWhoFlushesWhichArray)
{
    const Mirror one(0), two(1);
    for (const char* rung : {"", "kprobe", "fentry"}) {
        if (*rung == 'f' && kernel() == "5.10") // has no BTF of modules
            continue;
        const Environment env = *rung ? Environment{{"COREBOX_PROBES", rung}} : Environment{};
        pid_t pid = 0;
        const Result r = unpreempted([&] {
            Tracer tracer({"mdflush", "--json"}, env);
            Child child([&] { flush(one.path(), 3); });
            pid = child.pid();
            child.go_wait();
            flush(two.path(), 2);
            return tracer.stop(SIGINT);
        });
        EXPECT_EQ(r.status, 0) << r.err;
        expect_exact(r);
        const Records by_child = with(r.records, "pid", pid),
                      by_us = with(r.records, "pid", ::getpid());
        EXPECT_EQ(by_child.size(), 3u) << rung << r.out;
        EXPECT_EQ(by_us.size(), 2u) << rung << r.out;
        EXPECT_EQ(with(by_child, "device", one.name()).size(), 3u);
        EXPECT_EQ(with(by_us, "device", two.name()).size(), 2u);
        for (const Json& e : by_us)
            EXPECT_EQ(e.at("bytes"), 0);
    }
    const Result explained = run({"mdflush", "--check", "--explain", "-l"});
    EXPECT_EQ(explained.status, 0) << explained.err;
    EXPECT_NE(explained.err.find(kernel() == "5.10" ? "kprobe: taken" : "fentry: taken"),
              std::string::npos)
        << explained.err;

    // Of one array, when they are done.
    for (const char* rung : {"", "raw_tp"}) {
        const Environment env = *rung ? Environment{{"COREBOX_PROBES", rung}} : Environment{};
        const Result r = unpreempted([&] {
            Tracer tracer({"mdflush", "--json", "-l", "-d", two.name()}, env);
            flush(one.path(), 3);
            flush(two.path(), 2);
            const File disk(two.path(), O_RDWR | O_DIRECT | O_DSYNC);
            disk.write(1);
            return tracer.stop(SIGINT);
        });
        EXPECT_EQ(r.status, 0) << r.err;
        EXPECT_GE(r.records.size(), 3u) << r.out;
        EXPECT_EQ(r.records.size(), with(r.records, "device", two.name()).size());
        EXPECT_GE(r.account.at("filtered"), 3);
        for (const Json& e : r.records) {
            EXPECT_GT(e.at("lat_ms"), 0);
            EXPECT_EQ(e.at("error"), "");
        }
    }
    const Result filtered = unpreempted([&] {
        Tracer tracer({"mdflush", "--json", "-p", to_string(::getpid())});
        Child child([&] { flush(one.path(), 3); });
        child.go_wait();
        flush(one.path(), 1);
        return tracer.stop(SIGINT);
    });
    EXPECT_EQ(filtered.records.size(), 1u) << filtered.out;

    Tracer tracer({"mdflush"});
    flush(one.path(), 1);
    const Result text = tracer.stop();
    const auto out = lines(text.out);
    ASSERT_EQ(out.size(), 2u) << text.out;
    EXPECT_EQ(words(out[0]), (std::vector<std::string>{"TIME", "PID", "COMM", "DEVICE"}));
    EXPECT_EQ(words(out[1]).at(0).size(), 8u);
    EXPECT_EQ(words(out[1]).at(1), to_string(::getpid()));
    EXPECT_EQ(words(out[1]).at(3), one.name());
    EXPECT_EQ(run({"mdflush", "-d", "nosuchdisk"}).status, 2);
}

TEST_F(Mdflush, NamesTheModuleThatIsMissing)
{
    ASSERT_EQ(shell("rmmod raid1 && rmmod md_mod").status, 0);
    const Result r = run({"mdflush"});
    EXPECT_EQ(r.status, 2);
    EXPECT_NE(r.err.find("module md_mod is not loaded"), std::string::npos) << r.err;
    EXPECT_EQ(lines(r.err).size(), 1u);
    ASSERT_EQ(shell("modprobe raid1").status, 0);
}

} // namespace
