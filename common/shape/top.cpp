// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "shape/top.hpp"
#include "base/text.hpp"
#include <algorithm>
#include <sys/ioctl.h>
#include <unistd.h>

namespace corebox
{
namespace
{

constexpr std::size_t kRows = 20;                   // BCC's default
constexpr std::size_t kLinesAbove = 2;              // load and header
constexpr std::size_t kUsualLines = 24;             // of a terminal that does not know its size
constexpr std::string_view kClear = "\x1b[H\x1b[J"; // cursor home, erase below: ECMA-48

} // namespace

void rank(std::vector<Ranked>& entries)
{
    std::ranges::sort(entries, [](const Ranked& a, const Ranked& b) {
        return a.weight != b.weight ? a.weight > b.weight
                                    : std::ranges::lexicographical_compare(a.key, b.key);
    });
}

bool TopView::press(char key, std::size_t columns)
{
    const std::size_t views = columns + 1;
    switch (key) {
    case '<':
        column = (column + views - 1) % views;
        return true;
    case '>':
        column = (column + 1) % views;
        return true;
    case 'r':
        reversed = !reversed;
        return true;
    default:
        return false;
    }
}

std::string TopView::told(std::span<const Column* const> columns) const
{
    std::string text = column ? cat(" by ", columns[column - 1]->header) : "";
    if (reversed)
        text += cat(text.empty() ? " " : ", ", "reversed");
    return text;
}

void rank_by(const Column& column, std::span<const void* const> rows,
             std::vector<std::size_t>& order)
{
    std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) {
        const Value x = column.get(rows[a]), y = column.get(rows[b]);
        if (x.kind == Value::Kind::absent || y.kind == Value::Kind::absent)
            return x.kind != Value::Kind::absent; // what is not there comes last
        return x.is_text() ? x < y : y < x;
    });
}

std::size_t row_limit(const Session& session, std::size_t screen_lines)
{
    if (session.rows)
        return session.rows;
    if (session.format != Format::text)
        return ~std::size_t(0);
    // The cursor stands below the last row.
    return screen_lines ? std::min(kRows, std::max(screen_lines, kLinesAbove + 2) - kLinesAbove - 1)
                        : kRows;
}

Screen screen_size(const Session& session)
{
    if (session.no_clear || session.format != Format::text || !::isatty(STDOUT_FILENO))
        return {};
    winsize size{};
    ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    return {.lines = size.ws_row ? size.ws_row : kUsualLines, .columns = size.ws_col};
}

void begin_top(Output& output, std::uint64_t time_ns, bool first, bool clear, bool summary,
               const TopView& view)
{
    std::string& text = output.text();
    if (clear)
        text += kClear;
    else if (!first)
        text += '\n';
    if (summary) {
        text += output.clock().time_of_day(output.clock().wall_ns(time_ns));
        const auto load = read_file("/proc/loadavg");
        text += cat(" loadavg: ", load ? std::string_view(*load).substr(0, load->find('\n')) : "-",
                    view.told(output.columns()), "\n");
    }
    output.header();
}

} // namespace corebox
