// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Opens that io_uring does for a process: no open system call is made for them.
#include "harness.hpp"
#include <fcntl.h>
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace
{

using namespace corebox::test;

// The smallest io_uring: one request at a time, waited for.
class Uring
{
public:
    Uring() : fd_(int(::syscall(SYS_io_uring_setup, 4, &params_)))
    {
        if (fd_ < 0)
            throw std::runtime_error("io_uring_setup");
        submission_ = map(params_.sq_off.array + params_.sq_entries * 4, IORING_OFF_SQ_RING);
        completion_ = map(params_.cq_off.cqes + params_.cq_entries * sizeof(io_uring_cqe),
                          IORING_OFF_CQ_RING);
        entries_ = reinterpret_cast<io_uring_sqe*>(
            map(params_.sq_entries * sizeof(io_uring_sqe), IORING_OFF_SQES));
    }
    ~Uring() { ::close(fd_); }

    // openat(2) by io_uring: a descriptor or a negative errno.
    int open(const char* path, int flags, unsigned mode)
    {
        const unsigned tail = *at(submission_, params_.sq_off.tail);
        const unsigned slot = tail & *at(submission_, params_.sq_off.ring_mask);
        io_uring_sqe& e = entries_[slot];
        e = {};
        e.opcode = IORING_OP_OPENAT;
        e.fd = AT_FDCWD;
        e.addr = reinterpret_cast<std::uint64_t>(path);
        e.len = mode;
        e.open_flags = unsigned(flags);
        at(submission_, params_.sq_off.array)[slot] = slot;
        __atomic_store_n(at(submission_, params_.sq_off.tail), tail + 1, __ATOMIC_RELEASE);
        if (::syscall(SYS_io_uring_enter, fd_, 1, 1, IORING_ENTER_GETEVENTS, nullptr, 0) != 1)
            throw std::runtime_error("io_uring_enter");
        const unsigned head = *at(completion_, params_.cq_off.head);
        const auto* cqes = reinterpret_cast<const io_uring_cqe*>(completion_ + params_.cq_off.cqes);
        const int result = cqes[head & *at(completion_, params_.cq_off.ring_mask)].res;
        __atomic_store_n(at(completion_, params_.cq_off.head), head + 1, __ATOMIC_RELEASE);
        return result;
    }

private:
    char* map(std::size_t size, std::uint64_t offset) const
    {
        void* p = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd_,
                         off_t(offset));
        if (p == MAP_FAILED)
            throw std::runtime_error("mmap of an io_uring");
        return static_cast<char*>(p);
    }
    static unsigned* at(char* ring, unsigned offset)
    {
        return reinterpret_cast<unsigned*>(ring + offset);
    }

    io_uring_params params_{};
    int fd_;
    char *submission_, *completion_;
    io_uring_sqe* entries_;
};

void sees_opens(const char* rung)
{
    const TempDir dir;
    const std::string file = dir / "there", missing = dir / "missing", made = dir / "made";
    write_file(file, "x");
    Child child([&] {
        Uring ring;
        EXPECT_GE(ring.open(file.c_str(), O_RDONLY, 0), 0);
        EXPECT_EQ(ring.open(missing.c_str(), O_RDONLY, 0), -ENOENT);
        EXPECT_GE(ring.open(made.c_str(), O_CREAT | O_WRONLY, 0640), 0);
    });
    const pid_t pid = child.pid();
    Tracer tracer({"opensnoop", "--json", "-p", std::to_string(pid)}, forced(rung));
    child.go_wait();
    const Result result = tracer.wait();
    expect_exact(result);
    const Records there = with(result.records, "path", file);
    const Records gone = with(result.records, "path", missing);
    const Records created = with(result.records, "path", made);
    ASSERT_EQ(there.size(), 1u);
    ASSERT_EQ(gone.size(), 1u);
    ASSERT_EQ(created.size(), 1u);
    EXPECT_EQ(there[0]["pid"], pid);
    EXPECT_EQ(created[0]["mode"], 0640);
    // Before 5.19 the result of an open that a worker thread did is not to be had: it is null,
    // never a number that would be wrong.
    if (!has_member("io_kiocb", "cqe")) {
        EXPECT_TRUE(gone[0]["fd"].is_null() || gone[0]["fd"] == -1) << gone[0];
        EXPECT_TRUE(gone[0]["err"].is_null() || gone[0]["err"] == ENOENT) << gone[0];
    } else {
        EXPECT_GE(there[0]["fd"], 0);
        EXPECT_EQ(gone[0]["fd"], -1);
        EXPECT_EQ(gone[0]["error"], "ENOENT");
        EXPECT_GE(created[0]["fd"], 0);
    }
}

TEST(OpensnoopUring, SeesOpens)
{
    sees_opens("");
    const std::string what = run({"opensnoop", "--check", "--explain"}).err;
    EXPECT_NE(
        what.find(has_sessions()
                      ? "  session: taken"
                      : "  session: the kernel has no kprobe sessions (Linux 6.10, CONFIG_FPROBE)\n"
                        "  kprobe: taken"),
        std::string::npos)
        << what;
}
TEST(OpensnoopUring, SeesOpensByFexit) { sees_opens("fexit"); }
TEST(OpensnoopUring, SeesOpensByKprobe) { sees_opens("kprobe"); }

} // namespace
