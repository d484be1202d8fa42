// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What tools say whose kernel functions have no names.
#pragma once
#include "session/session.hpp"

namespace corebox
{

// One line with the reason and the remedy; nothing where the kernel shows the names.
void say_hidden_names(const Session& session);

} // namespace corebox
