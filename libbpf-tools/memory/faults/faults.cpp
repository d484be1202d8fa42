// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "faults.h"
#include "output/task_fields.hpp"
#include "shape/stacks.hpp"
#include "shape/top.hpp"

#include "faults.skel.h"

namespace
{
using namespace corebox;
using P = decltype(faults_bpf::progs);

struct Options : StackOptions {
    enum Sort { faults, major } sort = faults;
    bool stacks = false, files = false, only_major = false;
};

struct Row {
    std::uint64_t time_ns = 0;
    fault_key key{};
    fault_value value{};
};

constexpr Example kExamples[] = {
    {"faults", "Show the processes with most page faults, every second"},
    {"faults -C -M -F 10 1", "Print the files that processes waited for in 10 seconds"},
    {"faults --stacks -p 181", "Count the stacks of process 181 that fault until Ctrl-C"},
    {"faults --stacks -M --flame out.svg 30", "Draw a flame graph of 30 seconds of major faults"},
};

constexpr Option kOptions[] = {
    flag<&Options::files>('F', "files", "Show each mapped file separately"),
    flag<&Options::stacks>('S', "stacks", "Count by stack instead"),
    flag<&Options::only_major>('M', "major", "Trace only major faults"),
    choice<&Options::sort>('s', "sort", "faults|major", "Sort by this (default: faults)"),
    stack_option::user_only,
    stack_option::kernel_only,
    stack_option::threads,
    stack_option::folded,
    stack_option::delimited,
    stack_option::annotations,
    stack_option::address,
    stack_option::flame,
    stack_option::storage,
    stack_option::hash_storage,
    stack_option::depth,
};

constexpr std::size_t kFirstOfStacks = 4; // in kOptions

constexpr Letter kLetters[] = {{'p', "pid"}, {'r', "rows"}, {'C', "noclear"}};

std::string_view file_of(const Row& r)
{
    switch (r.key.memory) {
    case FAULT_ANONYMOUS:
        return "[anon]";
    case FAULT_UNKNOWN:
        return "[unknown]";
    }
    return c_str(r.value.file);
}

constexpr Column kColumns[] = {
    col<[](const Row& r) { return WallTime{r.time_ns}; }>("time_ns", "TIME", 8,
                                                          "End of the interval", kJsonOnly),
    col<[](const Row& r) { return r.key.pid; }>("pid", "PID", 7, "Process ID"),
    col<[](const Row& r) -> Value { return r.key.comm; }>("comm", "COMM", 16,
                                                          "Command name of the thread"),
    col<[](const Row& r) { return r.value.faults - r.value.major; }>(
        "minor", "MINOR", -10, "Faults that found their page in memory, or made a new one"),
    col<[](const Row& r) { return r.value.major; }>("major", "MAJOR", -8,
                                                    "Faults that waited for a device"),
    col<[](const Row& r) -> Value {
        return r.key.memory == FAULT_FILE ? Value(r.key.inode) : Absent{};
    }>("inode", "INODE", 10, "Inode number of the file", kJsonOnly)
        .as(ColumnType::natural),
    col<[](const Row& r) -> Value {
        return r.key.memory == FAULT_FILE ? Value(r.key.dev >> 20) : Absent{};
    }>("dev_major", "MAJ", 4, "Major number of its file system's device", kJsonOnly)
        .as(ColumnType::natural),
    col<[](const Row& r) -> Value {
        return r.key.memory == FAULT_FILE ? Value(r.key.dev & 0xfffff) : Absent{};
    }>("dev_minor", "MIN", 4, "Minor number of its file system's device", kJsonOnly)
        .as(ColumnType::natural),
    col<[](const Row& r) -> Value { return file_of(r); }>(
        "file", "FILE", 0, "Name of the mapped file, without its directory; [anon]: none",
        costly("files")),
};

constexpr Column kStackColumns[] = {
    stack_column::comm,
    stack_column::pid,
    stack_column::tid,
    col<[](const StackRow& r) { return r.events - r.total; }>("minor", "MINOR", -10,
                                                              "Minor faults"),
    col<&StackRow::total>("major", "MAJOR", -8, "Major faults"),
    stack_column::user,
    stack_column::kernel,
    stack_column::user_address,
    stack_column::kernel_address,
};

constexpr Column kFields[] = {
    event_field<field<&fault_event::major> != 0>("major", "Whether it waited for a device"),
    event_field<field<&fault_event::file>>("file", "Name of the mapped file, its first 127 bytes"),
    event_field<field<&fault_event::address>>("address", "Address that was accessed"),
    task_field::pid,
    task_field::tid,
    task_field::comm,
    task_field::cpu};

constexpr Need kNeeds[] = {
    {"page faults as they end",
     {rung<&P::fault_fexit>("fexit"),
      rung<&P::fault_kprobe, &P::fault_kretprobe>(
          "kprobe", "with --stacks on Linux 5.10, what calls it in the kernel")}},
};

void setup(faults_bpf& s, Options& o, const Session&)
{
    s.rodata->cfg = {.stacks = o.stacks, .files = o.files, .major = o.only_major};
    bpf_map__set_autocreate(s.maps.cb_top, !o.stacks);
    for (bpf_map* map :
         {s.maps.cb_stacks, s.maps.cb_stacks_spill, s.maps.cb_stack_sums, s.maps.cb_stack_tasks})
        bpf_map__set_autocreate(map, o.stacks);
}

constexpr About kAbout{
    .name = "faults",
    .area = "memory",
    .summary = "Count page faults by process, by mapped file or by stack",
    .details = "Prints one line for each process that had page faults in the interval, the one "
               "with most first. Major faults wait for a device, minor ones do not.",
    .examples = kExamples};

constexpr Top<faults_bpf, Options, Row> kTool{
    .about = kAbout,
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .fields = kFields,
    .prepare =
        [](Options&, Session& session) {
            for (const Option& option : std::span(kOptions).subspan(kFirstOfStacks))
                if (session.given(option.name))
                    fail_usage(cat("--", option.name, " requires --stacks"));
        },
    .setup = setup,
    .decode =
        [](Row& row, const Entries& entries, std::size_t entry) {
            row.key = entries.key<fault_key>(entry);
            entries.values<fault_value>(entry, [&](const fault_value& v) { row.value = v; });
        },
    .weight = [](const Row& r, const Options& o) -> std::uint64_t {
        return o.sort == Options::major ? r.value.major : r.value.faults;
    },
    .events = [](const Row& r) -> std::uint64_t { return r.value.faults; },
    .also = Shared::symbols,
};

// As in tables: how many of them were major.
void block(std::string& out, const StackRow& row, const StackOptions& options,
           const StackUnit& unit)
{
    append_block(out, row, options, unit);
    if (row.total == 0)
        return;
    out.resize(out.size() - 2); // two newlines
    out += cat(" (", row.total, " major)\n\n");
}

constexpr Stacks<faults_bpf, Options> kStacks{
    .about = kAbout,
    .options = kOptions,
    .letters = kLetters,
    .columns = kStackColumns,
    .needs = kNeeds,
    .fields = kFields,
    .unit = {.name = "faults", .block = block},
    .prepare =
        [](Options& o, Session& session) {
            if (o.files || session.given("sort"))
                fail_usage("--stacks excludes --files and --sort");
            if (!session.given("interval"))
                session.interval = Seconds(0); // one report, at the end
        },
    .setup = setup,
    .banner =
        [](const Options& o, const Session& session) {
            return cat("Counting ", o.only_major ? "major" : "page", " faults of ",
                       traced_tasks(session), " by ",
                       o.user_only     ? "user"
                       : o.kernel_only ? "kernel"
                                       : "user + kernel",
                       " stack", traced_time(session));
        },
};

constexpr auto kMode = [](const Options& o) { return o.stacks ? 1 : 0; };
[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = modes<kMode, kTool, kStacks>();
} // namespace
