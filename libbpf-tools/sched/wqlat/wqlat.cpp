// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "wqlat.h"
#include "shape/hidden_names.hpp"
#include "shape/histogram.hpp"
#include "symbols/kernel.hpp"

#include "wqlat.skel.h"

namespace
{

using namespace corebox;
using Progs = decltype(wqlat_bpf::progs);

struct Options : wqlat_config {
    bool nanoseconds = false;
    std::optional<KernelSymbols> symbols{};
};

struct Row {
    char name[WQ_NAME_LEN] = {};
    std::string function{};
};

constexpr Example kExamples[] = {
    {"wqlat 1 10", "Print ten histograms, one per second"},
    {"wqlat -W 5", "Print a histogram for each work queue, every 5 seconds"},
    {"wqlat -w writeback -T 1", "Trace the queue \"writeback\" and print the time of day"},
    {"wqlat --execution -F 10 1", "Show how long each work function runs, for ten seconds"},
};

constexpr Option kOptions[] = {
    show('T', "timestamp", "Print the time of day"),
    flag<&Options::nanoseconds>('N', "nanoseconds", "Show nanoseconds"),
    flag<&Options::by_name>('W', "workqueues", "Show a histogram for each work queue name"),
    flag<&Options::by_function>('F', "functions", "Show a histogram for each kernel function"),
    opt<&Options::name>('w', "wqname", "NAME", "Trace only work queues with this name"),
    flag<&Options::execution>(0, "execution", "Measure the run of the work, not its wait"),
};

constexpr Column kColumns[] = {
    col<[](const Row& r) -> Value { return r.name; }>(
        "wqname", "WQNAME", 31, "Name of the work queue", costly("workqueues")),
    col<[](const Row& r) { return Value(std::string_view(r.function)); }>(
        "function", "FUNCTION", 31, "Kernel function that does the work", costly("functions")),
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
     "workqueues|wqname|where"},
};

void setup(wqlat_bpf&, Options& o, const Session& session)
{
    o.unit_ns = o.nanoseconds ? 1 : 1'000;
    o.named = o.name[0] != '\0';
    // Now, not when they are needed: with its privileges the tool gives up to open files.
    if (o.by_function && !o.symbols) {
        o.symbols = KernelSymbols::load();
        say_hidden_names(session);
    }
}

void decode(Row& row, const Options& o, const wqlat_key& key)
{
    std::ranges::copy(key.name, row.name);
    if (!o.by_function)
        return;
    constexpr int kHexadecimal = 16;
    char digits[2 * sizeof key.function];
    const auto frame = o.symbols->lookup(key.function);
    if (!frame)
        row.function =
            cat("0x", std::string_view(
                          digits,
                          std::to_chars(digits, std::end(digits), key.function, kHexadecimal).ptr));
    else
        row.function = cat(frame->name, frame->module.empty() ? "" : cat(" [", frame->module, "]"));
}

// Of work, for --where.
constexpr Column kFields[] = {
    event_field<field<&wqlat_event::ns> / 1000>("lat_us", "Measured time in microseconds"),
    event_field<field<&wqlat_event::ns>>("lat_ns", "The same in nanoseconds"),
    event_field<field<&wqlat_event::name>>("wqname", "Name of the work queue"),
    event_field<field<&wqlat_event::cpu>>("cpu", "CPU")};

constexpr Histogram<wqlat_bpf, Options, wqlat_key, Row> kTool{
    .about = {.name = "wqlat",
              .area = "sched",
              .summary = "Show how long kernel work waits in work queues as a histogram",
              .details =
                  "Measures the time from when work is queued until a kernel worker starts it. "
                  "With --execution, measures the time from this start until the work is done.",
              .examples = kExamples},
    .options = kOptions,
    .columns = kColumns,
    .needs = kNeeds,
    .fields = kFields,
    .unit =
        [](const Options& o) {
            return o.nanoseconds ? Unit{"nsecs", 1} : Unit{"usecs", 1'000};
        },
    .keyed = [](const Options& o) { return o.by_name || o.by_function; },
    .decode = decode,
    .setup = setup,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
