// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Rows to standard output as text, JSON Lines or CSV, formatted by hand into one buffer that is
// written with one system call a batch.
#pragma once
#include "output/column.hpp"
#include <ctime>
#include <functional>
#include <string>
#include <vector>

namespace corebox
{

enum class Format : std::uint8_t { text, json, csv };

// CLOCK_MONOTONIC to wall clock. The offset is taken anew with every batch, so a clock that was
// stepped shows from the next batch on.
class Clock
{
public:
    explicit Clock(bool utc) : utc_(utc) { synchronise(); }
    void synchronise();
    std::uint64_t wall_ns(std::uint64_t mono_ns) const { return mono_ns + offset_; }
    // "HH:MM:SS"; local time unless UTC was asked for. Valid until the next call.
    std::string_view time_of_day(std::uint64_t wall_ns);

private:
    bool utc_;
    std::uint64_t offset_ = 0;
    std::uint64_t second_ = ~0ull; // what text_ shows
    char text_[9] = {};
};

std::uint64_t monotonic_ns();

struct OutputOptions {
    Format format = Format::text;
    std::string_view columns; // --columns; empty: the tool's own choice
    bool utc = false;
    int fd = 1;
    // Whether the user gave the long option; decides which columns are shown.
    std::function<bool(std::string_view)> given = [](std::string_view) { return false; };
};

class Output
{
public:
    enum class State : std::uint8_t { open, closed, failed };

    // Fails with a usage error where --columns names no column of the tool.
    Output(const OutputOptions& options, std::span<const Column> columns);

    Format format() const { return options_.format; }
    Clock& clock() { return clock_; }

    void header(); // nothing in JSON
    void row(const void* row);

    // The parts of row(), for records that carry more than columns: JSON members without braces,
    // or a text line's columns without its end.
    void fields(const void* row);

    // One value as text shows it, without padding.
    void cell(const Value& v) { put_plain(buffer_, v, true); }

    // The buffer itself, for what is no row.
    std::string& text() { return buffer_; }
    std::span<const Column* const> columns() const { return visible_; }

    // Ends a record; writes the buffer where it has become large.
    void end_record()
    {
        if (buffer_.size() >= kFlushBytes)
            flush();
    }
    void flush();

    // A reader that went away shows even if there is nothing left to write.
    void notice_closed();

    State state() const { return state_; }
    int error() const { return error_; } // of the write that failed

private:
    bool wait_for_room() const;

    static constexpr std::size_t kFlushBytes = 64 << 10;

    static constexpr std::size_t kNumberBytes = 32; // room for any number
    static constexpr std::size_t kMaxWidth = 256;   // of a column

    void make_keys();
    char* reserve(char* at, std::size_t bytes)
    {
        return std::size_t(line_end_ - at) >= bytes ? at : grow(at, bytes);
    }
    char* grow(char* at, std::size_t bytes);
    char* put_cell(char* at, const Value& v, bool column, bool& plain);
    void text_fields(const void* row);
    void json_fields(const void* row);
    void put_json(const Value& v, const Column& c);
    void put_csv(const Value& v);
    void put_plain(std::string& out, const Value& v, bool column);

    OutputOptions options_;
    bool may_block_;
    std::vector<const Column*> visible_;
    std::string buffer_;
    std::string cell_;
    std::vector<char> line_; // of the row that is being made
    char* line_end_ = nullptr;
    std::vector<std::string> json_keys_; // "key": of each visible column
    Clock clock_;
    std::uint64_t first_ns_ = 0;
    State state_ = State::open;
    int error_ = 0;
};

// "key": with its comma where the object is not empty yet.
void put_json_key(std::string& out, std::string_view key);
void put_json_string(std::string& out, std::string_view s);
void put_number(std::string& out, std::uint64_t n);

} // namespace corebox
