// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What tools of connects share: columns and rungs (connect.bpf.h, connect_call.bpf.h).
#pragma once
#include "conn_columns.hpp"
#include "connect.h"
#include "probe/iterator.hpp"
#include "session/account.hpp"

namespace corebox
{

// The last: no connect.
inline constexpr std::string_view kConnectResults[CONNECT_RESULTS + 1] = {
    "established", "refused", "timed out", "abandoned", "in progress", "failed", ""};

// Of rows with members `result` and `error`.
template <class Row>
consteval Column connect_result_column(std::string_view help = "What became of the connect")
{
    return col<[](const Row& r) { return Trusted{kConnectResults[r.result]}; }>("result", "RESULT",
                                                                                11, help)
        .template from_names<field<&Row::result>, kConnectResults>();
}
template <class Row>
consteval Column
connect_error_column(std::string_view help = "Name of the errno of a connect that failed")
{
    return col<[](const Row& r) { return Errno{r.error}; }>("error", "ERROR", 13, help);
}

template <class Row>
consteval Column connect_latency_column(Show show = {})
{
    constexpr Formula kStart = field<&Row::start_ns>, kEnd = field<&Row::time_ns>;
    return col<[](const Row& r) -> Value {
               return r.start_ns ? Value(Fixed{(r.time_ns - r.start_ns) / 1000, 3})
                                 : Value(Absent{});
           }>("lat_ms", "LAT(ms)", -10,
              "Milliseconds from the first segment to the result; - if none was sent", show)
        .template from<present(kStart != 0, fixed((kEnd - kStart) / 1000, 3))>();
}

// From the first segment to the result.
template <class P>
constexpr Need kConnectNeed = {
    .what = "connects",
    .rungs = {rung<&P::connect_fentry>("fentry"), rung<&P::connect_kprobe>("kprobe")}};
template <class P>
constexpr Need kConnectResultNeed = {
    .what = "results of connects",
    .rungs = {rung<&P::state_tp_btf>("tp_btf"), rung<&P::state_raw_tp>("raw_tp")}};
// What fails before that. A kernel may have no IPv6.
template <class P>
constexpr Need kConnectCallNeed = {
    .what = "connects that fail at once",
    .rungs = {rung_any<&P::v4_fexit, &P::v6_fexit>("fexit"),
              rung_any<&P::v4_kprobe, &P::v6_kprobe, &P::v4_kretprobe, &P::v6_kretprobe>("kprobe")},
    .optional = true,
    .without = "connects that fail before a segment is sent"};
template <class P>
constexpr Need kConnectsLeftNeed = {.what = "connects in progress at the end",
                                    .rungs = {rung<&P::connects_left>("iter", {}, leave_iterator)},
                                    .optional = true,
                                    .without = "connects without a result when tracing ends"};

// Sends the connects that have no result yet, once the programs are detached.
template <class S>
void send_connects_left(S& s)
{
    if (bpf_program__fd(s.progs.connects_left) >= 0)
        run_iterator(s.progs.connects_left, s.maps.connects);
}

} // namespace corebox
