// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// From a command line to a finished run, or to several side by side.
#pragma once
#include "tool/tool.hpp"
#include <span>
#include <string>
#include <vector>

namespace corebox
{

// One tool and its command line.
struct Invocation {
    Invocation(const Called& called, std::span<char* const> arguments);

    Tool tool; // under the name it was called by
    // As main() gets them: the name, an alias's arguments, those given, a null. They point into the
    // caller's words and into `own_`; the parser changes them where they are.
    std::vector<char*> words();

private:
    std::vector<std::string> own_; // of the alias
    std::vector<char*> arguments_;
};

// Runs the tools in this process, each with its own account, until the last has ended. Returns the
// worst exit status.
int run_tools(std::span<Invocation> invocations);

// `arguments`: without the name.
int run_tool(const Called& called, std::span<char* const> arguments);

// "opensnoop -x + runqlat 1 -- COMMAND": several tools, and a command for the last of them. Fails
// with a line on stderr where a word names no tool.
int run_side_by_side(std::span<char* const> words);

} // namespace corebox
