// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "shape/stacks.hpp"
#include "output/replace_file.hpp"
#include "session/transport.hpp"
#include "shape/hidden_names.hpp"
#include "symbols/flame.hpp"
#include <algorithm>
#include <deque>

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

StackRun::StackRun(const Session& session, std::span<const Column> columns,
                   const StackOptions& options, const StackUnit& unit, std::string banner,
                   Account& account, const Maps& maps, StackLook look)
    : session_(session), options_(options), unit_(unit), banner_(std::move(banner)),
      account_(account), maps_(maps), look_(std::move(look)),
      output_(session.output_options(), columns), memos_(maps.memos)
{
}

bool StackRun::as_rows() const
{
    return session_.format != Format::text || !session_.columns.empty();
}

bool StackRun::as_blocks() const
{
    return !as_rows() && !options_.folded && options_.flame.empty();
}

void StackRun::on_record(void* self, const void* record, std::size_t size) noexcept
{
    StackRun& run = *static_cast<StackRun*>(self);
    if (size > sizeof(stack_task)) {
        const auto& sample = *static_cast<const stack_sample*>(record);
        run.memos_.learn(sample, read_stack(run.maps_.stacks, run.maps_.spill, sample.id));
    } else {
        run.on_task(*static_cast<const stack_task*>(record));
    }
}

void StackRun::on_task(const stack_task& task)
{
    const auto same = [&](const stack_task& t) {
        return t.pid == task.pid && t.image == task.image;
    };
    if (std::ranges::none_of(tasks_, same))
        tasks_.push_back(task);
}

void StackRun::remember_tasks()
{
    std::erase_if(tasks_, [&](const stack_task& task) { return symbols_.note(task); });
}

void StackRun::report(bool last)
{
    Generations generations(*maps_.generation);
    const Entries entries(maps_.sums, last ? *maps_.generation : generations.flip());
    StackWords words(options_, unit_, symbols_, maps_.stacks, maps_.spill);
    std::vector<StackRow> rows;
    rows.reserve(entries.size());
    for (std::size_t i = 0; i < entries.size(); i++) {
        const auto& key = entries.key<stack_key>(i);
        StackRow row;
        const bool complete = unit_.read(&key, words, row, options_, as_rows());
        entries.values<stack_value>(i, [&](const stack_value& value) {
            row.events += value.events;
            row.total += value.total;
        });
        if (complete) // else the kernel side counted it as lost
            account_.printed += row.events;
        if (look_.row)
            look_.row(row, key);
        rows.push_back(row);
    }
    if (words.kernel_hidden())
        say_hidden_names(session_);
    merge_stacks(rows, unit_);
    if (look_.begin)
        look_.begin(output_);
    print(rows);
    if (last && !options_.flame.empty())
        draw(rows);
}

void StackRun::print(const std::vector<StackRow>& rows)
{
    for (const StackRow& row : rows) {
        if (as_rows())
            output_.row(&row);
        else if (options_.folded)
            unit_.folded(output_.text(), row, options_, unit_);
        else if (as_blocks() && look_.block)
            look_.block(output_.text(), row);
        else if (as_blocks())
            unit_.block(output_.text(), row, options_, unit_);
        output_.end_record();
    }
    output_.flush();
}

void StackRun::draw(const std::vector<StackRow>& rows) const
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
                      {.title = std::string(session_.tool.about.name),
                       .subtitle = banner_.substr(0, banner_.find("... Hit Ctrl-C")),
                       .unit = std::string(unit_.name)},
                      stacks);
    replace_file(std::string(options_.flame), svg);
    say(session_.tool, cat("wrote ", options_.flame, ": ", sum, " ", unit_.name));
}

Exit StackRun::run(Command& command, const std::function<void()>& detach)
{
    EventReader tasks(maps_.tasks, false, 0, on_record, this);
    // First: whoever waits for the loop to be ready may at once end its process.
    for (const std::uint32_t pid : session_.pids)
        tasks_.push_back({pid, ImageSymbols::image(pid)});
    remember_tasks();
    Loop loop(session_, command, tasks.epoll_fd());
    if (as_rows())
        output_.header();
    else if (as_blocks())
        output_.text() += cat(banner_, "\n\n");
    output_.flush();
    command.start();
    std::uint64_t reports = 0;
    for (bool more = true; more && output_.state() == Output::State::open;) {
        const Loop::Wake wake = loop.wait();
        while (tasks.consume())
            remember_tasks();
        remember_tasks();
        account_.report_losses(output_);
        if (wake == Loop::Wake::data)
            continue;
        more = wake == Loop::Wake::tick && ++reports != session_.count;
        if (!more)
            detach();
        report(!more);
        account_.report_losses(output_);
    }
    return account_.finish(output_);
}

} // namespace corebox
