// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#pragma once

#include "symbols/kernel.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace corebox
{

enum class FrameKind : std::uint8_t {
    process, // not code: the comm that a folded line or a flame graph starts with
    user,
    jit, // user code without a file, named by a perf map or not at all
    kernel,
    marker, // "[Missed Kernel Stack]" and the like
};

struct StackFrame {
    std::string_view name;
    FrameKind kind = FrameKind::user;
};

// Appends one frame of a folded line: escaped as text is (output/escape.hpp), and ';', which
// separates frames, becomes ':'. Empty: "[unknown]". No traced process can forge a line or a frame.
void append_folded_name(std::string& out, std::string_view name);

struct FoldOptions {
    bool delimiter = false; // -d: a frame "-" between user and kernel, where both are there
    bool annotate = false;  // -a: "_[k]" behind the name of each kernel frame
};

// Appends one line as flamegraph.pl takes it, with its newline:
//   comm;user frames, outermost first;[-;]kernel frames, outermost first COUNT
// The frames are given as the kernel gives them: leaf first.
void append_folded(std::string& out, std::string_view comm, std::span<const StackFrame> user,
                   std::span<const StackFrame> kernel, std::uint64_t count,
                   FoldOptions options = {});

struct FrameStyle {
    bool offset = false; // name+0x1f
    bool module = false; // name [nfs]; of the kernel itself: name [kernel]
};

// One kernel frame of a multi-line stack, without newline; an address without a name is 0x….
void append_kernel_frame(std::string& out, const KernelSymbols& symbols, std::uint64_t address,
                         FrameStyle style, At at = At::instruction);

} // namespace corebox
