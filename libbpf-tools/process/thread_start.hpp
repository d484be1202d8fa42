// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Which function a new thread runs; user space of thread_start.bpf.h.
#pragma once
#include "probe/user_probe.hpp"
#include "shape/stacks.hpp"

namespace corebox
{

// C libraries, old ones with a library of its own for threads, and musl's.
inline constexpr UserSite kPthreadCreate{.libraries = {"c", "pthread", "ld-musl-"},
                                         .symbol = "pthread_create"};

inline constexpr std::string_view kPthreadCreateBlind =
    "threads that no pthread_create() makes; the first milliseconds of a C library that no "
    "process used before";

// The names of such functions, which may be of another program by now. Remembers the symbols of the
// last processes.
class ThreadFunctions
{
public:
    std::string_view name(stack_task process, std::uint64_t start)
    {
        constexpr unsigned kMostRemembered = 1024;
        if (last_.pid != process.pid || last_.image != process.image) {
            if (remembered_++ == kMostRemembered) {
                symbols_ = ImageSymbols();
                remembered_ = 1;
            }
            symbols_.note(process);
            last_ = process;
        }
        return symbols_.lookup(process, start, At::instruction).name;
    }

private:
    ImageSymbols symbols_;
    unsigned remembered_ = 0;
    stack_task last_{};
};

} // namespace corebox
