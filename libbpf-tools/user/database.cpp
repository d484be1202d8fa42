// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "database.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include <algorithm>
#include <cerrno>

namespace corebox
{
namespace
{

struct Placed {
    std::string_view program;
    UserSite site;
};

constexpr std::array<std::string_view, 10> kPostgres = {"/postgres/"};
constexpr std::array<std::string_view, 10> kMysql = {"/mysqld/", "/mariadbd/"};

constexpr UserSite probe(std::string_view name)
{
    return {.libraries = kPostgres, .provider = "postgresql", .probe = name};
}

constexpr UserSite function(std::span<const std::string_view> names, bool optional)
{
    return {.libraries = kMysql, .symbols = names, .optional = optional};
}

// dispatch_command(enum_server_command, THD*, char*, unsigned [, bool [, bool]]): MySQL 5.5 and
// 5.6, and all MariaDB.
constexpr std::string_view kPacket[] = {
    "_Z16dispatch_command19enum_server_commandP3THDPcjb",
    "_Z16dispatch_command19enum_server_commandP3THDPcjbb",
    "_Z16dispatch_command19enum_server_commandP3THDPcj",
};
// dispatch_command(THD*, COM_DATA const*, enum_server_command): MySQL 5.7 and later.
constexpr std::string_view kData[] = {"_Z16dispatch_commandP3THDPK8COM_DATA19enum_server_command"};
constexpr std::string_view kDispatch[] = {kPacket[0], kPacket[1], kPacket[2], kData[0]};
// Prepared_statement::prepare(char const*, unsigned or unsigned long): MariaDB; MySQL 5.7.
constexpr std::string_view kPrepare[] = {"_ZN18Prepared_statement7prepareEPKcj",
                                         "_ZN18Prepared_statement7prepareEPKcm"};
constexpr std::string_view kExecute[] = {"_ZN18Prepared_statement7executeEP6Stringb"};

constexpr Placed kSites[] = {
    {"postgres_status", probe("statement__status")},
    {"postgres_query", probe("query__start")},
    {"pg_query_done", probe("query__done")},
    {"postgres_portal", probe("query__execute__start")},
    {"pg_portal_done", probe("query__execute__done")},
    {"mysql_done", function(kDispatch, false)},
    {"mysql_packet", function(kPacket, true)},
    {"mysql_data", function(kData, true)},
    {"mysql_prepare", function(kPrepare, true)},
    {"mysql_execute", function(kExecute, true)},
};

// include/mysql_com.h of MySQL and MariaDB.
constexpr std::string_view kCommands[] = {
    "sleep",          "quit",        "init_db",      "query",
    "field_list",     "create_db",   "drop_db",      "refresh",
    "shutdown",       "statistics",  "process_info", "connect",
    "process_kill",   "debug",       "ping",         "time",
    "delayed",        "change_user", "binlog_dump",  "table_dump",
    "connect_out",    "register",    "prepare",      "execute",
    "send_long_data", "close",       "reset",        "set_option",
    "fetch",          "daemon",      "binlog_dump",  "reset_connection",
};

Obstacle find_obstacle(const Facts& facts, std::string_view program)
{
    return facts.user_site ? facts.user_site(database_site(program)) : Obstacle{};
}

} // namespace

const UserSite& database_site(std::string_view program)
{
    return std::ranges::find(kSites, program, &Placed::program)->site;
}

Obstacle find_postgres_obstacle(const Facts& facts)
{
    return find_obstacle(facts, "postgres_query");
}

Obstacle find_mysql_obstacle(const Facts& facts) { return find_obstacle(facts, "mysql_done"); }

std::string_view name_command(unsigned server, unsigned command)
{
    if (server == SERVER_POSTGRES)
        return command == POSTGRES_QUERY ? "query" : "execute";
    if (command == MYSQL_BULK_EXECUTE)
        return "bulk_execute";
    return command < std::size(kCommands) ? kCommands[command] : "?";
}

std::string DatabaseChoice::parse(std::string_view text, DatabaseChoice& out)
{
    if (text != "postgres" && text != "mysql")
        return "mysql or postgres";
    out = {.postgres = text == "postgres", .mysql = text == "mysql"};
    return {};
}

void DatabaseOptions::choose_servers(const Session& session)
{
    DatabaseChoice found{.postgres = false, .mysql = false};
    const auto look_at = [&found](std::string_view what, const std::vector<Object>& objects) {
        const auto have = [&objects](std::string_view program) {
            return std::ranges::any_of(objects, [program](const Object& object) {
                return !find_sites(object, database_site(program)).empty();
            });
        };
        const bool has_probes = have("postgres_query"), has_function = have("mysql_done");
        if (!has_probes && !has_function)
            fail(cat("cannot attach to ", what),
                 "it has neither the USDT probes of PostgreSQL nor the function "
                 "dispatch_command() of MySQL and MariaDB");
        found.postgres |= has_probes;
        found.mysql |= has_function;
    };
    for (const std::string_view path : programs) {
        const Object object = find_object(path);
        if (!object)
            fail(cat("cannot find ", path), ENOENT);
        look_at(path, {object});
    }
    if (programs.empty())
        for (const std::uint32_t pid : session.pids) {
            constexpr std::string_view kNames[] = {kPostgres[0], kMysql[0], kMysql[1]};
            if (const auto objects = libraries_of(pid, kNames); !objects.empty())
                look_at(cat("process ", pid), objects);
        }
    if (!programs.empty() && found.postgres && found.mysql)
        fail_usage("--exe takes programs of one kind of server");
    if (found.postgres || found.mysql)
        server = found;
    else if (server.postgres && server.mysql) {
        const Obstacle postgres = find_site_obstacle(database_site("postgres_query"));
        const Obstacle mysql = find_site_obstacle(database_site("mysql_done"));
        if (bool(postgres) == bool(mysql))
            return;
        say(session.tool, cat("servers of ", postgres ? "PostgreSQL" : "MySQL and MariaDB",
                              " are not traced: ", (postgres ? postgres : mysql).text()));
        server = {.postgres = !postgres, .mysql = !mysql};
    }
}

} // namespace corebox
