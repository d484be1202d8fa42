// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// BCC's patterns of what to trace, and the points that they choose:
//   func  p::func          kernel functions
//   lib:func  p:lib:func   functions of a library (c for libc), a program or a file (by its path)
//   :func                  with -p: of the process' program
//   t:category:event       tracepoints
//   u:lib:probe  u:lib:provider:probe   probes that a program was built with (USDT); with -p the
//                          lib may be left out: all that the process has mapped
// The last part is a pattern; with r in the place of p returns are meant.
#pragma once
#include "probe/functions.hpp"
#include "symbols/elf.hpp"
#include "symbols/user_files.hpp"
#include <optional>
#include <span>

namespace corebox
{
class KernelBtf;

struct PointPattern {
    // Takes the text apart; fails with a usage error where it is none. Views into it.
    explicit PointPattern(std::string_view text);

    Point::Kind kind = Point::Kind::kernel;
    bool returns = false;
    std::string_view object{};   // library, program or path; empty: see above
    std::string_view provider{}; // of usdt; empty: any
    std::string_view name{};     // the pattern
    bool of_program = false;     // ":func"
};

// The points that a pattern chooses, each once. With `pids`: in these processes' files, found as
// they see them. Fails where the pattern is malformed, the object is not there, or tracefs is
// needed and missing; the result may be empty. *own: how many of tracing itself a pattern of kernel
// functions would choose beside (leave_out_own()). `types`: the kernel's, where they have been read
// already.
std::vector<Point> find_points(const PointPattern& pattern, FunctionPattern::Syntax syntax,
                               std::span<const std::uint32_t> pids = {}, std::size_t* own = nullptr,
                               KernelBtf* types = nullptr);
// The same, but of a library that is named without a path ("c") and without processes: in this
// host's and in each distinct file that some process maps, or will (Point::later). A point is then
// what has that name, in all of them.
std::vector<Point> find_points_everywhere(const PointPattern& pattern,
                                          FunctionPattern::Syntax syntax,
                                          std::span<const std::uint32_t> pids, std::size_t* own);

// The functions of files that a pattern chooses; what is no ELF file has none.
std::vector<Point> find_functions_in(std::span<const Object> objects,
                                     const FunctionPattern& pattern);

// "category:event" of all events that can be traced, sorted. Fails without tracefs.
std::vector<std::string> all_tracepoints();

} // namespace corebox
