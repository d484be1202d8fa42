// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The option of tools that leave out what overlayfs does in its layers (layers.bpf.h).
#pragma once
#include <string_view>

namespace corebox
{

inline constexpr std::string_view kLayersOption = "layers";
inline constexpr std::string_view kLayersHelp = "Count what overlayfs does in its layers too";

} // namespace corebox
