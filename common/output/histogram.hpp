// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Histograms as a run hands them over, and as they are printed.
#pragma once
#include "output/distribution.hpp"
#include <cstdint>
#include <string_view>

namespace corebox
{

class Output;

// What the histograms of a run have in common.
struct HistogramLook {
    Unit unit{};
    Buckets buckets{};
    bool stamped = false; // text: the time above each report
    bool totals = false;  // text: BCC's line "avg = ..., total: ..., count: ..." below each
    bool minimum = false; // and the minimum in that line
};

struct HistogramReport {
    const void* key = nullptr; // the row that the columns read; null: there is only one
    const Distribution* distribution;
    std::uint64_t mono_ns = 0;  // when the report ends
    std::string_view summary{}; // text: the line in place of the key
    bool only_summary = false;  // and of the bars
};

// Appends a histogram to what `output` prints, in its format: in text BCC's bars and a line with
// the percentiles, in JSON an object, in CSV a line a bucket.
void print_histogram(Output& output, const HistogramLook& look, const HistogramReport& report);
// What stands before the first.
void print_histogram_header(Output& output);

} // namespace corebox
