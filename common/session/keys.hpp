// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Single keys from the terminal, as screen tools take them.
#pragma once
#include <termios.h>

namespace corebox
{

// While it is active the terminal gives each key at once and does not show it; Ctrl-C stays what it
// is. The terminal is as before after release() and when this is destroyed.
class Keys
{
public:
    // Active only if asked for, where standard input and output are a terminal and this process is
    // in its foreground.
    explicit Keys(bool wanted);
    ~Keys() { release(); }
    Keys(const Keys&) = delete;
    Keys& operator=(const Keys&) = delete;

    bool active() const { return active_; }
    // The next key that was pressed; 0: none. Does not wait.
    char next() const;
    void release();

private:
    bool active_ = false;
    termios before_{};
};

} // namespace corebox
