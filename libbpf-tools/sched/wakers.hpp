// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What the tools have in common that tell who woke a thread: rows and columns of two tasks.
#pragma once
#include "offcpu.hpp"
#include "wakers.h"

namespace corebox
{

// StackUnit::read for a struct wake_key. The target is the row, the waker its partner: of a wakeup
// in an interrupt that is no task, but "[irq]" with the interrupt's stack.
bool read_wake_key(const void* key, StackWords& words, StackRow& row, const StackOptions& options,
                   bool as_rows);

// "    target:          sh 181"; with_ids: process, with --per-thread the thread too.
void append_waking_task(std::string& out, std::string_view what, std::string_view comm,
                        std::uint32_t pid, std::uint32_t tid, bool with_ids,
                        const StackOptions& options);

namespace wake_column
{
inline Value name_of(const StackPartner& waker)
{
    return waker.comm.empty() ? Value(Absent{}) : Value(waker.comm);
}
inline Value number_of(const StackPartner& waker, std::uint32_t id)
{
    return waker.comm.empty() || id == 0 ? Value(Absent{}) : Value(id);
}

inline constexpr Column target =
    col<&StackRow::comm>("target", "TARGET", 16, "Command name of the thread that was woken");
inline constexpr Column target_pid =
    col<&StackRow::pid>("target_pid", "PID", 7, "Process ID of the thread that was woken");
inline constexpr Column target_tid = col<&StackRow::tid>(
    "target_tid", "TID", 7, "Thread ID of the thread that was woken", costly("per-thread"));
inline constexpr Column waker = col<[](const StackRow& r) { return name_of(r.partner); }>(
    "waker", "WAKER", 16, "Command name of the waker; [irq] for an interrupt");
inline constexpr Column waker_pid =
    col<[](const StackRow& r) { return number_of(r.partner, r.partner.pid); }>(
        "waker_pid", "WAKER-PID", 9, "Process ID of the waker");
inline constexpr Column waker_tid =
    col<[](const StackRow& r) { return number_of(r.partner, r.partner.tid); }>(
        "waker_tid", "WAKER-TID", 9, "Thread ID of the waker", costly("per-thread"));
inline constexpr Column state = col<[](const StackRow& r) { return state_letter(r.detail); }>(
    "state", "STATE", 5, "State while it waited: S sleeping, D uninterruptible, ...");
inline constexpr Column count = col<&StackRow::events>("count", "COUNT", -8, "Number of waits");
inline constexpr Column total = col<[](const StackRow& r) { return r.total / 1000; }>(
    "total_us", "TOTAL(us)", -12, "Total time in microseconds");
} // namespace wake_column

} // namespace corebox
