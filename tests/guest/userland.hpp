// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Real programs: those of scripts/userland, which a guest of scripts/vm --userland has at /u.
#pragma once
#include "harness.hpp"
#include <string>
#include <string_view>
#include <vector>

namespace corebox::test
{

// A file of the userland as the test program names it: userland("/usr/bin/python3").
std::string userland(std::string_view path);

// This guest has them: x86_64 only. A test that needs them skips itself elsewhere.
bool have_userland();

// A program of the userland in the background, its root the userland, PATH and LANG set. Most
// start, wait on their standard input, are attached to, and go on by say_line(): then nothing of
// their start is in the counts. Killed by the destructor, and if the test program dies.
class Program
{
public:
    struct How {
        Environment env{}; // besides PATH, HOME and LANG
        unsigned user = 0; // its user and group: 104 postgres, 105 mysql, 1000 user
        std::string
            input{}; // a file of the userland that is its standard input, in place of say_line()
    };

    explicit Program(const std::vector<std::string>& argv) : Program(argv, How{}) {}
    Program(const std::vector<std::string>& argv, const How& how);
    ~Program();
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;

    pid_t pid() const { return pid_; }

    void say_line(std::string_view line = {}) const; // and a newline
    void close_input();                              // what it reads next is the end

    // What it has written up to now, to standard output and error alike.
    std::string out() const;
    void wait_for(std::string_view text) const; // until that stands there; throws after a minute

    void kill(int signal) const;
    int wait(); // its exit status, 128 + signal; throws after two minutes

private:
    std::vector<std::string> argv_;
    pid_t pid_ = 0;
    int in_ = -1, out_ = -1;
};

// Runs one to its end, which must be status 0; returns what it wrote.
std::string run_program(const std::vector<std::string>& argv);

} // namespace corebox::test
