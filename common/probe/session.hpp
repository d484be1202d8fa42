// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// kprobe.session programs (bpf/session.bpf.h), which libbpf 1.1 does not know.
#pragma once
#include "base/fd.hpp"
#include "kernel/memory.hpp"
#include <cstdint>
#include <string_view>
#include <vector>

struct bpf_program;

namespace corebox
{

inline constexpr std::string_view kSessionSection = "kprobe.session/";
inline constexpr int kSessionAttachType = 56; // BPF_TRACE_KPROBE_SESSION
inline constexpr std::string_view kSessionIsReturn = "bpf_session_is_return";

// The functions that a section names; none: it is not a session's.
std::vector<std::string_view> session_functions(std::string_view section);

// Before load: makes the calls of SESSION_IS_RETURN calls of the kernel's function with this BTF
// id. 0, or a negative errno.
int name_session_function(bpf_program* program, std::uint32_t id);

// Attaches a loaded program to those of its section's functions that the kernel has; without any,
// or if the kernel refuses, empty with errno set.
Fd attach_session(const bpf_program* program, KernelMemory& memory);

} // namespace corebox
