// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "output/escape.hpp"
#include "session/session.hpp"
#include <algorithm>
#include <new>
#include <unistd.h>

namespace corebox
{

namespace
{

void say_line(std::string line, std::string_view text)
{
    // Names in it may be those of a traced process: escaped, unless they are already.
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('\\', at), text.size());
        escape_text(line, text.substr(at, end - at), false);
        if (end < text.size())
            line += '\\';
        at = end + 1;
    }
    line += '\n';
    // One write, so that lines of several processes do not mix. If it fails there is nobody to
    // report that to.
    [[maybe_unused]] const ssize_t n = ::write(STDERR_FILENO, line.data(), line.size());
}

} // namespace

void say(std::string_view name, std::string_view text) { say_line(cat(name, ": "), text); }

int guarded(std::string_view name, const std::function<Exit()>& body)
try {
    return int(body());
} catch (const Failure& failure) {
    say(name,
        failure.status == Exit::usage ? cat(failure.message, " (see --help)") : failure.message);
    if (!failure.below.empty())
        for (const std::string_view line : split(failure.below, '\n'))
            say_line("  ", line);
    return int(failure.status);
} catch (const std::bad_alloc&) {
    say(name, "out of memory");
    return int(Exit::cannot_run);
}

} // namespace corebox
