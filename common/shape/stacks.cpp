// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "shape/stacks.hpp"
#include "output/replace_file.hpp"
#include "shape/hidden_names.hpp"
#include "symbols/flame.hpp"
#include <algorithm>
#include <deque>
#include <new>

namespace corebox
{

std::string traced_tasks(const Session& session)
{
    const auto list = [](const char* what, const std::vector<std::uint32_t>& ids) {
        std::string out = cat(what, " [");
        for (const std::uint32_t id : ids)
            out += cat(out.back() == '[' ? "" : ",", id);
        return out + "]";
    };
    if (!session.pids.empty())
        return list("PID", session.pids);
    if (!session.tids.empty())
        return list("TID", session.tids);
    if (!session.command.empty())
        return cat(std::string_view(session.command[0]), " and its children");
    return "all threads";
}

std::string traced_time(const Session& session)
{
    if (const auto ms = session.duration.count() / 1'000'000; ms)
        return cat(" for ", ms / 1000, ms % 1000 ? cat(".", ms % 1000 / 100) : "", " secs.");
    return "... Hit Ctrl-C to end.";
}

StackReports::StackReports(Run& run, const StackOptions& options, const StackUnit& unit,
                           std::string banner, const Maps& maps, StackLook look)
    : run_(run), options_(options), unit_(unit), banner_(std::move(banner)), maps_(maps),
      look_(std::move(look)), samples_(maps.tasks, false, 0, on_record, this), memos_(maps.memos)
{
    for (const std::uint32_t pid : run_.session->pids)
        pending_.add({pid, ImageSymbols::image(pid)});
    pending_.note_in(symbols_);
}

Output* StackReports::text() const
{
    return run_.session->columns.empty() ? text_output(*run_.sink) : nullptr;
}

bool StackReports::prints_blocks() const
{
    return text() && !options_.folded && options_.flame.empty();
}

void StackReports::begin()
{
    if (!text())
        run_.sink->header();
    else if (prints_blocks())
        text()->text() += cat(banner_, "\n\n");
}

void StackReports::on_record(void* self, const void* record, std::size_t size) noexcept
{
    StackReports& reports = *static_cast<StackReports*>(self);
    try {
        if (size > sizeof(stack_task)) {
            const auto& sample = *static_cast<const stack_sample*>(record);
            reports.memos_.learn(sample,
                                 read_stack(reports.maps_.stacks, reports.maps_.spill, sample.id));
        } else {
            reports.pending_.add(*static_cast<const stack_task*>(record));
        }
    } catch (const std::bad_alloc&) {
        reports.run_.out_of_memory = true;
    }
}

bool StackReports::drain()
{
    const bool more = samples_.consume();
    pending_.note_in(symbols_);
    return more;
}

Entries StackReports::take_sums(StackWords& words, std::vector<StackRow>& rows, bool last)
{
    Generations generations(*maps_.generation);
    Entries entries(maps_.sums, last ? *maps_.generation : generations.flip());
    rows.reserve(entries.size());
    for (std::size_t i = 0; i < entries.size(); i++) {
        const auto& key = entries.key<stack_key>(i);
        StackRow row;
        const bool complete = unit_.read(&key, words, row, options_, text() == nullptr);
        entries.values<stack_value>(i, [&](const stack_value& value) {
            row.events += value.events;
            row.total += value.total;
        });
        if (complete) // else the kernel side counted it as lost
            run_.account.printed += row.events;
        if (look_.row)
            look_.row(row, key);
        rows.push_back(row);
    }
    return entries;
}

void StackReports::report(bool last)
{
    StackWords words(options_, unit_, symbols_, maps_.stacks, maps_.spill);
    std::vector<StackRow> rows;
    std::optional<Entries> sums; // of which rows are views
    if (look_.take)
        look_.take(words, rows);
    else
        sums.emplace(take_sums(words, rows, last));
    const std::uint64_t now_ns = monotonic_ns();
    for (StackRow& row : rows)
        row.time_ns = now_ns;
    if (words.kernel_hidden())
        say_hidden_names(*run_.session);
    merge_stacks(rows, unit_);
    if (look_.sorted)
        look_.sorted(rows);
    if (look_.begin && text_output(*run_.sink))
        look_.begin(*text_output(*run_.sink));
    print(rows);
    if (last && !options_.flame.empty())
        draw(rows);
}

void StackReports::print(const std::vector<StackRow>& rows)
{
    Output* const out = text();
    for (const StackRow& row : rows) {
        if (!out) {
            run_.sink->row(&row);
            continue;
        }
        if (options_.folded)
            unit_.folded(out->text(), row, options_, unit_);
        else if (prints_blocks() && look_.block)
            look_.block(out->text(), row);
        else if (prints_blocks())
            unit_.block(out->text(), row, options_, unit_);
        out->end_record();
    }
}

void StackReports::draw(const std::vector<StackRow>& rows) const
{
    std::vector<FlameStack> stacks;
    std::deque<std::string> names;
    std::uint64_t sum = 0;
    for (const StackRow& row : rows) {
        FlameStack& stack = stacks.emplace_back();
        stack.weight = stack_weight(row, unit_);
        sum += stack.weight;
        unit_.flame(stack.frames, row, options_, names);
    }
    std::string svg;
    write_flame_graph(svg,
                      {.title = std::string(run_.session->tool.about.name),
                       .subtitle = banner_.substr(0, banner_.find("... Hit Ctrl-C")),
                       .unit = std::string(unit_.name)},
                      stacks);
    replace_file(std::string(options_.flame), svg);
    say(run_.session->tool, cat("wrote ", options_.flame, ": ", sum, " ", unit_.name));
}

} // namespace corebox
