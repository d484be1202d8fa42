// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// How a run ends, and the one error type: "cannot go on", thrown in the kit, caught in one place.
#pragma once
#include <string>
#include <string_view>

namespace corebox
{

enum class Exit : int {
    complete = 0,   // ran, every event accounted for
    usage = 1,      // the command line is wrong
    cannot_run = 2, // something that the tool needs is missing here
    lost = 3,       // ran, but events were lost
    output = 4,     // the output could not be written
};

struct Failure {
    Exit status;
    std::string message; // one line
    // Lines that stand below it: a text that is wrong, and carets below the place.
    std::string below{};
};

// Throws Failure{cannot_run}: "cannot open /proc/kallsyms: Permission denied; run as root".
// `attempted` says what was tried, `code` is a positive errno (0: `attempted` has the reason, too),
// `hint` what the user can do.
[[noreturn]] void fail(std::string_view attempted, int code, std::string_view hint = {});

// The same for a reason that is no errno: "cannot trace CPU 9: this machine has no such CPU".
[[noreturn]] void fail(std::string_view attempted, std::string_view reason,
                       std::string_view hint = {});

// Throws Failure{usage}.
[[noreturn]] void fail_usage(std::string message, std::string below = {});

} // namespace corebox
