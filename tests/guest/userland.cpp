// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "userland.hpp"
#include "process.hpp"
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace corebox::test
{

using namespace process;

namespace
{

constexpr const char* kRoot = "/u";
constexpr int kLimitMs = 120'000;

[[noreturn]] void exec(const std::vector<std::string>& argv, const Program::How& how, int in,
                       int out)
{
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::chroot(kRoot) != 0 || ::chdir("/") != 0) {
        dprintf(out, "chroot %s: %s\n", kRoot, strerrordesc_np(errno));
        ::_exit(125);
    }
    if (!how.input.empty())
        in = ::open(how.input.c_str(), O_RDONLY);
    ::dup2(in, 0);
    ::dup2(out, 1);
    ::dup2(out, 2);
    if (how.user &&
        (::setgroups(0, nullptr) != 0 || ::setgid(how.user) != 0 || ::setuid(how.user) != 0)) {
        dprintf(2, "user %u: %s\n", how.user, strerrordesc_np(errno));
        ::_exit(125);
    }
    ::prctl(PR_SET_PDEATHSIG, SIGKILL); // setuid() took it back
    ::clearenv();
    ::setenv("PATH", "/usr/bin:/usr/sbin:/usr/lib/postgresql/15/bin", 1);
    ::setenv("HOME", "/tmp", 1);
    ::setenv("LANG", "C.UTF-8", 1);
    for (const auto& [name, value] : how.env)
        ::setenv(name.c_str(), value.c_str(), 1);
    std::vector<char*> words;
    for (const std::string& word : argv)
        words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    ::execvp(words[0], words.data());
    dprintf(2, "exec %s: %s\n", words[0], strerrordesc_np(errno));
    ::_exit(127);
}

} // namespace

std::string userland(std::string_view path) { return kRoot + std::string(path); }

bool have_userland() { return ::access(userland("/usr/bin/env").c_str(), X_OK) == 0; }

Program::Program(const std::vector<std::string>& argv, const How& how) : argv_(argv)
{
    int pipe[2];
    if (::pipe2(pipe, O_CLOEXEC) != 0)
        give_up("pipe", errno);
    out_ = memory_file("out");
    std::fflush(nullptr);
    pid_ = ::fork();
    if (pid_ == 0)
        exec(argv_, how, pipe[0], out_);
    const int error = errno;
    ::close(pipe[0]);
    in_ = pipe[1];
    if (pid_ < 0)
        give_up("fork", error);
}

Program::~Program()
{
    if (pid_ > 0) {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    close_input();
    ::close(out_);
}

void Program::say_line(std::string_view line) const
{
    const std::string text = std::string(line) + "\n";
    if (::write(in_, text.data(), text.size()) != ssize_t(text.size()))
        give_up("write to " + argv_[0], errno);
}

void Program::close_input()
{
    if (const int fd = std::exchange(in_, -1); fd >= 0)
        ::close(fd);
}

std::string Program::out() const { return content(out_); }

void Program::wait_for(std::string_view text) const
{
    if (!wait_until([&] { return out().find(text) != std::string::npos; },
                    std::chrono::milliseconds(kLimitMs / 2)))
        give_up("no '" + std::string(text) + "' in the output of " + argv_[0] + "\n" + out());
}

void Program::kill(int signal) const
{
    if (pid_ > 0 && ::kill(pid_, signal) != 0)
        give_up("kill", errno);
}

int Program::wait()
{
    if (!ended(pid_, kLimitMs))
        give_up("still runs after two minutes: " + argv_[0] + "\n" + out());
    return reap(std::exchange(pid_, 0));
}

std::string run_program(const std::vector<std::string>& argv)
{
    Program program(argv);
    program.close_input();
    EXPECT_EQ(program.wait(), 0) << argv[0] << ": " << program.out();
    return program.out();
}

} // namespace corebox::test
