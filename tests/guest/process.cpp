// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "process.hpp"
#include <cerrno>
#include <chrono>
#include <cstring>
#include <poll.h>
#include <stdexcept>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace corebox::test::process
{

using Clock = std::chrono::steady_clock;

namespace
{

int decode(int status)
{
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

} // namespace

[[noreturn]] void give_up(const std::string& what, int code)
{
    throw std::runtime_error(code ? what + ": " + strerrordesc_np(code) : what);
}

int memory_file(const char* name)
{
    const int fd = memfd_create(name, MFD_CLOEXEC);
    if (fd < 0)
        give_up("memfd_create", errno);
    return fd;
}

std::string content(int fd)
{
    struct stat st {
    };
    if (fd < 0 || ::fstat(fd, &st) != 0)
        return {};
    std::string text(std::size_t(st.st_size), '\0');
    std::size_t done = 0;
    while (done < text.size()) {
        const ssize_t n = ::pread(fd, text.data() + done, text.size() - done, off_t(done));
        if (n <= 0)
            break;
        done += std::size_t(n);
    }
    text.resize(done);
    return text;
}

bool ended(pid_t pid, int limit_ms)
{
    const int fd = int(::syscall(SYS_pidfd_open, pid, 0));
    if (fd < 0)
        give_up("pidfd_open", errno);
    pollfd p{fd, POLLIN, 0};
    int n = 0;
    const auto end = Clock::now() + std::chrono::milliseconds(limit_ms);
    do {
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
        n = ::poll(&p, 1, int(std::max<long>(left, 0)));
    } while (n < 0 && errno == EINTR);
    ::close(fd);
    return n > 0;
}

int reap(pid_t pid)
{
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            give_up("waitpid", errno);
    return decode(status);
}

} // namespace corebox::test::process
