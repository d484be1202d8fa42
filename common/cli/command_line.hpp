// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// From argv to what the user asked for, and what --schema, man pages and completions say of it.
#pragma once
#include "session/session.hpp"
#include <functional>
#include <string>
#include <vector>

namespace corebox
{

// Parses argv (argp); --help, --usage, --version and --schema print and end the process with
// status 0. Fails with a usage error, one line. `options` is the tool's own struct.
void parse_command_line(Session& session, void* options, int argc, char** argv);

// --schema: the tool's declaration as JSON.
std::string schema(const Tool& tool);

// "--pids or --tids" of "pids|tids", the option of a column; `mark` sets each name off.
std::string either(
    std::string_view options, const std::function<std::string(std::string)>& mark =
                                  [](const std::string& name) { return name; });

// What the command line takes, as man pages and completions show it.
struct ListedOption {
    const Option* option;
    std::string_view name; // as this tool spells it
    std::vector<std::string_view> aliases;
    std::string letters;    // all; the first is the one to show
    std::string_view group; // title; empty: the tool's own
};
inline constexpr std::string_view kFilterTitle = "Filters", kCommonTitle = "Common options";
std::vector<ListedOption> listed_options(const Tool& tool);
std::vector<const Option*> listed_operands(const Tool& tool);

} // namespace corebox
