// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// User symbols of processes that may become other programs.
#pragma once
#include "abi/stacks.h"
#include "symbols/user.hpp"
#include <unordered_map>
#include <vector>

namespace corebox
{

// User symbols of processes that may become other programs (exec) or give their number to another
// process: a name is only ever looked up in the program that the stack was taken from.
class ImageSymbols
{
public:
    // Takes down what a process has mapped, if it still is that program; at most ten times a second
    // for each. False: later.
    bool note(stack_task task);
    // What it is now; 0 where that cannot be known.
    static std::uint32_t image(std::uint32_t pid);

    UserFrame lookup(stack_task task, std::uint64_t address, At at);

private:
    struct Image {
        std::uint32_t image;
        std::uint64_t noted_ns = 0;     // 0: never
        std::uint64_t fruitless_ns = 0; // when that did not help to name an address
    };
    std::size_t layer(stack_task task);

    std::unordered_map<std::uint32_t, std::vector<Image>> processes_;
    // A process's first program is looked up in the first, its second in the second ...
    std::vector<UserSymbols> layers_;
};

// Processes of which the kernel side saw stacks, until what they have mapped is noted.
class PendingImages
{
public:
    void add(const stack_task& task);
    void note_in(ImageSymbols& symbols);

private:
    std::vector<stack_task> tasks_;
};

} // namespace corebox
