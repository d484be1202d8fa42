// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// One run of one tool: what the user asked for, in the terms of the kit.
#pragma once
#include "abi/filter.h"
#include "base/error.hpp"
#include "cli/tool.hpp"
#include "output/output.hpp"
#include <set>

namespace corebox
{

struct Session {
    explicit Session(const Tool& t) : tool(t) {}

    const Tool& tool;
    const void* options = nullptr; // the tool's own, for its callbacks that get only the session

    // Options that tools share.
    std::vector<std::uint32_t> pids, tids;
    std::uint32_t ppid = 0;
    User user;
    char comm[COMM_LEN] = {};
    std::string_view cgroup, cgroup_map, mntns_map;
    Seconds duration{0}, interval{0};
    std::uint64_t count = 0; // rows of a stream, intervals of the others; 0: no limit
    std::uint32_t buffer_kib = 0, buffer_pages = 0; // one or the other
    std::uint32_t rows = 0;                         // of a top tool
    Format format = Format::text;
    std::string_view columns, sort;
    std::string_view btf;            // where the kernel's types are, if not with the kernel
    std::span<const Target> targets; // what the slots of the tool's programs stand for in this run
    int ready_fd = -1;
    bool utc = false, explain = false, verbose = false, check = false, no_clear = false;
    std::vector<char*> command; // after "--", with its terminating null

    std::set<std::string_view> given_names;
    bool given(std::string_view long_name) const { return given_names.contains(long_name); }
    OutputOptions output_options() const;
    std::uint32_t buffer_bytes() const
    {
        return buffer_pages ? buffer_pages << 12 : buffer_kib << 10;
    }
};

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

// The number of the PID namespace that the tool is in; 0: the host's.
std::uint32_t own_pid_namespace();

// The kernel-side filter for what was asked; fails where a PID, cgroup or map does not exist.
// `tree_root` is the process of `-- command`, 0 if there is none.
task_filter make_filter(const Session& session, std::uint32_t tree_root);

// Whether anything restricts who is traced.
bool is_filtered(const Session& session);

// Runs `body` and turns a Failure into one line on stderr and its exit status.
int guarded(const Tool& tool, const std::function<Exit()>& body);

// One line "tool: text" on stderr.
void say(const Tool& tool, std::string_view text);

} // namespace corebox
