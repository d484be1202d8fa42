// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Stacks of single events (bpf/event_stacks.bpf.h) in words: below a row of text, or as columns.
#pragma once
#include "abi/event_stacks.h"
#include "output/value.hpp"
#include "symbols/image.hpp"
#include "symbols/kernel.hpp"
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace corebox
{

// What the command line says of them; a tool's Options has one as a base or a member.
struct EventStackOptions {
    bool kernel = false, user = false;
    std::uint32_t depth = 0; // 0: as deep as the kernel goes, at most EVENT_STACK_DEPTH
};

// Before load: which stacks are taken, of how many frames. Fails where the kernel goes less deep.
void prepare_event_stacks(const EventStackOptions& options, event_stacks_config& config);

// The stacks of the last event that was given to it. Kernel symbols are read with the first stack,
// a process's with its first: a process that ends before its first event is read has addresses
// only.
class EventStacks
{
public:
    // Each name behind its address.
    void show_addresses(bool yes) { addresses_shown_ = yes; }

    // The struct event_stacks at byte `at` of a record. False where the record does not hold it.
    bool take(std::span<const std::byte> record, std::size_t at, std::uint32_t pid);

    // The function that a return address of the kernel is in.
    std::string function_of(std::uint64_t address);

    // As columns: arrays of "name+0x1f [object]", leaf first; null where there is none.
    Value kernel() const { return kernel_.value(); }
    Value user() const { return user_.value(); }

    // As lines below a row.
    void append(std::string& out, std::size_t indent = 8) const;

    // The addresses: what makes two stacks one.
    std::span<const std::uint64_t> addresses() const { return addresses_; }

private:
    struct Lines {
        std::vector<std::string> texts;
        std::vector<std::string_view> names;
        void add(std::size_t n, std::string text);
        void end(std::size_t n);
        Value value() const
        {
            return names.empty() ? Value() : Value(List{names.data(), names.size()});
        }
    };

    void name_kernel(std::span<const std::uint64_t> addresses);
    void name_user(std::span<const std::uint64_t> addresses, stack_task task);

    bool addresses_shown_ = false;
    std::vector<std::uint64_t> addresses_;
    std::optional<KernelSymbols> kernel_symbols_;
    ImageSymbols user_symbols_;
    Lines kernel_, user_;
};

} // namespace corebox
