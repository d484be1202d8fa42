// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "dbstat.h"
#include "../database.hpp"
#include "shape/histogram.hpp"
#include "tool/milliseconds.hpp"

#include "dbstat.skel.h"

namespace
{
using namespace corebox;

struct Options : DatabaseOptions {
    Milliseconds threshold{};
    bool microseconds = false;
};

constexpr Example kExamples[] = {
    {"dbstat", "Show how long statements of all database servers take, until Ctrl-C"},
    {"dbstat postgres -i 1", "Print a histogram for PostgreSQL every second"},
    {"dbstat mysql -u -p 181", "Show microseconds for one MySQL or MariaDB server"},
    {"dbstat -C -m 10", "Show a histogram for each command, of 10 ms or longer"},
};

constexpr Option kPositionals[] = {
    opt<&Options::server>(0, "server", "mysql|postgres", "Trace only servers of this kind"),
};

constexpr Option kOptions[] = {
    opt<&Options::threshold>('m', "threshold", "MS", "Skip shorter statements (default: 0)"),
    flag<&Options::microseconds>('u', "microseconds", "Show microseconds"),
    flag<&Options::by_command>('C', "commands", "Show a histogram for each command"),
    flag<&Options::by_pid>('P', "processes", "Show a histogram for each process"),
    opt<&Options::programs>('x', "exe", "PATH,...", "Attach to these server programs", {}, {},
                            "file"),
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'i', "interval"}};

constexpr Column kColumns[] = {
    col<[](const dbstat_key& k) { return Trusted{kServers[k.server]}; }>(
        "server", "SERVER", 8, "postgres or mysql (MariaDB too)", costly("commands")),
    col<[](const dbstat_key& k) { return Trusted{name_command(k.server, k.command)}; }>(
        "command", "COMMAND", 16, "query, execute, or the name of another command",
        costly("commands")),
    col<&dbstat_key::pid>("pid", "PID", 7, "Process ID", costly("processes")),
};

using E = dbstat_event;
constexpr std::string_view kOutcomes[] = {"done", "failed", "died"};
constexpr Column kFields[] = {
    event_field<field<&E::lat_ns> / 1'000'000>("lat_ms", "Duration in milliseconds"),
    event_field<field<&E::lat_ns>>("lat_ns", "Duration in nanoseconds"),
    event_field<field<&E::pid>>("pid", "Process ID"),
    event_field<field<&E::tid>>("tid", "Thread ID"),
    event_field<field<&E::comm>>("comm", "Command name of the thread"),
    event_field_of_names<field<&E::server>, kServers>("server", "postgres or mysql"),
    event_field_of_names<field<&E::outcome>, kOutcomes>("outcome", "done, failed or died"),
};

constexpr auto& kNeeds = kDatabaseNeeds<dbstat_bpf, Options>;

void prepare(Options& o, Session& session)
{
    o.min_ns = o.threshold.ns;
    o.unit_ns = o.microseconds ? 1'000 : 1'000'000;
    o.choose_servers(session);
}

constexpr Histogram<dbstat_bpf, Options, dbstat_key> kTool{
    .about = {.name = "dbstat",
              .area = "user",
              .summary = "Show how long database statements take as a histogram",
              .details = "Measures statements of PostgreSQL, MySQL and MariaDB servers. Without -p "
                         "it traces all servers of the machine, also those that start later.",
              .examples = kExamples},
    .options = kOptions,
    .positionals = kPositionals,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .fields = kFields,
    .unit =
        [](const Options& o) {
            return o.microseconds ? Unit{"usecs", 1'000} : Unit{"msecs", 1'000'000};
        },
    .keyed = [](const Options& o) { return o.by_command || o.by_pid; },
    .prepare = prepare,
    .chosen = [](const Options& o) { return choose_needs(kNeeds, o.server); },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
