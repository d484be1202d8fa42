// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "shape/stream.hpp"

namespace corebox
{

StreamRun::StreamRun(const Session& session, std::span<const Column> columns, Account& account,
                     Decode decode, void* context, Mirror mirror, Below below, Stackless stackless)
    : session_(session), output_(session.output_options(), columns), account_(account),
      decode_(decode), context_(context), mirror_(mirror), below_(below), stackless_(stackless)
{
}

void StreamRun::on_record(void* self, const void* record, std::size_t size) noexcept
{
    auto& run = *static_cast<StreamRun*>(self);
    const void* row = run.full_ ? nullptr : run.decode_(run.context_, record, size);
    if (!row) {
        run.account_.filtered++;
        return;
    }
    if (run.mirror_) {
        run.mirror_(run.output_, row, run.session_);
        run.output_.end_record();
    } else {
        run.output_.row(row);
        if (run.below_ && run.output_.format() == Format::text)
            run.below_(run.output_.text(), row);
    }
    const bool whole = !run.stackless_ || !run.stackless_(row);
    (whole ? run.account_.printed : run.account_.stackless)++;
    run.full_ = ++run.shown_ == run.session_.count;
}

Exit StreamRun::run(EventReader& reader, Command& command, const std::function<void()>& detach)
{
    reader.deliver_to(on_record, this);
    Loop loop(session_, command, reader.epoll_fd());
    if (mirror_ && !mirror_(output_, nullptr, session_))
        mirror_ = nullptr;
    if (!mirror_)
        output_.header();
    output_.flush();
    command.start();
    bool more = false;
    for (bool stop = false; !stop && !full_ && output_.state() == Output::State::open;) {
        stop = (more ? loop.poll() : loop.wait()) == Loop::Wake::stop;
        more = reader.consume();
        output_.flush();
        account_.report_losses(output_);
    }
    detach();
    while (reader.consume())
        continue;
    return account_.finish(output_);
}

} // namespace corebox
