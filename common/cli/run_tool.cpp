// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cli/run_tool.hpp"
#include "cli/command_line.hpp"
#include "session/host.hpp"
#include <algorithm>

namespace corebox
{

Invocation::Invocation(const Called& called, std::span<char* const> arguments)
    : tool(called.alias ? under_alias(*called.tool, *called.alias) : *called.tool),
      arguments_(arguments.begin(), arguments.end())
{
    own_.emplace_back(tool.about.name);
    if (called.alias)
        for (const std::string_view argument : called.alias->arguments)
            if (!argument.empty())
                own_.emplace_back(argument);
}

std::vector<char*> Invocation::words()
{
    std::vector<char*> words;
    for (std::string& word : own_)
        words.push_back(word.data());
    words.insert(words.end(), arguments_.begin(), arguments_.end());
    words.push_back(nullptr);
    return words;
}

int run_tools(std::span<Invocation> invocations)
{
    std::string_view name = invocations.front().tool.about.name;
    std::vector<std::vector<char*>> words; // sessions keep views of them
    return guarded(name, [&] {
        Host host;
        bool any = false;
        for (Invocation& invocation : invocations) {
            auto session = std::make_unique<Session>(invocation.tool);
            session->interval = invocation.tool.interval;
            session->options = invocation.tool.make_options();
            auto& argv = words.emplace_back(invocation.words());
            parse_command_line(*session, session->options.get(), int(argv.size()) - 1, argv.data());
            host.fork_command(*session);
            if (auto run = invocation.tool.open(std::move(session), Host::make_sink)) {
                host.add(std::move(run));
                any = true;
            }
        }
        return any ? host.run() : Exit::complete;
    });
}

int run_tool(const Called& called, std::span<char* const> arguments)
{
    Invocation invocation(called, arguments);
    return run_tools({&invocation, 1});
}

int run_side_by_side(std::span<char* const> words)
{
    return guarded("corebox", [&] {
        std::vector<Invocation> invocations;
        const auto command =
            std::ranges::find(words, std::string_view("--"), [](const char* w) { return w; });
        for (auto at = words.begin(); at != words.end();) {
            auto end = std::find_if(at, std::min(command, words.end()),
                                    [](const char* w) { return std::string_view(w) == "+"; });
            const Called called = find_tool(*at);
            if (!called.tool)
                fail_usage(cat("no tool '", *at, "'"));
            if (end == command)
                end = words.end();
            invocations.emplace_back(called, std::span(at + 1, end));
            at = end == words.end() ? end : end + 1;
        }
        if (invocations.empty())
            fail_usage("missing TOOL");
        return Exit(run_tools(invocations));
    });
}

} // namespace corebox
