// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Statements of servers that are this program: functions under the names of MySQL's and MariaDB's,
// and PostgreSQL's USDT probes, passed as the servers pass them.
#include "harness.hpp"
#include "usdt.hpp"
#include "userland.hpp"
#include <csignal>
#include <cstring>
#include <thread>
#include <unistd.h>

#ifdef __x86_64__

extern "C" {
// MariaDB 10.6 and later; MySQL 5.7 and later.
int packet_command(int, void*, char*, unsigned,
                   bool) asm("_Z16dispatch_command19enum_server_commandP3THDPcjb");
bool data_command(void*, const void*,
                  int) asm("_Z16dispatch_commandP3THDPK8COM_DATA19enum_server_command");
void prepare_statement(void*, const char*, unsigned) asm("_ZN18Prepared_statement7prepareEPKcj");
void execute_statement(void*, void*, bool) asm("_ZN18Prepared_statement7executeEP6Stringb");
}

namespace
{

void* statement = nullptr; // that a command prepares or executes
int answer = 0;            // what a command returns
volatile int sink = 0;

} // namespace

[[gnu::noinline, gnu::noipa]] void prepare_statement(void*, const char*, unsigned) { sink = 1; }
[[gnu::noinline, gnu::noipa]] void execute_statement(void*, void*, bool) { sink = 2; }
// The answer goes where the question was.
[[gnu::noinline, gnu::noipa]] int packet_command(int command, void*, char* packet, unsigned size,
                                                 bool)
{
    if (command == 22)
        prepare_statement(statement, packet, size);
    if (command == 23 && statement)
        execute_statement(statement, nullptr, false);
    std::memset(packet, '!', size);
    ::usleep(2000);
    return answer;
}
[[gnu::noinline, gnu::noipa]] bool data_command(void*, const void*, int command)
{
    sink = command;
    return false;
}

