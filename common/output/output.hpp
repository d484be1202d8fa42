// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The sink that prints: rows to a descriptor as text, JSON Lines or CSV.
#pragma once
#include "output/render.hpp"
#include "output/sink.hpp"

namespace corebox
{

struct OutputOptions {
    Format format = Format::text;
    bool utc = false;
    int fd = 1;
    ColumnChoice choice{};
};

class Output final : public Sink
{
public:
    // Fails with a usage error where --columns names no column of the tool.
    Output(const OutputOptions& options, std::span<const Column> columns);

    Format format() const { return format_; }
    Clock& clock() { return renderer_.clock(); }

    void header() override; // nothing in JSON
    void row(const void* row) override;
    void begin_histograms(const HistogramLook& look) override;
    void begin_report(const HistogramLook& look, std::uint64_t mono_ns) override;
    void histogram(const HistogramLook& look, const HistogramReport& report) override;
    void loss(const Lost& lost) override;
    void account(const Totals& totals) override;
    void flush() override;
    State state() const override { return writer_.state(); }
    void notice_closed() override { writer_.notice_closed(); }
    int error() const override { return writer_.error(); }
    Output* output() override { return this; }

    // Text: lines of rows and their header have at most so many cells; what is cut ends in ">". 0:
    // any length.
    void fit(std::size_t width) { width_ = width; }

    // The parts of row(), for records that carry more than columns: JSON members without braces,
    // or a line's columns without its end.
    void fields(const void* row);

    // One value as text shows it, without padding.
    void cell(const Value& v) { renderer_.append<Format::text>(text(), v, true); }

    // The buffer itself, for what is no row; then end_record().
    std::string& text() { return writer_.buffer(); }
    void end_record() { writer_.end_record(); }

private:
    void cut_line(std::size_t from);
    void text_fields(const void* row);
    void json_fields(const void* row);
    void csv_fields(const void* row);

    Format format_;
    Writer writer_;
    Renderer renderer_;
    std::size_t width_ = 0;
    Line line_;                          // of the row that is being made
    std::vector<std::string> json_keys_; // "key": of each column
    std::string cell_;                   // scratch
};

// `sink` where it prints text; null: it does not.
Output* text_output(Sink& sink);

// "key": with its comma where the object is not empty yet.
void put_json_key(std::string& out, std::string_view key);
void put_json_string(std::string& out, std::string_view s);
void put_number(std::string& out, std::uint64_t n);

} // namespace corebox
