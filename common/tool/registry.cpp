// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "tool/tool.hpp"
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

namespace
{

// The name that Debian (opensnoop-bpfcc), Fedora (bpf-opensnoop) and the sources of BCC and
// bpftrace (opensnoop.py, opensnoop.bt) add to.
std::string_view bare_name(std::string_view name)
{
    for (const std::string_view suffix : {"-bpfcc", ".py", ".bt"})
        if (name.ends_with(suffix))
            name.remove_suffix(suffix.size());
    for (const std::string_view prefix : {"bpf-", "bcc-"})
        if (name.starts_with(prefix))
            name.remove_prefix(prefix.size());
    return name;
}

Called find_exact(std::string_view name)
{
    for (const Tool* tool = __start_corebox_tools; tool != __stop_corebox_tools; tool++) {
        if (tool->about.name == name)
            return {tool};
        for (const Alias& alias : tool->about.aliases)
            if (alias.name == name)
                return {tool, &alias};
    }
    return {};
}

} // namespace

Called find_tool(std::string_view name)
{
    const Called called = find_exact(name);
    return called.tool ? called : find_exact(bare_name(name));
}

Tool under_alias(const Tool& tool, const Alias& alias)
{
    Tool t = tool;
    t.about.name = alias.name;
    t.about.summary = alias.summary;
    t.about.aliases = {};
    return t;
}

std::string alias_command(const Tool& tool, const Alias& alias)
{
    std::string out(tool.about.name);
    for (const std::string_view argument : alias.arguments)
        if (!argument.empty())
            out += cat(" ", argument);
    return out;
}

} // namespace corebox
