// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// How each kind of value reads in text, JSON and CSV. Written by hand into memory that is used
// again: a cell of a usual kind takes some ten instructions.
#pragma once
#include "output/clock.hpp"
#include "output/value.hpp"
#include <string>
#include <vector>

namespace corebox
{

enum class Format : std::uint8_t { text, json, csv };

// A line that is being made. Positions are pointers, which reserve() may move.
class Line
{
public:
    static constexpr std::size_t kNumberBytes = 32; // room for any number or time

    Line() { grow(nullptr, kNumberBytes); }
    char* begin() { return memory_.data(); }
    // `at`, or where it is then, with room for `bytes` behind it.
    char* reserve(char* at, std::size_t bytes)
    {
        return std::size_t(end_ - at) >= bytes ? at : grow(at, bytes);
    }

private:
    char* grow(char* at, std::size_t bytes);

    std::vector<char> memory_;
    char* end_ = nullptr;
};

class Renderer
{
public:
    explicit Renderer(bool utc) : clock_(utc) {}

    Clock& clock() { return clock_; }

    // What a cell turned out to be.
    struct Cell {
        bool plain = true;  // ASCII: as wide as it has bytes
        bool lossy = false; // JSON: had bytes that are no UTF-8
    };

    // Writes a value at `at`, of a JSON string with its quotes, and returns its end. Behind that
    // is room for `spare` bytes and a number. `column`: text is one word, blanks are escaped.
    template <Format F>
    char* put(Line& line, char* at, const Value& v, bool column, std::size_t spare, Cell& cell);

    // The same behind a string.
    template <Format F>
    void append(std::string& out, const Value& v, bool column);

private:
    std::uint64_t since_first(std::uint64_t mono_ns, unsigned decimals);
    template <Format F>
    void make_list(const Value& v, bool column, Cell& cell);

    Clock clock_;
    std::uint64_t first_ns_ = 0; // of the first row
    std::string list_;           // scratch
    Line scratch_;
};

// Terminal cells, as far as that can be known without a table: code points.
std::size_t count_cells(std::string_view s);

} // namespace corebox
