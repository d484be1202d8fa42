// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What the kernel's BTF says of a function: its signature, and the members of what its parameters
// point to.
#pragma once
#include "kernel_side.hpp"
#include "snoop_spec.hpp"

namespace corebox
{

// With arguments in `spec` the members of these instead of those of all parameters. Fails where BTF
// does not describe the function; throws expr::TextError.
void append_function_info(std::string& out, KernelSide& kernel, const SnoopSpec& spec, bool json);

} // namespace corebox
