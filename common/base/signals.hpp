// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#pragma once
#include <array>
#include <csignal>

namespace corebox
{

// What tells a run to end; session/loop.cpp blocks them, so that they wait until it takes them.
inline constexpr std::array kEndingSignals{SIGINT, SIGTERM, SIGHUP};

} // namespace corebox
