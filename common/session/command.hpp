// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The command that a run traces: `-- COMMAND...`.
#pragma once
#include "base/fd.hpp"
#include <cstdint>
#include <span>
#include <string>

namespace corebox
{

// Forked before the probes are loaded, so that the filter knows its PID; it runs the command only
// once they are attached.
class Command
{
public:
    // The words of the command, with their terminating null.
    explicit Command(std::span<char* const> words);
    ~Command(); // a command that was never started is ended
    Command(const Command&) = delete;
    Command& operator=(const Command&) = delete;

    std::uint32_t pid() const { return std::uint32_t(pid_); }
    void start(); // lets it exec; fails where it cannot be

private:
    int pid_ = 0;
    Fd go_, failed_; // the latter has the errno of a command that could not be run
    std::string name_;
};

} // namespace corebox
