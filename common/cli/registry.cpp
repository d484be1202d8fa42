// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cli/tool.hpp"
#include <algorithm>

// The linker's bounds of the section that tools register in.
extern "C" const corebox::Tool __start_corebox_tools[];
extern "C" const corebox::Tool __stop_corebox_tools[];

namespace corebox
{

std::vector<const Tool*> all_tools()
{
    std::vector<const Tool*> tools;
    for (const Tool* tool = __start_corebox_tools; tool != __stop_corebox_tools; tool++)
        tools.push_back(tool);
    std::ranges::sort(tools, {}, [](const Tool* tool) { return tool->about.name; });
    return tools;
}

} // namespace corebox
