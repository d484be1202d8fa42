// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What the user asked a tool for, in the terms of the kit.
#pragma once
#include "abi/filter.h"
#include "base/erased.hpp"
#include "base/error.hpp"
#include "output/output.hpp"
#include "tool/connection.hpp"
#include "tool/tool.hpp"
#include <memory>
#include <set>

namespace corebox
{

class KernelBtf;
class LaterFiles;
class Where;

struct Session {
    explicit Session(const Tool& t) : tool(t) {}

    const Tool tool;
    // The tool's own options, of a type that only it knows.
    Erased options;
    template <class Options>
    const Options& options_as() const
    {
        return *static_cast<const Options*>(options.get());
    }

    // Options that tools share.
    std::vector<std::uint32_t> pids, tids;
    std::uint32_t ppid = 0;
    User user;
    char comm[COMM_LEN] = {};
    std::string_view cgroup, cgroup_map, mntns_map;
    Connections connections;
    Seconds duration{0}, interval{0};
    std::uint64_t count = 0; // rows of a stream, intervals of the others; 0: no limit
    std::uint32_t buffer_kib = 0, buffer_pages = 0; // one or the other
    std::uint32_t rows = 0;                         // of a top tool
    Format format = Format::text;
    std::string_view columns, sort;
    std::string_view condition;       // --where
    std::shared_ptr<Where> where;     // the same, once it is known what it is about; may be null
    std::shared_ptr<KernelBtf> types; // the kernel's own, if the tool has read them already
    std::string_view btf;             // where the kernel's types are, if not with the kernel
    std::span<const Target> targets;  // what the slots of the tool's programs stand for in this run
    std::span<const std::byte> object; // in place of the tool's own BPF object; empty: that one
    int ready_fd = -1;
    bool utc = false, explain = false, verbose = false, check = false, no_clear = false;
    std::vector<char*> command;  // after "--", with its terminating null
    std::string command_text;    // the same where an option gave it, its words ended by nulls
    std::uint32_t tree_root = 0; // the process of that command, once it was forked

    // Probes of programs: what they are attached to, and will be (session/later_files.hpp).
    std::shared_ptr<LaterFiles> later;

    std::set<std::string_view> given_names;
    bool given(std::string_view long_name) const { return given_names.contains(long_name); }
    OutputOptions output_options() const;
    ColumnChoice column_choice() const;
    // Whether --where asks for a column, which then has to be filled in.
    bool filters_by(std::string_view column) const;
    std::uint32_t buffer_bytes() const
    {
        return buffer_pages ? buffer_pages << 12 : buffer_kib << 10;
    }
};

// The number of the PID namespace that the tool is in; 0: the host's.
std::uint32_t own_pid_namespace();

// The kernel-side filter for what was asked; fails where a PID, cgroup or map does not exist.
task_filter make_filter(const Session& session);

// Makes Session::where of --where, if that was given. What is true of events that the kernel side
// counts has to be decided there: `counted`. Fails where it is no condition on the columns.
void prepare_where(Session& session, std::span<const Column> columns, bool counted);

// Whether anything restricts who is traced.
bool is_filtered(const Session& session);

// Runs `body` and turns a Failure into one line on stderr, which begins with `name`, and its exit
// status.
int guarded(std::string_view name, const std::function<Exit()>& body);

// One line "name: text" on stderr.
void say(std::string_view name, std::string_view text);
inline void say(const Tool& tool, std::string_view text) { say(tool.about.name, text); }

} // namespace corebox
