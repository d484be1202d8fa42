// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A counted stack as a row: columns, BCC's blocks and folded lines, the frames of a flame graph.
#pragma once
#include "output/column.hpp"
#include "shape/stack_words.hpp"
#include "symbols/stack.hpp"

namespace corebox
{

// The task at the other end, of tools that tell of two (who woke it). Views as in a row.
struct StackPartner {
    std::string_view comm; // empty: there was none
    std::uint32_t pid = 0, tid = 0;
    const Frames* kernel = &kNoFrames;
    const Frames* user = &kNoFrames;
};

struct StackRow {
    std::string_view comm;
    std::uint32_t pid = 0, tid = 0;
    std::uint64_t events = 0, total = 0;
    std::string_view event{}; // of a tool that counts several (StackLook::row)
    const Frames* kernel = nullptr;
    const Frames* user = nullptr;
    std::uint32_t detail = 0; // stack_key::detail
    StackPartner partner{};
    std::uint64_t time_ns = 0; // of the report

    // A stack as a column: null where it was lost or not taken, empty where there is none.
    static Value names(const Frames& frames);
    static Value details(const Frames& frames);
};

// Rows for the tools' tables of columns.
namespace stack_column
{
inline constexpr Column comm = col<&StackRow::comm>("comm", "COMM", 16, "Command name");
inline constexpr Column pid = col<&StackRow::pid>("pid", "PID", 7, "Process ID");
inline constexpr Column tid =
    col<&StackRow::tid>("tid", "TID", 7, "Thread ID", costly("per-thread"));
inline constexpr Column kernel = col<[](const StackRow& r) { return StackRow::names(*r.kernel); }>(
    "kernel", "KERNEL", 0, "Kernel functions, leaf first", without("user-stacks-only"));
inline constexpr Column user = col<[](const StackRow& r) { return StackRow::names(*r.user); }>(
    "user", "USER", 0, "User functions, leaf first", without("kernel-stacks-only"));
inline constexpr Column kernel_address =
    col<[](const StackRow& r) { return StackRow::details(*r.kernel); }>(
        "kernel_address", "KERNEL-ADDRESS", 0, "The same functions with addresses",
        costly("address"));
inline constexpr Column user_address =
    col<[](const StackRow& r) { return StackRow::details(*r.user); }>(
        "user_address", "USER-ADDRESS", 0, "The same functions with addresses", costly("address"));
} // namespace stack_column

// BCC's block: frames leaf first, process, weight, empty line.
void append_block(std::string& out, const StackRow& row, const StackOptions& options,
                  const StackUnit& unit);
// BCC's folded line.
void append_folded(std::string& out, const StackRow& row, const StackOptions& options,
                   const StackUnit& unit);
// The frames of a flame graph, outermost first: process, user, kernel. `names` keeps what is made.
void flame_frames(std::vector<StackFrame>& frames, const StackRow& row, const StackOptions& options,
                  std::deque<std::string>& names);
// Adds a stack, leaf first or the outermost first, or what stands for one that was lost.
void append_stack(std::vector<StackFrame>& frames, const Frames& stack, std::string_view missed,
                  bool outermost_first);
// A folded line of what a tool's own flame_frames() gives.
void append_folded_flame(std::string& out, const StackRow& row, const StackOptions& options,
                         const StackUnit& unit, decltype(&flame_frames) frames);
// Fills all of a row but its weight; `key` is what the tool counts under, a stack_key or what
// begins with one. False: a stack was lost. `as_rows`: columns are printed, not BCC's text.
bool read_stack_key(const void* key, StackWords& words, StackRow& row, const StackOptions& options,
                    bool as_rows);

// How a tool of this shape counts, and what is its own in the printing.
struct StackUnit {
    std::string_view name = "samples"; // plural, for the flame graph
    bool total = false;                // what is printed: stack_value::total, not ::events
    std::uint64_t divisor = 1;         // of the total: 1000 for microseconds
    bool sampled = false; // stacks of the interrupted code: no frames of our own on top
    decltype(&read_stack_key) read = read_stack_key;
    void (*block)(std::string&, const StackRow&, const StackOptions&,
                  const StackUnit&) = append_block;
    void (*folded)(std::string&, const StackRow&, const StackOptions&,
                   const StackUnit&) = append_folded;
    decltype(&flame_frames) flame = flame_frames;
};

inline std::uint64_t stack_weight(const StackRow& row, const StackUnit& unit)
{
    return unit.total ? row.total / unit.divisor : row.events;
}

// Joins rows that read the same, and sorts them by weight, the heaviest last.
void merge_stacks(std::vector<StackRow>& rows, const StackUnit& unit);

// One line a frame, indented, leaf first or the outermost first. `missed`: what stands for a stack
// that was lost.
void append_frames(std::string& out, const Frames& frames, std::string_view missed,
                   bool outermost_first = false, std::string_view kernel_suffix = {});
inline constexpr std::string_view kMissedKernel = "[Missed Kernel Stack]";
inline constexpr std::string_view kMissedUser = "[Missed User Stack]";

} // namespace corebox
