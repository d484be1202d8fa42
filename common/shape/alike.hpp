// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Rows that read the same become one row.
#pragma once
#include <algorithm>
#include <utility>
#include <vector>

namespace corebox
{

// Stacks that differ in addresses only, say in two calls of one function, read the same. `text`
// gives what a row shows, comparable; `join(Row& into, Row& from)` adds one to the other. The rows
// are then in the order of their text.
template <class Row, class Text, class Join>
void join_alike(std::vector<Row>& rows, const Text& text, const Join& join)
{
    std::ranges::sort(rows, [&](const Row& a, const Row& b) { return text(a) < text(b); });
    std::size_t kept = 0;
    for (Row& row : rows) {
        if (kept > 0 && text(rows[kept - 1]) == text(row))
            join(rows[kept - 1], row);
        else if (&rows[kept++] != &row)
            rows[kept - 1] = std::move(row);
    }
    rows.resize(kept);
}

} // namespace corebox
