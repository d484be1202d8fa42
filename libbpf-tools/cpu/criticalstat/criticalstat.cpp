// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "criticalstat.h"
#include "session/cpus.hpp"
#include "shape/hidden_names.hpp"
#include "shape/stream.hpp"
#include "symbols/kernel.hpp"
#include <cerrno>
#include <cstring>
#include <optional>

#include "criticalstat.skel.h"

namespace
{

using namespace corebox;
using Progs = decltype(criticalstat_bpf::progs);

struct Options : critical_config {
    std::uint64_t min_us = 100;
    bool preempt = false, irq = false;
    std::string_view section; // BEGIN,END
    std::string begin, end;   // tracepoints
};

struct Row {
    critical_event e{};
    std::optional<KernelSymbols> symbols; // read when the first section is shown
    std::string begin, begin_parent, end, end_parent;
    std::vector<std::string> frames;
    std::vector<std::string_view> views;
};

constexpr Example kExamples[] = {
    {"criticalstat", "Trace sections with interrupts disabled for more than 100 us"},
    {"criticalstat -p -d 500", "Trace sections with preemption disabled for more than 500 us"},
    {"criticalstat --section irq_handler_entry,irq_handler_exit", "Trace long interrupt handlers"},
};

constexpr Option kOptions[] = {
    flag<&Options::preempt>('p', "preemptoff", "Trace sections with preemption disabled"),
    flag<&Options::irq>('i', "irqoff", "Trace sections with interrupts disabled (default)"),
    opt<&Options::min_us>('d', "min-duration", "US",
                          "Skip shorter sections (default: 100 microseconds)", {0, 3'600'000'000},
                          "duration"),
    opt<&Options::section>(0, "section", "BEGIN,END",
                           "Trace what runs between these tracepoints instead"),
};

constexpr Column kColumns[] = {
    col<[](const Row& r) { return WallTime{r.e.time_ns}; }>("time_ns", "TIME", 8,
                                                            "Time when the section ended"),
    col<[](const Row& r) -> Value { return r.e.comm; }>("comm", "COMM", 16, "Command name")
        .from<field<&critical_event::comm>>(),
    col<[](const Row& r) { return r.e.pid; }>("pid", "PID", 7, "Process ID")
        .from<field<&critical_event::pid>>(),
    col<[](const Row& r) { return r.e.tid; }>("tid", "TID", 7, "Thread ID")
        .from<field<&critical_event::tid>>(),
    col<[](const Row& r) { return r.e.cpu; }>("cpu", "CPU", 4, "CPU")
        .from<field<&critical_event::cpu>>(),
    col<[](const Row& r) { return r.e.ns / 1000; }>("total_us", "TOTAL(us)", -10,
                                                    "Duration of the section in microseconds")
        .from<field<&critical_event::ns> / 1000>(),
    col<[](const Row& r) { return r.e.ns; }>("total_ns", "TOTAL(ns)", -12,
                                             "Duration of the section in nanoseconds")
        .from<field<&critical_event::ns>>(),
    col<[](const Row& r) { return Value(std::string_view(r.begin)); }>(
        "begin", "BEGIN", 24, "Function where the section began")
        .as(ColumnType::text),
    col<[](const Row& r) { return Value(std::string_view(r.begin_parent)); }>(
        "begin_parent", "BEGIN-PARENT", 24, "Caller of this function")
        .as(ColumnType::text),
    col<[](const Row& r) { return Value(std::string_view(r.end)); }>(
        "end", "END", 24, "Function where the section ended")
        .as(ColumnType::text),
    col<[](const Row& r) { return Value(std::string_view(r.end_parent)); }>(
        "end_parent", "END-PARENT", 24, "Caller of this function")
        .as(ColumnType::text),
    col<[](const Row& r) {
        return Value(List{r.views.data(), r.views.size()});
    }>("stack", "STACK", 0, "Kernel functions at the end of the section, leaf first")
        .as(ColumnType::list),
};

std::vector<bpf_link*> attach(const Session& session, const bpf_program* program)
{
    const auto& o = session.options_as<Options>();
    const bool begin = std::string_view(bpf_program__name(program)) == "section_begin";
    const std::string& tracepoint = begin ? o.begin : o.end;
    if (bpf_link* link = bpf_program__attach_raw_tracepoint(program, tracepoint.c_str()))
        return {link};
    if (errno == ENOENT && o.section.empty())
        fail("cannot trace critical sections",
             cat("this kernel has no tracepoint preemptirq:", tracepoint),
             cat("use a kernel with CONFIG_PREEMPTIRQ_TRACEPOINTS=y and CONFIG_TRACE_",
                 o.preempt ? "PREEMPT_TOGGLE" : "IRQFLAGS"));
    if (errno == ENOENT)
        fail("cannot trace --section", cat("this kernel has no tracepoint ", tracepoint));
    return {};
}

constexpr Need kNeeds[] = {
    {"critical sections", {rung<&Progs::section_end, &Progs::section_begin>("raw_tp", {}, attach)}},
    {"idle CPUs", {rung<&Progs::idle>("raw_tp")}, "!section"},
};

void setup(criticalstat_bpf& s, Options& o, const Session&)
{
    if (o.irq)
        o.preempt = false; // as BCC
    const auto names = split(o.section, ',');
    if (!o.section.empty() && names.size() != 2)
        fail_usage(cat("--section must be two tracepoints, not '", o.section, "'"));
    o.begin = names.empty() ? o.preempt ? "preempt_disable" : "irq_disable" : names[0];
    o.end = names.empty() ? o.preempt ? "preempt_enable" : "irq_enable" : names[1];
    o.min_ns = o.min_us * 1000;
    o.places = names.empty();
    bpf_map__set_max_entries(s.maps.cpus, cpu_limit());
}

std::string symbol(const KernelSymbols& symbols, std::uint64_t address, bool offset)
{
    const auto frame = symbols.lookup(address);
    if (!frame)
        return "[unknown]";
    std::string name(frame->name);
    if (offset)
        name += cat("+", to_hex(frame->offset));
    return name;
}

bool decode(Row& row, const Options& o, const void* record, std::size_t size)
{
    std::memcpy(&row.e, record, std::min(size, sizeof row.e));
    if (!row.symbols)
        row.symbols = KernelSymbols::load();
    const auto name = [&](std::uint64_t address) {
        return o.places ? symbol(*row.symbols, address, false) : std::string();
    };
    row.begin = o.places ? name(row.e.begin_ip) : o.begin;
    row.begin_parent = name(row.e.begin_parent_ip);
    row.end = o.places ? name(row.e.end_ip) : o.end;
    row.end_parent = name(row.e.end_parent_ip);
    row.frames.clear();
    const auto bytes = std::size_t(std::max(row.e.stack_bytes, 0));
    std::span<const __u64> stack(row.e.stack,
                                 std::min(bytes / sizeof(__u64), std::size(row.e.stack)));
    const std::vector<std::uint64_t> addresses(stack.begin(), stack.end());
    for (std::size_t i = row.symbols->own_frames(addresses); i < addresses.size(); i++)
        row.frames.push_back(symbol(*row.symbols, addresses[i], true));
    row.views.assign(row.frames.begin(), row.frames.end());
    return true;
}

constexpr std::string_view kLine = "===================================\n";

// As BCC prints it.
bool blocks(Output& output, const void* row, const Session& session)
{
    if (session.format != Format::text || !session.columns.empty())
        return false;
    const auto& o = session.options_as<Options>();
    std::string& out = output.text();
    if (!row) {
        out += cat("Finding critical section with ",
                   !o.section.empty() ? o.section
                   : o.preempt        ? std::string_view("preempt disabled")
                                      : std::string_view("IRQ disabled"),
                   " for > ", o.min_us, "us\n");
        return true;
    }
    const Row& r = *static_cast<const Row*>(row);
    out += cat(kLine, "TASK: ");
    output.cell(Value(r.e.comm));
    const auto part = r.e.ns % 1000;
    out += cat(" (pid ", r.e.pid, " tid ", r.e.tid, ") Total Time: ", r.e.ns / 1000, ".",
               part < 100 ? "0" : "", part < 10 ? "0" : "", part, "us\n\n");
    const auto place = [&](std::string_view what, const std::string& at, const std::string& from) {
        out += cat(what, at, from.empty() ? "" : cat(" -> ", from), "\n");
    };
    place("Section start: ", r.begin, r.begin_parent);
    place("Section end:   ", r.end, r.end_parent);
    for (const std::string& frame : r.frames)
        out += cat("  ", frame, "\n");
    out += cat(kLine, "\n");
    return true;
}

constexpr Stream<criticalstat_bpf, Options, Row> kTool{
    .about = {.name = "criticalstat",
              .area = "cpu",
              .summary = "Trace long sections with interrupts or preemption disabled",
              .details = "Prints each long section in which a CPU has interrupts or preemption "
                         "disabled: where it began and ended, and the kernel stack.",
              .examples = kExamples,
              .smoke = {"--section", "softirq_entry,softirq_exit"}},
    .options = kOptions,
    .columns = kColumns,
    .needs = kNeeds,
    .setup = setup,
    .decode = decode,
    .mirror = blocks,
    .also = Shared::symbols,
    .attached = [](const Options&, const Session& session) { say_hidden_names(session); },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
