// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bpf_users.hpp"
#include "output/escape.hpp"
#include "shape/listing.hpp"
#include <algorithm>
#include <cstdio>
#include <unistd.h>

namespace
{

using namespace corebox;

struct Options {
    unsigned level = 0; // how many -v
    bool progs = false;
    std::uint32_t pid = 0;
};

// One process's objects of a type, or one program.
struct Row {
    std::uint32_t pid = 0;
    std::string_view comm;
    std::string_view type;
    std::uint64_t count = 0;
    std::vector<std::string_view> probes;

    const BpfProgram* program = nullptr;
    std::vector<std::string> owners;
    std::vector<std::string_view> owner_views, attached, pinned;

    static Value list(const std::vector<std::string_view>& items)
    {
        return List{items.data(), items.size()};
    }
    Value stat(std::uint64_t n) const { return program->timed ? Value(n) : Value(); }
};

constexpr Example kExamples[] = {
    {"bpflist", "List the processes that hold BPF programs, maps and links"},
    {"bpflist -vv", "List their probes too"},
    {"bpflist --progs", "List all BPF programs, where they are attached, and who holds them"},
};

constexpr Option kOptions[] = {
    {.key = 'v',
     .name = "probes",
     .arg = {},
     .help = "Count probes of BPF programs too; twice: list them",
     .apply = [](void* options, std::string_view, const Range&) -> std::string {
         static_cast<Options*>(options)->level++;
         return {};
     },
     .alias = "verbosity"},
    flag<&Options::progs>(0, "progs", "Print one line per BPF program instead"),
    opt<&Options::pid>('p', "pid", "PID", "Show only what this process holds", kPositive, {},
                       "pid"),
};

constexpr Column kColumns[] = {
    col<&Row::pid>("pid", "PID", 6, "Process ID"),
    col<&Row::comm>("comm", "COMM", 16, "Command name of the process"),
    col<&Row::type>(
        "type", "TYPE", 10,
        "prog, map, link, btf, ..., and with -v kprobe, uprobe, tracepoint, perf_event"),
    col<&Row::count>("count", "COUNT", -5, "Number of descriptors"),
    col<[](const Row& r) { return Row::list(r.probes); }>(
        "probes", "PROBES", 0, "Probed functions and tracepoints, with -v", kJsonOnly)
        .as(ColumnType::list),
    col<[](const Row& r) { return r.program->id; }>("id", "ID", 5, "ID of the program",
                                                    with("progs")),
    col<[](const Row& r) { return Value(std::string_view(r.program->type)); }>(
        "prog_type", "TYPE", 14, "Type of the program", with("progs"))
        .as(ColumnType::text),
    col<[](const Row& r) { return Value(std::string_view(r.program->name)); }>(
        "name", "NAME", 15, "Name of the program", with("progs"))
        .as(ColumnType::text),
    col<[](const Row& r) { return r.stat(r.program->run_count); }>(
        "run_cnt", "RUNS", -9, "Number of runs, if kernel.bpf_stats_enabled is on", with("progs"))
        .as(ColumnType::natural),
    col<[](const Row& r) { return r.stat(r.program->run_time_ns); }>(
        "run_time_ns", "TIME (ns)", -12, "Total time of these runs", with("progs"))
        .as(ColumnType::natural),
    col<[](const Row& r) { return r.program->memlock; }>("memlock_bytes", "MEMORY", -8,
                                                         "Memory in bytes", with("progs")),
    col<[](const Row& r) { return Row::list(r.attached); }>(
        "attached", "ATTACHED", 30, "Where the program is attached", with("progs"))
        .as(ColumnType::list),
    col<[](const Row& r) { return Row::list(r.owner_views); }>(
        "holders", "HELD BY", 24, "Processes that hold the program or its link, as comm(PID)",
        with("progs"))
        .as(ColumnType::list),
    col<[](const Row& r) { return Row::list(r.pinned); }>("pinned", "PINNED", 0,
                                                          "Paths in /sys/fs/bpf", with("progs"))
        .as(ColumnType::list),
};

using Print = std::function<bool(const Row&)>;

void list_probes(const std::vector<BpfUser>& users)
{
    // As BCC does: above the table.
    for (const auto& [kind, title] :
         {std::pair{"kprobe", "open kprobes:"}, std::pair{"uprobe", "open uprobes:"},
          std::pair{"tracepoint", "open tracepoints:"}}) {
        std::string text;
        for (const BpfUser& user : users)
            for (const BpfProbe& probe : user.probes)
                if (probe.kind == kind) {
                    text += cat("  ", user.pid, " ");
                    escape_text(text, probe.what, false);
                    text += '\n';
                }
        if (!text.empty())
            std::fputs(cat(title, "\n", text, "\n").c_str(), stdout);
    }
    std::fflush(stdout);
}

void list_users(const std::vector<BpfUser>& users, const Options& o, const Print& print)
{
    for (const BpfUser& user : users) {
        Row row;
        row.pid = user.pid;
        row.comm = user.comm;
        for (const auto& [type, count] : user.objects) {
            row.type = type;
            row.count = count;
            if (!print(row))
                return;
        }
        for (const std::string_view kind : kProbeKinds) {
            row.type = kind;
            row.probes.clear();
            for (const BpfProbe& probe : user.probes)
                if (o.level && probe.kind == kind)
                    row.probes.push_back(probe.what);
            row.count = row.probes.size();
            if (row.count && !print(row))
                return;
        }
    }
}

void list_programs(const std::vector<BpfUser>& users, const Options& o, const Print& print)
{
    for (const BpfProgram& program : bpf_programs(users)) {
        Row row;
        row.program = &program;
        bool is_held = false;
        for (const BpfUser& user : users)
            if (user.programs.contains(program.id)) {
                is_held |= user.pid == o.pid;
                row.owners.push_back(cat(user.comm, "(", user.pid, ")"));
            }
        row.owner_views.assign(row.owners.begin(), row.owners.end());
        row.attached.assign(program.attached.begin(), program.attached.end());
        row.pinned.assign(program.pinned.begin(), program.pinned.end());
        if ((o.pid == 0 || is_held) && !print(row))
            return;
    }
}

constexpr Listing<Options, Row> kTool{
    .about = {.name = "bpflist",
              .area = "process",
              .summary = "List the processes that use BPF",
              .details = "Prints one line for each process and type of BPF object that it holds, "
                         "or with --progs one line per program. It attaches no probes.",
              .examples = kExamples},
    .options = kOptions,
    .columns = kColumns,
    .prepare =
        [](Options& o, Session& session) {
            if (session.columns.empty())
                session.columns = o.progs ? "id,prog_type,name,run_cnt,run_time_ns,memlock_bytes,"
                                            "attached,holders,pinned"
                                  : session.format == Format::text ? "pid,comm,type,count"
                                                                   : "pid,comm,type,count,probes";
            // A program has no PID, and a process no attachments.
            for (const std::string_view key : split(session.columns, ',')) {
                const auto column = std::ranges::find(kColumns, key, &Column::key);
                if (column != std::end(kColumns) && (column->show.option == "progs") != o.progs)
                    fail_usage(cat("--columns: '", key, o.progs ? "' is not" : "' is only",
                                   " there with --progs"));
            }
        },
    .list =
        [](const Options& o, const Session& session, const Print& print) {
            if (o.pid && ::access(cat("/proc/", o.pid).c_str(), F_OK) != 0)
                fail(cat("no process has the ID ", o.pid, " in this PID namespace"), 0);
            std::size_t closed = 0;
            std::vector<BpfUser> users = bpf_users(closed);
            if (closed)
                say(session.tool,
                    cat(closed, " processes cannot be inspected; this requires CAP_SYS_PTRACE"));
            if (o.progs)
                return list_programs(users, o, print);
            std::erase_if(users, [&](const BpfUser& user) { return o.pid && user.pid != o.pid; });
            if (o.level > 1 && session.format == Format::text)
                list_probes(users);
            list_users(users, o, print);
        },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();

} // namespace
