// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#pragma once

#include "symbols/stack.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace corebox
{

struct FlameStack {
    std::vector<StackFrame> frames; // outermost first; usually the comm, then user, then kernel
    std::uint64_t weight = 0;       // in FlameOptions::unit
};

struct FlameOptions {
    std::string title = "Flame graph";
    std::string subtitle = {};    // what was measured, where, for how long
    std::string unit = "samples"; // of the weights, plural
    // Frames narrower than this part of the whole are left out of the drawing (and said to be):
    // a tenth of a pixel on a wide screen.
    double min_width = 0.00005;
};

// Appends a flame graph as one self-contained SVG: readable without JavaScript, and in a browser
// interactive (zoom by click, search, details, keyboard). It refers to nothing outside itself, and
// holds names of traced processes as text only, never as markup or script.
void write_flame_graph(std::string& out, const FlameOptions& options,
                       std::span<const FlameStack> stacks);

} // namespace corebox
