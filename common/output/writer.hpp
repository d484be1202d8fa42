// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Text on its way to a descriptor: one buffer, one system call a batch.
#pragma once
#include <cstdint>
#include <string>

namespace corebox
{

class Writer
{
public:
    enum class State : std::uint8_t { open, closed, failed };

    explicit Writer(int fd);

    std::string& buffer() { return buffer_; }
    // Ends a record: writes the buffer where it has become large.
    void end_record()
    {
        if (buffer_.size() >= kFlushBytes)
            flush();
    }
    // Writes all of it, and waits for a slow reader. A run that was told to end meanwhile (the
    // signals for that are blocked, and pending) waits for two seconds more, then fails.
    void flush();
    // A reader that went away shows even if there is nothing left to write.
    void notice_closed();

    State state() const { return state_; }
    int error() const { return error_; } // errno of the write that failed

private:
    bool wait_for_room() const;

    static constexpr std::size_t kFlushBytes = 64 << 10;

    int fd_;
    bool may_block_;
    std::string buffer_;
    State state_ = State::open;
    int error_ = 0;
};

} // namespace corebox
