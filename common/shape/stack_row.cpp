// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "shape/stack_row.hpp"
#include "output/escape.hpp"
#include "shape/alike.hpp"
#include <algorithm>
#include <tuple>

namespace corebox
{
namespace
{

std::vector<StackFrame> as_stack(const Frames& frames, std::string_view missed)
{
    std::vector<StackFrame> stack;
    if (frames.state == Frames::State::lost)
        stack.push_back({missed, FrameKind::marker});
    for (std::size_t i = 0; i < frames.names.size(); i++)
        stack.push_back({frames.names[i], frames.kinds[i]});
    return stack;
}

// -A in a folded line: the address is part of the name.
std::vector<StackFrame> folded_stack(const Frames& frames, std::string_view missed)
{
    std::vector<StackFrame> stack = as_stack(frames, missed);
    for (std::size_t i = 0; i < frames.details.size(); i++)
        stack[i].name = frames.details[i];
    return stack;
}

} // namespace

void append_frames(std::string& out, const Frames& frames, std::string_view missed,
                   bool outermost_first, std::string_view kernel_suffix)
{
    if (frames.state == Frames::State::lost)
        out += cat("    ", missed, "\n");
    for (std::size_t n = 0; n < frames.names.size(); n++) {
        const std::size_t i = outermost_first ? frames.names.size() - 1 - n : n;
        out += "    ";
        escape_text(out, frames.details.empty() ? frames.names[i] : frames.details[i], false);
        if (frames.kinds[i] == FrameKind::kernel)
            out += kernel_suffix;
        out += '\n';
    }
}

Value StackRow::names(const Frames& frames)
{
    if (frames.state == Frames::State::lost || frames.state == Frames::State::unwanted)
        return Absent{};
    return List{frames.names.data(), frames.names.size()};
}

Value StackRow::details(const Frames& frames)
{
    if (frames.state == Frames::State::lost || frames.state == Frames::State::unwanted)
        return Absent{};
    return List{frames.details.data(), frames.details.size()};
}

void merge_stacks(std::vector<StackRow>& rows, const StackUnit& unit)
{
    const auto text = [](const StackRow& r) {
        const StackPartner& p = r.partner;
        return std::tie(r.event, r.comm, r.pid, r.tid, r.user->state, r.kernel->state,
                        r.user->names, r.kernel->names, r.user->details, r.kernel->details,
                        r.detail, p.comm, p.pid, p.tid, p.user->state, p.kernel->state,
                        p.user->names, p.kernel->names, p.user->details, p.kernel->details);
    };
    join_alike(rows, text, [](StackRow& into, const StackRow& from) {
        into.events += from.events;
        into.total += from.total;
    });
    // Equal weights stay in the order of their text: two runs over the same data print the same.
    std::ranges::stable_sort(rows, {}, [&](const StackRow& r) { return stack_weight(r, unit); });
}

void append_block(std::string& out, const StackRow& row, const StackOptions& options,
                  const StackUnit& unit)
{
    append_frames(out, *row.kernel, kMissedKernel, false, options.annotations ? "_[k]" : "");
    if (options.delimited && !row.kernel->names.empty() && !row.user->names.empty())
        out += "    --\n";
    append_frames(out, *row.user, kMissedUser);
    out += "    -                ";
    escape_text(out, row.comm, false);
    out += options.threads ? cat(" (", row.pid, "/", row.tid, ")") : cat(" (", row.pid, ")");
    out += cat("\n        ", stack_weight(row, unit), "\n\n");
}

void append_folded(std::string& out, const StackRow& row, const StackOptions& options,
                   const StackUnit& unit)
{
    const auto user = folded_stack(*row.user, kMissedUser);
    const auto kernel = folded_stack(*row.kernel, kMissedKernel);
    const std::string comm =
        options.threads ? cat(row.comm, "-", row.pid, "/", row.tid) : std::string(row.comm);
    append_folded(out, comm, user, kernel, stack_weight(row, unit),
                  {.delimiter = options.delimited, .annotate = options.annotations});
}

void flame_frames(std::vector<StackFrame>& frames, const StackRow& row, const StackOptions& options,
                  std::deque<std::string>& names)
{
    std::string_view process = row.comm;
    if (options.threads)
        process = names.emplace_back(cat(row.comm, "-", row.pid, "/", row.tid));
    frames.push_back({process, FrameKind::process});
    const auto user = as_stack(*row.user, kMissedUser);
    const auto kernel = as_stack(*row.kernel, kMissedKernel);
    frames.insert(frames.end(), user.rbegin(), user.rend());
    frames.insert(frames.end(), kernel.rbegin(), kernel.rend());
}

void append_stack(std::vector<StackFrame>& frames, const Frames& stack, std::string_view missed,
                  bool outermost_first)
{
    const auto leaf_first = as_stack(stack, missed);
    if (outermost_first)
        frames.insert(frames.end(), leaf_first.rbegin(), leaf_first.rend());
    else
        frames.insert(frames.end(), leaf_first.begin(), leaf_first.end());
}

void append_folded_flame(std::string& out, const StackRow& row, const StackOptions& options,
                         const StackUnit& unit, decltype(&flame_frames) flame)
{
    std::vector<StackFrame> frames;
    std::deque<std::string> names;
    flame(frames, row, options, names);
    for (const StackFrame& frame : frames) {
        if (&frame != &frames.front())
            out += ';';
        append_folded_name(out, frame.name);
        if (options.annotations && frame.kind == FrameKind::kernel)
            out += "_[k]";
    }
    out += cat(" ", stack_weight(row, unit), "\n");
}

bool read_stack_key(const void* bytes, StackWords& words, StackRow& row, const StackOptions&,
                    bool as_rows)
{
    const auto& key = *static_cast<const stack_key*>(bytes);
    row.comm = c_str(key.comm);
    row.pid = key.pid;
    row.tid = key.tid;
    row.detail = as_rows ? key.detail : 0;
    row.kernel = words.kernel(key.kernel);
    row.user = words.user({key.pid, key.image}, key.user);
    return row.kernel->state != Frames::State::lost && row.user->state != Frames::State::lost;
}

} // namespace corebox
