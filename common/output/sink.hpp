// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Where a run sends what it finds: rows of columns, histograms, losses, the account.
#pragma once
#include "output/column.hpp"
#include "output/lost.hpp"
#include "output/writer.hpp"
#include <functional>
#include <vector>

namespace corebox
{

class Output;
struct HistogramLook;
struct HistogramReport;

// Which of a tool's columns a run shows.
struct ColumnChoice {
    std::string_view columns{};  // --columns; empty: the tool's own choice
    bool all_but_costly = false; // as JSON and CSV, which have more columns than a terminal
    // Whether the user gave the long option.
    std::function<bool(std::string_view)> given = [](std::string_view) { return false; };
};

// Fails with a usage error where --columns names no column of the tool.
std::vector<const Column*> choose_columns(const ColumnChoice& choice,
                                          std::span<const Column> columns);

class Sink
{
public:
    using State = Writer::State;

    explicit Sink(std::vector<const Column*> columns) : columns_(std::move(columns)) {}
    virtual ~Sink() = default;
    Sink(const Sink&) = delete;
    Sink& operator=(const Sink&) = delete;

    // What a row consists of here.
    std::span<const Column* const> columns() const { return columns_; }

    // Before the first row.
    virtual void header() = 0;
    virtual void row(const void* row) = 0;

    // What a series of histograms has in common: before the first of them; before those of a report
    // that ends at `mono_ns`; each.
    virtual void begin_histograms(const HistogramLook& look) = 0;
    virtual void begin_report(const HistogramLook& look, std::uint64_t mono_ns) = 0;
    virtual void histogram(const HistogramLook& look, const HistogramReport& report) = 0;

    // All that was lost so far; only when it has become more.
    virtual void loss(const Lost& lost) = 0;
    // Last of all.
    virtual void account(const Totals& totals) = 0;

    // Passes on what was collected. What arrives within 100 ms may be passed on together.
    virtual void flush() = 0;
    // Whether there still is somebody to send to; flush() finds out.
    virtual State state() const { return State::open; }
    virtual void notice_closed() {}
    virtual int error() const { return 0; }                               // errno of State::failed
    virtual std::string_view target() const { return "standard output"; } // in messages

    // The sink that prints, for what a tool shows in a form of its own; null: it takes rows only.
    virtual Output* output() { return nullptr; }

private:
    std::vector<const Column*> columns_;
};

} // namespace corebox
