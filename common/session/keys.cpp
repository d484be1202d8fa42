// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "session/keys.hpp"
#include <csignal>
#include <unistd.h>

namespace corebox
{
namespace
{

// In the background, reading from the terminal or setting it would stop the process (SIGTTIN,
// SIGTTOU), and the shell has made its own settings.
bool in_foreground() { return ::tcgetpgrp(STDIN_FILENO) == ::getpgrp(); }

} // namespace

Keys::Keys(bool wanted)
{
    if (!wanted || !::isatty(STDIN_FILENO) || !::isatty(STDOUT_FILENO) || !in_foreground() ||
        ::tcgetattr(STDIN_FILENO, &before_) != 0)
        return;
    termios now = before_;
    now.c_lflag &= ~tcflag_t(ICANON | ECHO);
    now.c_cc[VMIN] = 0;
    now.c_cc[VTIME] = 0;
    now.c_cc[VQUIT] = _POSIX_VDISABLE; // it would end us without a chance to restore anything
    active_ = ::tcsetattr(STDIN_FILENO, TCSANOW, &now) == 0;
}

char Keys::next() const
{
    char key = 0;
    return active_ && in_foreground() && ::read(STDIN_FILENO, &key, 1) == 1 ? key : '\0';
}

void Keys::release()
{
    if (active_ && in_foreground())
        ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
    active_ = false;
}

} // namespace corebox
