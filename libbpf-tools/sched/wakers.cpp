// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "wakers.hpp"
#include "output/escape.hpp"

namespace corebox
{
namespace
{

constexpr std::string_view kInterrupt = "[irq]";
const Frames kUnwanted{.state = Frames::State::unwanted, .names = {}, .kinds = {}, .details = {}};

bool lost(const Frames* frames) { return frames->state == Frames::State::lost; }

} // namespace

bool read_wake_key(const void* bytes, StackWords& words, StackRow& row, const StackOptions& options,
                   bool as_rows)
{
    const auto& key = *static_cast<const wake_key*>(bytes);
    read_stack_key(&key.target, words, row, options, as_rows);
    StackPartner& by = row.partner;
    by.kernel = words.kernel(key.waker.kernel);
    by.user = words.user({key.waker.pid, key.waker.image}, key.waker.user);
    const bool complete =
        !lost(row.kernel) && !lost(row.user) && !lost(by.kernel) && !lost(by.user);
    if (key.waker.comm[0] == 0)
        return complete; // nobody: it was not waiting for anyone
    if (const Frames* interrupt = words.interrupt(*by.kernel)) {
        by = {.comm = kInterrupt, .kernel = interrupt};
    } else {
        by.comm = c_str(key.waker.comm);
        by.pid = key.waker.pid;
        by.tid = key.waker.tid;
    }
    if (options.user_only) // it was taken to tell interrupts
        by.kernel = &kUnwanted;
    return complete;
}

void append_waking_task(std::string& out, std::string_view what, std::string_view comm,
                        std::uint32_t pid, std::uint32_t tid, bool with_ids,
                        const StackOptions& options)
{
    std::string head = cat("    ", what);
    head.resize(21, ' ');
    out += head;
    if (comm.empty()) {
        out += "-\n";
        return;
    }
    escape_text(out, comm, false);
    if (with_ids && pid)
        out += options.threads ? cat(" ", pid, "/", tid) : cat(" ", pid);
    out += '\n';
}

} // namespace corebox
