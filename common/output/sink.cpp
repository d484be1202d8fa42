// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "output/sink.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include <algorithm>

namespace corebox
{
namespace
{

bool is_shown(const Column& c, const ColumnChoice& choice)
{
    using When = Show::When;
    const bool given = std::ranges::any_of(split(c.show.option, '|'), choice.given);
    switch (c.show.when) {
    case When::always:
        return true;
    case When::with:
        return given || choice.all_but_costly;
    case When::without:
        return !given || choice.all_but_costly;
    case When::costly:
        return given;
    case When::json:
        return choice.all_but_costly && (c.show.option.empty() || given);
    case When::text:
        return !choice.all_but_costly;
    }
    return false;
}

} // namespace

std::vector<const Column*> choose_columns(const ColumnChoice& choice,
                                          std::span<const Column> columns)
{
    std::vector<const Column*> chosen;
    if (choice.columns.empty()) {
        for (const Column& c : columns)
            if (is_shown(c, choice))
                chosen.push_back(&c);
        return chosen;
    }
    for (const std::string_view key : split(choice.columns, ',')) {
        const auto c = std::ranges::find(columns, key, &Column::key);
        if (c == columns.end()) {
            std::string keys;
            for (const Column& known : columns)
                keys += cat(keys.empty() ? "" : ",", known.key);
            fail_usage(cat("--columns: no column '", key, "'; there are ", keys));
        }
        chosen.push_back(&*c);
    }
    return chosen;
}

} // namespace corebox
