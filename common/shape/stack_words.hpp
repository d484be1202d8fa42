// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Stacks of a map of stacks in words.
#pragma once
#include "shape/stack_options.hpp"
#include "symbols/image.hpp"
#include "symbols/kernel.hpp"
#include <bpf/libbpf.h>
#include <deque>
#include <map>
#include <optional>
#include <tuple>
#include <unordered_map>

namespace corebox
{

// One stack in words. Views live as long as the symbols they came from.
struct Frames {
    enum class State : std::uint8_t { there, none, lost, unwanted } state = State::none;
    std::vector<std::string_view> names; // leaf first
    std::vector<FrameKind> kinds;
    // With -A: "0xffffffff81000000 name+0x1f [module]"; with -s: "name+0x1f"
    std::vector<std::string_view> details;

    bool operator==(const Frames&) const = default;
};
inline const Frames kNoFrames{};

// Addresses leaf first; nothing where the stack cannot be read.
std::vector<__u64> read_stack(const bpf_map* stacks, const bpf_map* spill, std::int32_t id);

struct StackUnit;

// The stacks of map entries in words. Kernel symbols are read when the first stack needs them.
class StackWords
{
public:
    StackWords(const StackOptions& options, const StackUnit& unit, ImageSymbols& user,
               bpf_map* stacks, bpf_map* spill);

    const Frames* kernel(std::int32_t id);
    const Frames* user(stack_task task, std::int32_t id);
    // Of a kernel stack that was taken in an interrupt: the frames of that, without those of what
    // was interrupted. Null if it was taken in none.
    const Frames* interrupt(const Frames& kernel);
    // There were kernel stacks, but the kernel does not show its symbols.
    bool kernel_hidden() const { return kernel_symbols_ && !kernel_symbols_->has_names(); }

private:
    std::string_view keep(std::string text) { return arena_.emplace_back(std::move(text)); }
    static Frames missing(std::int32_t id, bool wanted);

    const StackOptions& options_;
    const StackUnit& unit_;
    ImageSymbols& symbols_;
    bpf_map* stacks_;
    bpf_map* spill_;
    std::optional<KernelSymbols> kernel_symbols_;
    std::unordered_map<std::int32_t, Frames> kernel_;
    std::map<std::tuple<std::uint32_t, std::uint32_t, std::int32_t>, Frames> user_;
    std::unordered_map<const Frames*, Frames> interrupts_;
    std::deque<std::string> arena_;
};

} // namespace corebox
