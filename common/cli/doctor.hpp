// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// `corebox doctor`: which tools run on this machine, what they will not see, and why the others are
// unavailable. From the tools' own ladders and the kernel's facts; no BPF program is loaded.
#pragma once
#include "kernel/facts.hpp"
#include "tool/tool.hpp"
#include <string>
#include <vector>

namespace corebox
{

struct Diagnosis {
    // unknown: only the verifier can tell.
    enum class Status : std::uint8_t { ok, partial, unknown, unavailable };

    const Tool* tool = nullptr;
    Status status = Status::ok;
    std::vector<std::string> probes{}; // the rungs that will be taken, each once
    std::vector<std::string> unseen{}; // what the tool will not see with them
    std::string cause{};               // why it is unavailable
    std::string fix{};                 // empty: none is known
};

// What prevents tracing as such, before any tool's needs.
struct Hindrance {
    Obstacle obstacle{};
    // Which tools it affects; `some`: which ones, only the verifier knows.
    enum class Of : std::uint8_t { all, some, relocated } of = Of::all;
};
Hindrance find_hindrance(const Facts& facts, bool types_known);

// What a tool with its default options meets on a kernel with these facts.
Diagnosis diagnose(const Tool& tool, const Facts& facts);

// The sections ("fexit/vfs_read") that the ladders of these tools name.
std::vector<std::string> sections_of(std::span<const Tool* const> tools);

// Not among all_tools(): it is no tracer, and a link of its name would be presumptuous.
const Tool& doctor();
int run_doctor(int argc, char** argv); // argv[0] is not looked at

} // namespace corebox
