// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What dbslower and dbstat have in common in user space: where the servers are, which probes of
// them are needed, and how commands are called.
#pragma once
#include "database.h"
#include "probe/user_probe.hpp"
#include <bpf/libbpf.h>

namespace corebox
{

// Which servers: "mysql", "postgres".
struct DatabaseChoice {
    bool postgres = true, mysql = true;

    static std::string parse(std::string_view text, DatabaseChoice& out);
};

// What the options of these tools begin with.
struct DatabaseOptions : database_config {
    DatabaseChoice server;
    std::vector<std::string_view> programs; // --exe

    // What --exe or -p names must be servers; they say which. Without them, servers of a kind that
    // cannot be traced are left out where the user did not choose a kind.
    void choose_servers(const Session& session);
};

inline constexpr std::string_view kServers[] = {"postgres", "mysql"};
// "query", "execute", "ping"; "?" where the server's protocol has no such command.
std::string_view name_command(unsigned server, unsigned command);

// Where a program of database.bpf.h is attached, by its name.
const UserSite& database_site(std::string_view program);
Obstacle find_postgres_obstacle(const Facts& facts);
Obstacle find_mysql_obstacle(const Facts& facts);

namespace detail
{

template <class Options, UserWay Way>
std::vector<bpf_link*> attach_database(const Session& session, const bpf_program* program)
{
    return attach_user(session, program, database_site(bpf_program__name(program)), Way,
                       session.options_as<Options>().programs);
}

template <class Options, auto... Programs>
consteval std::array<Rung, 5> database_rungs(Obstacle (*obstacle)(const Facts&))
{
    constexpr std::string_view kBlind = "the first milliseconds of the first server of a program";
    return {with_function(rung<Programs...>("uprobe.multi", kBlind,
                                            attach_database<Options, UserWay::multi>, obstacle),
                          kUprobeMultiFunction),
            rung<Programs...>("uprobe", kBlind, attach_database<Options, UserWay::perf_events>,
                              obstacle)};
}

} // namespace detail

// S has the programs of database.bpf.h; `Programs`: others at MySQL's functions. Those that end a
// statement come first.
template <class S, class Options, auto... Programs>
inline constexpr Need kDatabaseNeeds[] = {
    {.what = "statements of PostgreSQL",
     .rungs = detail::database_rungs<
         Options, &decltype(S::progs)::postgres_status, &decltype(S::progs)::pg_query_done,
         &decltype(S::progs)::pg_portal_done, &decltype(S::progs)::postgres_query,
         &decltype(S::progs)::postgres_portal>(find_postgres_obstacle),
     .chosen = true},
    {.what = "threads that end",
     .rungs = {rung<&decltype(S::progs)::exit_tp_btf>("tp_btf"),
               rung<&decltype(S::progs)::exit_raw_tp>("raw_tp")}},
    {.what = "commands of MySQL and MariaDB",
     .rungs =
         detail::database_rungs<Options, &decltype(S::progs)::mysql_done,
                                &decltype(S::progs)::mysql_packet, &decltype(S::progs)::mysql_data,
                                Programs...>(find_mysql_obstacle),
     .chosen = true},
};

// Those of the servers that were chosen.
constexpr std::span<const Need> choose_needs(std::span<const Need> needs, DatabaseChoice server)
{
    if (!server.mysql)
        return needs.first(2);
    return server.postgres ? needs : needs.subspan(1);
}

} // namespace corebox
