// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "symbols/image.hpp"
#include "output/output.hpp"
#include "symbols/process.hpp"
#include <algorithm>

namespace corebox
{
namespace
{

constexpr std::uint64_t kNoteAgainNs = 100'000'000;

} // namespace

std::uint32_t ImageSymbols::image(std::uint32_t pid)
{
    const auto stat = read_process_stat(pid);
    return stat ? STACK_IMAGE(stat->start_stack) : 0;
}

std::size_t ImageSymbols::layer(stack_task task)
{
    auto& images = processes_[task.pid];
    const auto known = std::ranges::find(images, task.image, &Image::image);
    const auto index = std::size_t(known - images.begin());
    if (known == images.end())
        images.push_back({task.image});
    while (layers_.size() <= index)
        layers_.push_back(layers_.empty() ? UserSymbols() : layers_.front().sibling());
    return index;
}

bool ImageSymbols::note(stack_task task)
{
    const std::size_t index = layer(task);
    Image& known = processes_[task.pid][index];
    const std::uint64_t now = monotonic_ns();
    // Again with further new stacks: it may have loaded a library or compiled code since.
    if (known.noted_ns && now - known.noted_ns < kNoteAgainNs)
        return false;
    if (const std::uint32_t is = image(task.pid); is && is != task.image)
        return true; // too late: it is another program already
    known.noted_ns = now;
    layers_[index].remember(task.pid);
    return true;
}

UserFrame ImageSymbols::lookup(stack_task task, std::uint64_t address, At at)
{
    const std::size_t index = layer(task);
    if (processes_[task.pid][index].noted_ns == 0) {
        note(task);
        if (processes_[task.pid][index].noted_ns == 0)
            return {.name = "[unknown]", .object = {}};
    }
    UserFrame frame = layers_[index].lookup_remembered(task.pid, address, at);
    // A library that was loaded since? Not where that did not help a moment ago: there are stacks
    // full of nonsense.
    Image& known = processes_[task.pid][index];
    const std::uint64_t now = monotonic_ns();
    if (!frame.object.empty() || now - known.fruitless_ns < kNoteAgainNs)
        return frame;
    if (image(task.pid) == task.image) {
        known.noted_ns = now;
        layers_[index].remember(task.pid);
        frame = layers_[index].lookup_remembered(task.pid, address, at);
    }
    if (frame.object.empty())
        known.fruitless_ns = now;
    return frame;
}

void PendingImages::add(const stack_task& task)
{
    const auto same = [&](const stack_task& t) {
        return t.pid == task.pid && t.image == task.image;
    };
    if (std::ranges::none_of(tasks_, same))
        tasks_.push_back(task);
}

void PendingImages::note_in(ImageSymbols& symbols)
{
    std::erase_if(tasks_, [&](const stack_task& task) { return symbols.note(task); });
}

} // namespace corebox
