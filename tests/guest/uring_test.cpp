// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Opens that io_uring does for a process: no open system call is made for them.
#include "harness.hpp"
#include "uring.hpp"
#include <fcntl.h>

namespace
{

using namespace corebox::test;

// openat(2) by io_uring: a descriptor or a negative errno.
int open_by(Uring& ring, const char* path, int flags, unsigned mode)
{
    io_uring_sqe e{};
    e.opcode = IORING_OP_OPENAT;
    e.fd = AT_FDCWD;
    e.addr = reinterpret_cast<std::uint64_t>(path);
    e.len = mode;
    e.open_flags = unsigned(flags);
    return ring.run(e);
}

void sees_opens(const char* rung)
{
    const TempDir dir;
    const std::string file = dir / "there", missing = dir / "missing", made = dir / "made";
    write_file(file, "x");
    Child child([&] {
        Uring ring;
        EXPECT_GE(open_by(ring, file.c_str(), O_RDONLY, 0), 0);
        EXPECT_EQ(open_by(ring, missing.c_str(), O_RDONLY, 0), -ENOENT);
        EXPECT_GE(open_by(ring, made.c_str(), O_CREAT | O_WRONLY, 0640), 0);
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
