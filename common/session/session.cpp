// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "session/session.hpp"

namespace corebox
{

ColumnChoice Session::column_choice() const
{
    return {.columns = columns,
            .all_but_costly = format != Format::text,
            .given = [this](std::string_view name) { return given(name); }};
}

OutputOptions Session::output_options() const
{
    return {.format = format, .utc = utc, .choice = column_choice()};
}

const void* asked_options(const Session& session) { return session.options.get(); }

} // namespace corebox
