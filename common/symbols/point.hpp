// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Where a program can run: a function of the kernel or of a program, a USDT probe, a tracepoint.
#pragma once
#include "base/fd.hpp"
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace corebox
{

// A program or library, held open: what the path is now may be another file.
struct ObjectFile {
    std::string path; // as the process that maps it sees it
    Fd file;
};

struct LaterPoints;

// What a program is run at: a function of the kernel or of a program, a probe that a program was
// built with (USDT), or a tracepoint.
struct Point {
    std::string name;          // "vfs_read", "malloc", "libc:setjmp", "sched:sched_switch"
    std::string module{};      // of a kernel function; empty: the kernel itself
    std::uint64_t address = 0; // of a kernel function; 0: the kernel does not tell (no CAP_SYSLOG)
    std::uint64_t offset = 0;  // behind the entry of a kernel function
    enum class Kind : std::uint8_t { kernel, user, usdt, tracepoint } kind = Kind::kernel;
    std::shared_ptr<const ObjectFile> object{}; // of user and usdt
    struct Site {
        std::uint64_t offset;    // in the file, of the instruction
        std::uint64_t semaphore; // of usdt: in the file, of its count of users; 0: none
        std::shared_ptr<const ObjectFile> object{}; // if it is another than the point's
    };
    // Of user and usdt; several where a probe was inlined, or the library is there several times.
    std::vector<Site> sites{};
    std::shared_ptr<const LaterPoints> later{}; // of user and usdt: null where files are fixed
};

// The points of a pattern in files of a library that processes map later.
struct LaterPoints {
    std::string library; // as in -lNAME
    std::function<std::vector<Point>(const std::shared_ptr<const ObjectFile>&)> find;
};
using KernelFunction = Point;

} // namespace corebox
