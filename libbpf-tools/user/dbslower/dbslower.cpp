// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "dbslower.h"
#include "../database.hpp"
#include "../database_title.hpp"
#include "output/task_columns.hpp"
#include "shape/stream.hpp"
#include "tool/milliseconds.hpp"

#include "dbslower.skel.h"

namespace
{
using namespace corebox;
using P = decltype(dbslower_bpf::progs);

struct Options : DatabaseOptions {
    Milliseconds threshold{1'000'000};
    std::uint32_t pid = 0;
};

struct Row : database_event {
    bool has_text = false, is_cut = false;
    std::string_view text, name; // of the command
    std::string shown;           // the text with a note where it is cut, or what stands for none
    DatabaseTitle owner;
};

constexpr Example kExamples[] = {
    {"dbslower", "Trace statements of 1 ms or longer of all database servers"},
    {"dbslower postgres -m 100", "Trace statements of PostgreSQL of 100 ms or longer"},
    {"dbslower mysql -m 0 -p 181", "Trace all commands of a MySQL or MariaDB server"},
    {"dbslower -d --where 'database == \"shop\"'", "Trace one database, and print details"},
    {"mysqld_qslower 181 10", "Trace commands of one server of 10 ms or longer"},
};

constexpr Alias kAliases[] = {
    {"mysqld_qslower", {"mysql"}, "Trace slow commands of a MySQL or MariaDB server"},
};

constexpr Option kPositionals[] = {
    opt<&Options::server>(0, "server", "mysql|postgres", "Trace only servers of this kind"),
    opt<&Options::pid>(0, "process", "PID", "Trace this process", {1, 1 << 22}),
    opt<&Options::threshold>(0, "min-ms", "MS", "Skip shorter statements, as -m"),
};

constexpr Option kOptions[] = {
    opt<&Options::threshold>('m', "threshold", "MS",
                             "Skip shorter statements (default: 1; 0: all)"),
    opt<&Options::programs>('x', "exe", "PATH,...", "Attach to these server programs", {}, {},
                            "file"),
    show('d', "details", "Print command, outcome, user and database"),
};

constexpr Letter kLetters[] = {{'p', "pid"}};

constexpr std::string_view kOutcomes[] = {"done", "failed", "died"};

Value text_or_absent(std::string_view text) { return text.empty() ? Value(Absent{}) : Value(text); }

constexpr Column kColumns[] = {
    col<[](const Row& r) { return SinceFirst{r.task.time_ns}; }>("since_s", "TIME(s)", 14,
                                                                 "Seconds since the first event"),
    col<[](const Row& r) { return WallTime{r.task.time_ns}; }>(
        "time_ns", "TIME", 8, "Time at which the statement ended", kJsonOnly),
    col<[](const Row& r) { return r.task.pid; }>("pid", "PID", 7, "Process ID")
        .from<field<&task_info::pid>>(),
    col<[](const Row& r) { return r.task.tid; }>("tid", "TID", 7, "Thread ID", kJsonOnly)
        .from<field<&task_info::tid>>(),
    col<[](const Row& r) -> Value { return r.task.comm; }>("comm", "COMM", 16,
                                                           "Command name of the thread", kJsonOnly)
        .from<field<&task_info::comm>>(),
    col<[](const Row& r) {
        return Fixed{r.lat_ns / 1000, 3};
    }>("lat_ms", "MS", -10, "Time that the statement took, in milliseconds")
        .from<fixed(field<&database_event::lat_ns> / 1000, 3)>(),
    col<[](const Row& r) { return r.lat_ns; }>("lat_ns", "NS", -12, "The same in nanoseconds",
                                               kJsonOnly)
        .from<field<&database_event::lat_ns>>(),
    col<[](const Row& r) { return Trusted{kServers[r.server]}; }>(
        "server", "SERVER", 8, "postgres or mysql (MariaDB too)", kJsonOnly)
        .from_names<field<&database_event::server>, kServers>(),
    col<[](const Row& r) { return Trusted{r.name}; }>(
        "command", "COMMAND", 10, "query, execute, or the name of another command",
        with("details")),
    col<[](const Row& r) { return Trusted{kOutcomes[r.outcome]}; }>(
        "outcome", "OUTCOME", 7, "done, failed (PostgreSQL only), died", with("details"))
        .from_names<field<&database_event::outcome>, kOutcomes>(),
    col<[](const Row& r) -> Value { return text_or_absent(r.owner.user); }>(
        "user", "USER", 12, "Database user (PostgreSQL only)", with("details"))
        .as(ColumnType::text),
    col<[](const Row& r) -> Value { return text_or_absent(r.owner.database); }>(
        "database", "DATABASE", 12, "Database (PostgreSQL only)", with("details"))
        .as(ColumnType::text),
    col<[](const Row& r) -> Value { return text_or_absent(r.owner.client); }>(
        "client", "CLIENT", 22, "Address and port, or [local] (PostgreSQL only)", kJsonOnly)
        .as(ColumnType::text),
    col<[](const Row& r) -> Value {
        return r.server == SERVER_POSTGRES ? Value(r.statements) : Value();
    }>("statements", "STMTS", -5, "Statements in the string that ran (PostgreSQL only)", kJsonOnly)
        .as(ColumnType::integer),
    col<[](const Row& r) -> Value { return r.id ? Value(r.id) : Value(); }>(
        "prepared_id", "ID", -6, "Number of the prepared statement (MySQL only)", kJsonOnly)
        .as(ColumnType::integer),
    col<[](const Row& r) -> Value {
        return r.has_text && r.text_size != TEXT_ENDS ? Value(r.text_size) : Value();
    }>("query_bytes", "BYTES", -8, "Length of the whole text", kJsonOnly)
        .as(ColumnType::integer),
    col<[](const Row& r) { return r.is_cut; }>("cut", "CUT", 5, "Whether the text is incomplete",
                                               kJsonOnly),
    col<[](const Row& r) -> Value { return r.has_text ? Value(r.text) : Value(Absent{r.shown}); }>(
        "query", "QUERY", 0, "Text of the statement", kJsonOnly)
        .as(ColumnType::text),
    col<[](const Row& r) -> Value {
        return r.has_text ? Value(std::string_view(r.shown)) : Value(Absent{r.shown});
    }>("query_shown", "QUERY", 0, "Text of the statement, or what the command was", kTextOnly)
        .as(ColumnType::text),
};

constexpr auto& kNeeds =
    kDatabaseNeeds<dbslower_bpf, Options, &P::mysql_prepare, &P::mysql_execute>;

std::span<const Need> chosen(const Options& o) { return choose_needs(kNeeds, o.server); }

void prepare(Options& o, Session& session)
{
    o.min_ns = o.threshold.ns;
    if (o.pid)
        session.pids.push_back(o.pid);
    o.choose_servers(session);
}

void setup(dbslower_bpf& s, Options& o, const Session&)
{
    if (o.server.mysql)
        return;
    for (bpf_map* map : {s.maps.prepared_short, s.maps.prepared_middle, s.maps.prepared_long})
        bpf_map__set_max_entries(map, 1);
}

std::string describe_absence(const Row& row)
{
    if (row.text_state == TEXT_UNREADABLE)
        return "(text not readable)";
    return cat("(", row.name, row.id ? cat(" ", row.id) : "",
               row.text_state == TEXT_UNKNOWN ? ", prepared before the trace" : "", ")");
}

bool decode(Row& row, const Options&, const void* record, std::size_t size)
{
    const auto& event = *static_cast<const database_event*>(record);
    static_cast<database_event&>(row) = event;
    row.text = {static_cast<const char*>(record) + sizeof event,
                std::min<std::size_t>(row.text_len, size - sizeof event)};
    row.name = name_command(row.server, row.command);
    row.has_text = row.text_state == TEXT_THERE;
    row.is_cut = row.has_text && row.text_size != row.text.size();
    if (!row.has_text)
        row.shown = describe_absence(row);
    else if (row.is_cut)
        row.shown = cat(row.text, " ... (cut after ", row.text.size(), " bytes",
                        row.text_size == TEXT_ENDS ? "" : cat(" of ", row.text_size), ")");
    else
        row.shown = row.text;
    row.owner = parse_database_title(c_str(row.title));
    return true;
}

constexpr Stream<dbslower_bpf, Options, Row> kTool{
    .about = {.name = "dbslower",
              .area = "user",
              .summary = "Trace slow statements of PostgreSQL, MySQL and MariaDB",
              .details = "Prints each statement that takes 1 ms or longer in a database server, "
                         "with its text. Without -p it traces all servers of the machine, also "
                         "those that start later.",
              .examples = kExamples,
              .aliases = kAliases},
    .options = kOptions,
    .positionals = kPositionals,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .setup = setup,
    .decode = decode,
    .prepare = prepare,
    .chosen = chosen,
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
