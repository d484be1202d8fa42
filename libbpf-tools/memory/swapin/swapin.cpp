// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "swapin.h"
#include "output/task_fields.hpp"
#include "shape/table.hpp"
#include <unistd.h>

#include "swapin.skel.h"

namespace
{
using namespace corebox;
using P = decltype(swapin_bpf::progs);

struct Options {
};

struct Row {
    std::uint64_t time_ns = 0;
    swap_key key{};
    swap_value value{};
};

constexpr Example kExamples[] = {
    {"swapin", "Print the processes that read pages from swap, every second"},
    {"swapin -o 10 1", "Print also who writes pages to swap, of 10 seconds"},
    {"swapin -T -p 181 5", "Trace process 181, every 5 seconds, without the time"},
};

constexpr Option kOptions[] = {
    show('T', "notime", "Omit the time of day"),
    show('o', "out", "Count pages that are written to swap, too"),
};

constexpr Letter kLetters[] = {{'p', "pid"}};

std::uint64_t kib(std::uint64_t pages)
{
    static const auto page_kib = std::uint64_t(::sysconf(_SC_PAGESIZE)) / 1024;
    return pages * page_kib;
}

constexpr Column kColumns[] = {
    col<[](const Row& r) { return WallTime{r.time_ns}; }>("time_ns", "TIME", 8,
                                                          "End of the interval", kJsonOnly),
    col<[](const Row& r) -> Value { return r.key.comm; }>("comm", "COMM", 16,
                                                          "Command name of the thread"),
    col<[](const Row& r) { return r.key.pid; }>("pid", "PID", 7, "Process ID"),
    col<[](const Row& r) { return r.value.in; }>("in", "COUNT", -8, "Pages read from swap"),
    col<[](const Row& r) { return kib(r.value.in); }>("in_kib", "IN(KB)", -9, "The same in KiB",
                                                      kJsonOnly),
    col<[](const Row& r) { return r.value.out; }>("out", "OUT", -8, "Pages written to swap",
                                                  costly("out")),
    col<[](const Row& r) { return kib(r.value.out); }>("out_kib", "OUT(KB)", -9, "The same in KiB",
                                                       costly("out")),
};

constexpr std::string_view kDirections[] = {"in", "out"};

constexpr Column kFields[] = {
    event_field<field<&swap_event::pages>>("pages", "Pages that are read or written at once"),
    event_field_of_names<field<&swap_event::out>, kDirections>("direction", "in or out"),
    task_field::pid,
    task_field::tid,
    task_field::comm,
    task_field::cpu};

constexpr Need kNeeds[] = {
    {.what = "pages that are read from swap",
     .rungs = {rung_any<&P::folio_in_fentry, &P::page_in_fentry>("fentry"),
               rung_any<&P::folio_in_kprobe, &P::page_in_kprobe>("kprobe")}},
    {.what = "pages that are written to swap",
     .rungs = {rung<&P::page_out_fentry>("fentry"), rung<&P::page_out_kprobe>("kprobe")},
     .option = "out"},
};

void take(swapin_bpf& s, Options&, __u32 generation, std::vector<Row>& rows)
{
    const Entries entries(s.maps.cb_top, generation);
    for (std::size_t i = 0; i < entries.size(); i++) {
        Row& row = rows.emplace_back();
        row.key = entries.key<swap_key>(i);
        entries.values<swap_value>(i, [&](const swap_value& value) { row.value = value; });
    }
}

constexpr Table<swapin_bpf, Options, Row> kTool{
    .about = {.name = "swapin",
              .area = "memory",
              .summary = "Count the pages that processes read from swap",
              .details = "Prints one line for each process that had to read pages from swap in the "
                         "interval, the one with most first.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .fields = kFields,
    .take = take,
    .weight = [](const Row& r, const Options&) -> std::uint64_t {
        return r.value.in + r.value.out;
    },
    .events = [](const Row& r) -> std::uint64_t { return r.value.in + r.value.out; },
    .timed = true,
    .interval = std::chrono::seconds(1),
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
