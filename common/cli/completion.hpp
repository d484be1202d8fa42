// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Completion for shells, from the tools' declarations: options with what values they take, words
// of choices, columns, and what only the machine knows (PIDs, disks, users, cgroups).
#pragma once
#include "tool/tool.hpp"

namespace corebox
{

// Each a whole script for corebox and all links to it.
std::string bash_completion(std::span<const Tool* const> tools);
std::string zsh_completion(std::span<const Tool* const> tools);
std::string fish_completion(std::span<const Tool* const> tools);

} // namespace corebox
