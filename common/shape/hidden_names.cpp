// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "shape/hidden_names.hpp"
#include "symbols/kernel.hpp"

namespace corebox
{

void say_hidden_names(const Session& session)
{
    if (const auto why = names_hidden(); why != NamesHidden::no)
        say(session.tool, message_of(why));
}

} // namespace corebox
