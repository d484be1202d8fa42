// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The test program once more, as another program that does one thing once it may: for tests of
// programs that are started, replaced, or that have a library of their own.
#pragma once
#include "harness.hpp"
#include <cstdio>
#include <cstdlib>
#include <sys/wait.h>
#include <unistd.h>

namespace corebox::test
{

// Does `work` and ends where an OtherSelf of this name was started; else nothing. To be called
// before main().
template <class Work>
bool as_other_self(const char* name, Work work)
{
    const char* fds = std::getenv(name);
    if (!fds)
        return false;
    char byte = 'x';
    int here = 0, there = 0;
    if (std::sscanf(fds, "%d %d", &here, &there) != 2 || ::write(here, &byte, 1) != 1 ||
        ::read(there, &byte, 1) != 1)
        ::_exit(1);
    work();
    ::_exit(0);
}

// A process that executes a copy of this program at `path`, and waits there.
class OtherSelf
{
public:
    OtherSelf(const char* name, const std::string& path)
    {
        EXPECT_EQ(::pipe(here_), 0);
        EXPECT_EQ(::pipe(there_), 0);
        pid_ = ::fork();
        if (pid_ == 0) {
            const std::string fds = std::to_string(here_[1]) + " " + std::to_string(there_[0]);
            ::setenv(name, fds.c_str(), 1);
            ::execl(path.c_str(), "app", nullptr);
            ::_exit(127);
        }
        char byte = 0;
        EXPECT_EQ(::read(here_[0], &byte, 1), 1); // it runs
    }
    ~OtherSelf()
    {
        for (const int fd : {here_[0], here_[1], there_[0], there_[1]})
            ::close(fd);
    }
    OtherSelf(const OtherSelf&) = delete;
    OtherSelf& operator=(const OtherSelf&) = delete;

    pid_t pid() const { return pid_; }
    void go_wait() const
    {
        EXPECT_EQ(::write(there_[1], "x", 1), 1);
        int status = -1;
        EXPECT_EQ(::waitpid(pid_, &status, 0), pid_);
        EXPECT_EQ(status, 0);
    }

private:
    pid_t pid_ = 0;
    int here_[2]{}, there_[2]{};
};

} // namespace corebox::test