namespace
{

using namespace corebox::test;
using std::to_string;

void send(int command, std::string packet)
{
    packet_command(command, &answer, packet.data(), unsigned(packet.size()), true);
}

void show_status(const char* text)
{
    USDT_PROBE_WITH("postgresql", "statement__status", "0", "8@%0", "r"(text));
}
void begin_query(const char* text)
{
    show_status(text);
    USDT_PROBE_WITH("postgresql", "query__start", "0", "8@%0", "r"(text));
}
void end_query(const char* text)
{
    USDT_PROBE_WITH("postgresql", "query__done", "0", "8@%0", "r"(text));
}
void begin_portal() { USDT_PROBE_WITH("postgresql", "query__execute__start", "0", "", "i"(0)); }
void end_portal() { USDT_PROBE_WITH("postgresql", "query__execute__done", "0", "", "i"(0)); }

// Number n of the texts that do not fit the smaller rooms.
std::string long_text(char fill, std::size_t size) { return std::string(size, fill); }

void run_mysql()
{
    int one = 0, two = 0;
    send(3, "select 1");
    send(3, "a\n\x1b[31mb");
    send(3, long_text('m', 3000));
    send(3, long_text('l', 10000));
    send(3, long_text('c', 70000));
    send(14, "");
    statement = &one;
    send(22, "select ?");
    send(23, std::string("\x07\0\0\0rest", 8));
    statement = &two; // never prepared here
    send(23, std::string("\x09\0\0\0", 4));
    statement = &one; // freed, and there is another now
    send(22, long_text('p', 5000));
    send(23, std::string("\x08\0\0\0", 4));
    statement = nullptr;
    answer = 2; // it waits for its commit, and goes on
    send(3, "commit");
    answer = 0;
    send(3, "commit");
    const struct {
        const char* text;
        unsigned size;
    } data{"select 5.7 and more", 10};
    data_command(&answer, &data, 3);
}

void run_postgres()
{
    begin_query("simple; two");
    begin_portal();
    begin_portal(); // a plan in it
    end_portal();
    end_portal();
    begin_portal();
    end_portal();
    end_query("simple; two");
    show_status(nullptr);
    for (const char* text : {"parse", "bind", "extended"})
        show_status(text);
    begin_portal();
    end_portal();
    show_status(nullptr);
    // Errors, after which the text is gone.
    std::string text = "simple error";
    begin_query(text.c_str());
    begin_portal();
    text = "freed";
    show_status(nullptr);
    show_status("extended error");
    begin_portal();
    show_status(nullptr);
    show_status("after it");
    begin_portal();
    end_portal();
    show_status(nullptr);
    show_status("only parsed");
    show_status(nullptr);
    begin_portal(); // nobody knows of what
    end_portal();
    const std::string longest = long_text('z', 70000);
    begin_query(longest.c_str());
    end_query(longest.c_str());
    show_status(nullptr);
    std::thread([] { begin_query("never ends"); }).join();
}

class DbslowerRung : public EachRung
{
};
INSTANTIATE_TEST_SUITE_P(Rungs, DbslowerRung, testing::Values("", "uprobe,raw_tp,perf_buffer"),
                         rung_name);

TEST_P(DbslowerRung, CommandsAndTexts)
{
    Child child([] {
        run_mysql();
        run_postgres();
    });
    const pid_t pid = child.pid();
    Tracer tracer({"dbslower", "-m", "0", "--json", "-p", to_string(pid)}, env());
    child.go_wait();
    const Result result = tracer.wait();
    expect_exact(result);
    struct Expected {
        const char *server, *command, *outcome;
        std::string query; // empty: none
        int id = 0;
        bool cut = false;
    };
    const Expected all[] = {
        {"mysql", "query", "done", "select 1"},
        {"mysql", "query", "done", "a\n\x1b[31mb"},
        {"mysql", "query", "done", long_text('m', 3000)},
        {"mysql", "query", "done", long_text('l', 10000)},
        {"mysql", "query", "done", long_text('c', 61440), 0, true},
        {"mysql", "ping", "done", ""},
        {"mysql", "prepare", "done", "select ?"},
        {"mysql", "execute", "done", "select ?", 7},
        {"mysql", "execute", "done", "", 9},
        {"mysql", "prepare", "done", long_text('p', 5000)},
        {"mysql", "execute", "done", long_text('p', 5000), 8},
        {"mysql", "query", "done", "commit"},
        {"mysql", "query", "done", "select 5.7"},
        {"postgres", "query", "done", "simple; two"},
        {"postgres", "execute", "done", "extended"},
        {"postgres", "query", "failed", "simple error"},
        {"postgres", "execute", "failed", "extended error"},
        {"postgres", "execute", "done", "after it"},
        {"postgres", "query", "done", long_text('z', 61439), 0, true},
        {"postgres", "query", "died", "never ends"},
    };
    ASSERT_EQ(result.records.size(), std::size(all)) << result.out;
    for (std::size_t i = 0; i < std::size(all); i++) {
        SCOPED_TRACE(i);
        const Json& r = result.records[i];
        EXPECT_EQ(r.at("server"), all[i].server);
        EXPECT_EQ(r.at("command"), all[i].command);
        EXPECT_EQ(r.at("outcome"), all[i].outcome);
        EXPECT_EQ(r.at("cut"), all[i].cut);
        EXPECT_EQ(r.at("query"), all[i].query.empty() ? Json() : Json(all[i].query));
        EXPECT_EQ(r.at("prepared_id"), all[i].id ? Json(all[i].id) : Json());
        EXPECT_EQ(r.at("pid"), pid);
        EXPECT_EQ(r.at("user"), Json()) << "its title is no PostgreSQL's";
    }
    EXPECT_EQ(result.records[4].at("query_bytes"), 70000);
    EXPECT_GE(result.records[0].at("lat_ns"), 2'000'000);
    EXPECT_GE(result.records[11].at("lat_ns"), 4'000'000) << "both parts of it";
    EXPECT_EQ(result.records[13].at("statements"), 2);
}

} // namespace

#endif
