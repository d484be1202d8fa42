// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "shape/event_stacks.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "output/escape.hpp"
#include "session/perf.hpp"
#include <algorithm>
#include <cstring>

namespace corebox
{
void prepare_event_stacks(const EventStackOptions& options, event_stacks_config& config)
{
    const std::uint64_t limit = std::min<std::uint64_t>(
        kernel_setting("perf_event_max_stack").value_or(EVENT_STACK_DEPTH), EVENT_STACK_DEPTH);
    if (options.depth > limit)
        fail(cat("cannot record ", options.depth, " frames of a stack"),
             cat("the limit here is ", limit));
    config.kernel = options.kernel;
    config.user = options.user;
    config.depth = options.depth ? options.depth : std::uint32_t(limit);
}

void EventStacks::Lines::add(std::size_t n, std::string text)
{
    if (texts.size() <= n)
        texts.resize(n + 1);
    texts[n] = std::move(text);
}

void EventStacks::Lines::end(std::size_t n)
{
    names.assign(texts.begin(), texts.begin() + std::ptrdiff_t(n));
}

bool EventStacks::take(std::span<const std::byte> record, std::size_t at, std::uint32_t pid)
{
    // Of the event before.
    addresses_.clear();
    kernel_.end(0);
    user_.end(0);
    constexpr std::size_t kHead = offsetof(event_stacks, addresses);
    if (record.size() < kHead || record.size() - kHead < at)
        return false;
    event_stacks head; // a record's end may lie at any address
    std::memcpy(&head, record.data() + at, kHead);
    const auto bytes = record.subspan(at + kHead);
    const std::size_t kernel = head.kernel_len / sizeof(__u64),
                      user = head.user_len / sizeof(__u64);
    if (bytes.size() / sizeof(__u64) < kernel + user)
        return false;
    addresses_.resize(kernel + user);
    std::memcpy(addresses_.data(), bytes.data(), addresses_.size() * sizeof(__u64));
    name_kernel(std::span(addresses_).first(kernel));
    name_user(std::span(addresses_).subspan(kernel), {pid, head.image});
    return true;
}

std::string EventStacks::function_of(std::uint64_t address)
{
    if (!kernel_symbols_)
        kernel_symbols_ = KernelSymbols::load();
    const auto frame = kernel_symbols_->lookup(address, At::return_address);
    return frame ? std::string(frame->name) : to_hex(address);
}

void EventStacks::name_kernel(std::span<const std::uint64_t> addresses)
{
    if (addresses.empty())
        return kernel_.end(0);
    if (!kernel_symbols_)
        kernel_symbols_ = KernelSymbols::load();
    const std::size_t own = kernel_symbols_->own_frames(addresses);
    for (std::size_t i = own; i < addresses.size(); i++) {
        std::string line = addresses_shown_ ? cat(to_hex(addresses[i]), " ") : "";
        append_kernel_frame(line, *kernel_symbols_, addresses[i], {.offset = true, .module = true},
                            i == 0 ? At::instruction : At::return_address);
        kernel_.add(i - own, std::move(line));
    }
    kernel_.end(addresses.size() - own);
}

void EventStacks::name_user(std::span<const std::uint64_t> addresses, stack_task task)
{
    if (!addresses.empty())
        user_symbols_.note(task);
    std::size_t n = 0;
    bool was_nowhere = false;
    for (std::size_t i = 0; i < addresses.size(); i++) {
        const UserFrame frame =
            user_symbols_.lookup(task, addresses[i], i == 0 ? At::instruction : At::return_address);
        // Code without frame pointers leads the kernel astray; one such frame says it all.
        const bool nowhere = !frame.resolved && frame.object.empty();
        if (nowhere && was_nowhere)
            continue;
        was_nowhere = nowhere;
        std::string line(frame.name);
        if (nowhere)
            line = to_hex(addresses[i]);
        else if (frame.resolved)
            line += cat("+", to_hex(frame.offset));
        if (frame.resolved && !frame.object.empty())
            line += cat(" [", frame.object, "]");
        if (addresses_shown_ && !nowhere)
            line = cat(to_hex(addresses[i]), " ", line);
        user_.add(n++, std::move(line));
    }
    user_.end(n);
}

void EventStacks::append(std::string& out, std::size_t indent) const
{
    for (const Lines* lines : {&kernel_, &user_})
        for (const std::string_view name : lines->names) {
            out.append(indent, ' ');
            escape_text(out, name, false);
            out += '\n';
        }
}

} // namespace corebox
