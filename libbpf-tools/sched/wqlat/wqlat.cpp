// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "wqlat.h"
#include "shape/histogram.hpp"

#include "wqlat.skel.h"

namespace
{

using namespace corebox;
using Progs = decltype(wqlat_bpf::progs);

struct Options : wqlat_config {
    bool nanoseconds = false;
};

constexpr Example kExamples[] = {
    {"wqlat 1 10", "Ten histograms, one each second"},
    {"wqlat -W 5", "A histogram for each work queue, every 5 seconds"},
    {"wqlat -w writeback -T 1", "Of the queue \"writeback\", with the time of day"},
    {"wqlat --execution -W", "How long the work takes, instead of how long it waits"},
};

constexpr Option kOptions[] = {
    show('T', "timestamp", "Print the time of day"),
    flag<&Options::nanoseconds>('N', "nanoseconds", "Histogram of nanoseconds"),
    flag<&Options::by_name>('W', "workqueues", "A histogram for each name of a work queue"),
    opt<&Options::name>('w', "wqname", "NAME", "Only work queues of this name"),
    flag<&Options::execution>(0, "execution", "From the start of the work to its end"),
};

constexpr Column kColumns[] = {
    col<[](const wqlat_key& k) -> Value { return k.name; }>(
        "wqname", "WQNAME", 31, "Name of the work queue", costly("workqueues")),
};

// Ends before starts, and starts before what is queued: see run_queue.hpp.
constexpr Need kNeeds[] = {
    {"the end of work",
     {rung<&Progs::end_tp_btf>("tp_btf"), rung<&Progs::end_raw_tp>("raw_tp")},
     "execution"},
    {"the start of work",
     {rung<&Progs::start_tp_btf>("tp_btf"), rung<&Progs::start_raw_tp>("raw_tp")}},
    {"work that is queued, for its time",
     {rung<&Progs::queue_tp_btf>("tp_btf"), rung<&Progs::queue_raw_tp>("raw_tp")},
     "!execution"},
    {"work that is queued, for its queue",
     {rung<&Progs::queue_tp_btf>("tp_btf"), rung<&Progs::queue_raw_tp>("raw_tp")},
     "workqueues|wqname"},
};

constexpr Histogram<wqlat_bpf, Options, wqlat_key> kTool{
    .about = {.name = "wqlat",
              .area = "sched",
              .summary = "Show how long kernel work waits in work queues as a histogram",
              .details =
                  "The time from when a piece of work is put into a work queue of the kernel until "
                  "a worker starts with it, or with --execution from then until it is done.",
              .examples = kExamples},
    .options = kOptions,
    .columns = kColumns,
    .needs = kNeeds,
    .unit =
        [](const Options& o) {
            return o.nanoseconds ? Unit{"nsecs", 1} : Unit{"usecs", 1'000};
        },
    .keyed = [](const Options& o) { return o.by_name; },
    .setup =
        [](wqlat_bpf&, Options& o, const Session&) {
            o.unit_ns = o.nanoseconds ? 1 : 1'000;
            o.named = o.name[0] != '\0';
        },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
