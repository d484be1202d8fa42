// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "shape/stream.hpp"
#include "session/where.hpp"
#include <new>

namespace corebox
{

RowStream::RowStream(Run& run, EventReader& reader, Decode decode, void* context, Mirror mirror,
                     Below below, Stackless stackless)
    : run_(run), reader_(reader), decode_(decode), context_(context), mirror_(mirror),
      below_(below), stackless_(stackless), text_(text_output(*run.sink)),
      where_(run.session->where.get())
{
    reader_.deliver_to(on_record, this);
}

void RowStream::begin()
{
    Output* const output = run_.sink->output();
    if (!output || (mirror_ && !mirror_(*output, nullptr, *run_.session)))
        mirror_ = nullptr;
    if (!mirror_)
        run_.sink->header();
}

// Inside libbpf: nothing may be thrown through it.
void RowStream::on_record(void* self, const void* record, std::size_t size) noexcept
{
    auto& stream = *static_cast<RowStream*>(self);
    // The run ended with its last row. What came after that is no part of it.
    if (stream.is_complete())
        return;
    Run& run = stream.run_;
    if (run.out_of_memory) {
        run.account.unread++;
        return;
    }
    try {
        stream.take(record, size);
    } catch (const std::bad_alloc&) {
        run.out_of_memory = true;
        run.account.unread++;
    }
}

void RowStream::take(const void* record, std::size_t size)
{
    const void* row = decode_(context_, record, size);
    if (!row || (where_ && !where_->holds(row))) {
        run_.account.filtered++;
        return;
    }
    if (mirror_) {
        Output& output = *run_.sink->output();
        mirror_(output, row, *run_.session);
        output.end_record();
    } else {
        run_.sink->row(row);
        if (below_ && text_)
            below_(text_->text(), row);
    }
    const bool whole = !stackless_ || !stackless_(row);
    (whole ? run_.account.printed : run_.account.stackless)++;
    shown_++;
}

} // namespace corebox
