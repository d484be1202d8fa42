// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// `corebox doctor`: which tools this machine runs, what they will not see, and what stands in the
// way of the others. From the tools' own ladders and the kernel's facts; no BPF program is loaded.
#pragma once
#include "tool/tool.hpp"
#include "kernel/facts.hpp"
#include <string>
#include <vector>

namespace corebox
{

struct Diagnosis {
    // may_run: what stands in the way is known only once the verifier has looked.
    enum class Status : std::uint8_t { runs, runs_with_less, may_run, cannot_run };

    const Tool* tool = nullptr;
    Status status = Status::runs;
    std::vector<std::string> probes{}; // the rungs that will be taken, each once
    std::vector<std::string> unseen{}; // what the tool will not see with them
    std::string cause{};               // why it cannot run
    std::string remedy{};              // what mends that; empty: nothing that is known
};

// What stands against tracing as such, before any tool's needs; both empty: nothing.
struct Hindrance {
    std::string cause{}, remedy{};
    // Whom it stands in the way of; `some`: which tools, the verifier knows.
    enum class Of : std::uint8_t { all, some, relocated } of = Of::all;
};
Hindrance hindrance(bool types_known);

// What a tool with its default options meets on a kernel with these facts.
Diagnosis diagnose(const Tool& tool, const Facts& facts);

// The sections ("fexit/vfs_read") that the ladders of these tools name.
std::vector<std::string> sections_of(std::span<const Tool* const> tools);

// Not among all_tools(): it is no tracer, and a link of its name would be presumptuous.
const Tool& doctor();
int run_doctor(int argc, char** argv); // argv[0] is not looked at

} // namespace corebox
