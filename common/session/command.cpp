// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "session/command.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace corebox
{

Command::Command(std::span<char* const> words) : name_(words[0])
{
    int go[2], failed[2];
    if (::pipe2(go, O_CLOEXEC) != 0 || ::pipe2(failed, O_CLOEXEC) != 0)
        fail("cannot create a pipe", errno);
    pid_ = ::fork();
    if (pid_ < 0)
        fail("cannot create a process for the command", errno);
    if (pid_ == 0) {
        ::close(go[1]);
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        char byte;
        // The other end closes without a byte when the tool could not start.
        if (::read(go[0], &byte, 1) != 1)
            ::_exit(127);
        ::prctl(PR_SET_PDEATHSIG, 0);
        ::execvp(words[0], words.data());
        const int code = errno;
        [[maybe_unused]] const ssize_t n = ::write(failed[1], &code, sizeof code);
        ::_exit(code == ENOENT ? 127 : 126);
    }
    ::close(go[0]);
    ::close(failed[1]);
    go_ = Fd(go[1]);
    failed_ = Fd(failed[0]);
}

Command::~Command()
{
    go_ = Fd();
    ::waitpid(pid_, nullptr, WNOHANG);
}

void Command::start()
{
    if (::write(go_.get(), "", 1) != 1)
        fail("cannot start the command", errno);
    go_ = Fd();
    // It closes when the command begins.
    int code = 0;
    if (::read(failed_.get(), &code, sizeof code) == sizeof code)
        fail(cat("cannot run ", name_), code);
    failed_ = Fd();
}

} // namespace corebox
