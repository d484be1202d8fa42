// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "shape/stack_words.hpp"
#include "shape/stack_row.hpp"
#include <algorithm>
#include <bpf/bpf.h>

namespace corebox
{
StackWords::StackWords(const StackOptions& options, const StackUnit& unit, ImageSymbols& user,
                       bpf_map* stacks, bpf_map* spill)
    : options_(options), unit_(unit), symbols_(user), stacks_(stacks), spill_(spill)
{
}

Frames StackWords::missing(std::int32_t id, bool wanted)
{
    return {.state = !wanted            ? Frames::State::unwanted
                     : id == STACK_NONE ? Frames::State::none
                                        : Frames::State::lost,
            .names = {},
            .kinds = {},
            .details = {}};
}

std::vector<__u64> read_stack(const bpf_map* stacks, const bpf_map* spill, std::int32_t id)
{
    const bpf_map* map = id & STACK_SPILLED ? spill : stacks;
    const __u32 key = __u32(id & ~STACK_SPILLED);
    std::vector<__u64> addresses(bpf_map__value_size(map) / sizeof(__u64));
    if (bpf_map_lookup_elem(bpf_map__fd(map), &key, addresses.data()) != 0)
        return {};
    addresses.erase(std::ranges::find(addresses, 0u), addresses.end());
    return addresses;
}

const Frames* StackWords::kernel(std::int32_t id)
{
    auto [at, is_new] = kernel_.try_emplace(id);
    Frames& frames = at->second;
    if (!is_new)
        return &frames;
    const std::vector<__u64> addresses =
        id < 0 ? std::vector<__u64>() : read_stack(stacks_, spill_, id);
    if (addresses.empty()) {
        frames = missing(id, !options_.user_only);
        return &frames;
    }
    if (!kernel_symbols_)
        kernel_symbols_ = KernelSymbols::load();
    frames.state = Frames::State::there;
    const std::size_t own =
        unit_.sampled
            ? 0
            : kernel_symbols_->own_frames(
                  {reinterpret_cast<const std::uint64_t*>(addresses.data()), addresses.size()});
    for (std::size_t i = own; i < addresses.size(); i++) {
        const At kind = i == 0 ? At::instruction : At::return_address;
        const auto frame = kernel_symbols_->lookup(addresses[i], kind);
        if (!frame)
            frames.names.push_back(keep(to_hex(addresses[i])));
        else if (frame->module.empty())
            frames.names.push_back(frame->name);
        else
            frames.names.push_back(keep(cat(frame->name, " [", frame->module, "]")));
        frames.kinds.push_back(FrameKind::kernel);
        if (options_.address || options_.offset) {
            std::string detail = options_.address ? cat(to_hex(addresses[i]), " ") : "";
            append_kernel_frame(detail, *kernel_symbols_, addresses[i],
                                {.offset = true, .module = options_.address}, kind);
            frames.details.push_back(keep(std::move(detail)));
        }
    }
    return &frames;
}

const Frames* StackWords::user(stack_task task, std::int32_t id)
{
    auto [at, is_new] = user_.try_emplace({task.pid, task.image, id});
    Frames& frames = at->second;
    if (!is_new)
        return &frames;
    const std::vector<__u64> addresses =
        id < 0 ? std::vector<__u64>() : read_stack(stacks_, spill_, id);
    if (addresses.empty()) {
        frames = missing(id, !options_.kernel_only);
        return &frames;
    }
    frames.state = Frames::State::there;
    bool was_nowhere = false;
    for (std::size_t i = 0; i < addresses.size(); i++) {
        const UserFrame frame =
            symbols_.lookup(task, addresses[i], i == 0 ? At::instruction : At::return_address);
        // Code without frame pointers leads the kernel astray: up to the last frame there may be
        // addresses where nothing is. One says as much as a hundred.
        const bool nowhere = !frame.resolved && frame.object.empty();
        if (nowhere && was_nowhere && !options_.address)
            continue;
        was_nowhere = nowhere;
        frames.names.push_back(frame.name);
        frames.kinds.push_back(frame.kind);
        if (options_.address || options_.offset) {
            std::string detail =
                cat(options_.address ? to_hex(addresses[i]) + " " : "", frame.name);
            if (frame.resolved)
                detail += cat("+", to_hex(frame.offset));
            if (options_.address && !frame.object.empty())
                detail += cat(" [", frame.object, "]");
            frames.details.push_back(keep(std::move(detail)));
        }
    }
    return &frames;
}

const Frames* StackWords::interrupt(const Frames& kernel)
{
    // Where the processor enters the kernel. 5.10 to 7.2, x86 with and without FRED, arm64.
    const auto entry = std::ranges::find_if(kernel.names, [](std::string_view name) {
        return name.starts_with("asm_sysvec_") || name == "asm_common_interrupt" ||
               name == "fred_extint" || name.starts_with("el1h_64_irq") ||
               name.starts_with("el0t_64_irq");
    });
    if (entry == kernel.names.end())
        return nullptr;
    const auto [at, is_new] = interrupts_.try_emplace(&kernel, kernel);
    if (is_new) {
        const auto n = std::size_t(entry - kernel.names.begin()) + 1;
        at->second.names.resize(n);
        at->second.kinds.resize(n);
        if (!at->second.details.empty())
            at->second.details.resize(n);
    }
    return &at->second;
}

} // namespace corebox
