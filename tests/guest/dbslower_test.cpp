// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Statements of servers that are this program: functions under the names of MySQL's and MariaDB's,
// and PostgreSQL's USDT probes, passed as the servers pass them.
#include "harness.hpp"
#include "usdt.hpp"
#include "userland.hpp"
#include <csignal>
#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>
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
    Tracer tracer({"dbslower", "-m", "0", "--json", "-p", to_string(pid)}, env()),
        stat({"dbstat", "-C", "-P", "--json", "-p", to_string(pid)}, env());
    child.go_wait();
    const Result result = tracer.wait(), times = stat.wait();
    expect_exact(result);
    expect_exact(times);
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
    std::size_t counted = 0;
    for (const Json& r : times.records) {
        EXPECT_EQ(r.at("pid"), pid);
        counted += r.at("count").get<std::size_t>();
        EXPECT_EQ(
            r.at("count"),
            with(with(result.records, "server", r.at("server")), "command", r.at("command")).size())
            << r.at("command");
    }
    EXPECT_EQ(counted, std::size(all));
}

// A connection of MySQL's protocol, without the answers.
class MysqlClient
{
public:
    explicit MysqlClient(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM, 0))
    {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
        read_some();
        // CLIENT_PROTOCOL_41 | CLIENT_SECURE_CONNECTION, the largest packet, utf8, no password.
        std::string login("\0\x82\0\0\0\0\0\1\x21", 9);
        login += std::string(23, '\0') + std::string("root\0\0", 6);
        write_packet(login, 1);
        read_some();
    }
    ~MysqlClient() { ::close(fd_); }
    MysqlClient(const MysqlClient&) = delete;

    void command(char number, std::string_view rest)
    {
        write_packet(number + std::string(rest), 0);
        read_some();
    }

private:
    void read_some() const
    {
        char bytes[4096];
        EXPECT_GT(::read(fd_, bytes, sizeof bytes), 0);
    }
    void write_packet(const std::string& body, char number) const
    {
        const std::string packet =
            std::string{char(body.size()), char(body.size() >> 8), 0, number} + body;
        EXPECT_EQ(::write(fd_, packet.data(), packet.size()), ssize_t(packet.size()));
    }

    int fd_;
};

std::size_t count(const Result& result, const char* command, const char* outcome,
                  std::string_view query)
{
    return count_if(result.records, [&](const Json& r) {
        return r.at("command") == command && r.at("outcome") == outcome &&
               r.at("query") == std::string(query);
    });
}

// The servers start after the tool.
TEST(Dbslower, RealServers)
{
    if (!have_userland())
        GTEST_SKIP() << "needs the userland";
    Tracer tracer({"dbslower", "-m", "0", "--json"}),
        slow({"mysqld_qslower", "--json", "-m", "40"}),
        stat({"dbstat", "-C", "--json", "postgres"});
    const Program postgres({"postgres", "-D", "/var/lib/postgresql/test"}, {.user = 104});
    const Program mariadb({"mariadbd", "--no-defaults", "--datadir=/var/lib/mysql-test",
                           "--socket=/tmp/my.sock", "--pid-file=/tmp/my.pid", "--skip-networking",
                           "--skip-log-bin", "--performance-schema=0",
                           "--innodb-buffer-pool-size=8M", "--innodb-log-file-size=4M"},
                          {.user = 105});
    postgres.wait_for("ready to accept connections");
    mariadb.wait_for("ready for connections");
    write_file(userland("/tmp/seven.sql"), "select 7\n");
    for (const char* mode : {"simple", "extended", "prepared"})
        run_program({"pgbench", "-h", "/tmp", "-U", "postgres", "-n", "-t", "10", "-M", mode, "-f",
                     "/tmp/seven.sql", "postgres"});
    write_file(userland("/tmp/error.sql"), "select no_such;\nselect 'after', pg_sleep(0.05);\n");
    run_program({"psql", "-h", "/tmp", "-U", "postgres", "-f", "/tmp/error.sql"});
    Program killed({"psql", "-h", "/tmp", "-U", "postgres", "-c", "select pg_sleep(99)"});
    std::string answer;
    EXPECT_TRUE(wait_until([&] {
        answer = run_program({"psql", "-h", "/tmp", "-U", "postgres", "-tc",
                              "select pg_terminate_backend(pid) from pg_stat_activity "
                              "where query = 'select pg_sleep(99)'"});
        return answer.find('t') != answer.npos;
    })) << answer;
    killed.wait();
    run_program(
        {"mariadb", "-S", "/tmp/my.sock", "-u", "root", "-e", "select 1; select sleep(0.05)"});
    {
        MysqlClient client(userland("/tmp/my.sock"));
        client.command(22, "select 41 + 1, sleep(0.02)");
        for (int i = 0; i < 5; i++)
            client.command(23, std::string_view("\1\0\0\0\0\1\0\0\0", 9));
    }
    const Result all = tracer.stop(), some = slow.stop(), times = stat.stop();
    expect_exact(all);
    EXPECT_EQ(count(all, "query", "done", "select 7\n"), 10u);
    EXPECT_EQ(count(all, "execute", "done", "select 7\n"), 20u);
    EXPECT_EQ(count(all, "query", "failed", "select no_such;"), 1u);
    EXPECT_EQ(count(all, "query", "done", "select 'after', pg_sleep(0.05);"), 1u);
    EXPECT_EQ(count(all, "query", "died", "select pg_sleep(99)"), 1u) << all.out;
    for (const Json& r : with(all.records, "query", "select 7\n")) {
        EXPECT_EQ(r.at("user"), "postgres");
        EXPECT_EQ(r.at("database"), "postgres");
        EXPECT_EQ(r.at("client"), "[local]");
        EXPECT_LT(r.at("lat_ns"), 1'000'000'000) << "no start of an earlier one";
    }
    EXPECT_EQ(count(all, "query", "done", "select 1"), 1u);
    EXPECT_EQ(count(all, "prepare", "done", "select 41 + 1, sleep(0.02)"), 1u);
    EXPECT_EQ(count(all, "execute", "done", "select 41 + 1, sleep(0.02)"), 5u) << all.out;
    const Records sleeps = with(some.records, "query", "select sleep(0.05)");
    ASSERT_EQ(sleeps.size(), 1u) << some.out;
    EXPECT_EQ(sleeps[0].at("pid"), mariadb.pid());
    EXPECT_GE(sleeps[0].at("lat_ns"), 50'000'000);
    EXPECT_EQ(with(some.records, "server", "mysql").size(), some.records.size());
    ASSERT_EQ(times.records.size(), 2u) << times.out;
    for (const Json& r : times.records) {
        EXPECT_EQ(r.at("server"), "postgres");
        EXPECT_EQ(r.at("count"),
                  with(with(all.records, "server", "postgres"), "command", r.at("command")).size());
    }
}

TEST(Dbslower, FloodFromFourThreads)
{
    constexpr int kEach = 1000;
    Child child([] {
        std::vector<std::thread> threads;
        for (int t = 0; t < 4; t++)
            threads.emplace_back([t] {
                const std::string text = long_text(char('a' + t), t % 2 ? 2000 : 100);
                const struct {
                    const char* text;
                    unsigned size;
                } data{text.data(), unsigned(text.size())};
                for (int i = 0; i < kEach; i++)
                    data_command(nullptr, &data, 3);
            });
        for (std::thread& thread : threads)
            thread.join();
    });
    Tracer tracer(
        {"dbslower", "-m", "0", "--json", "--buffer-size", "16384", "-p", to_string(child.pid())});
    child.go_wait();
    const Result result = tracer.wait();
    expect_exact(result);
    for (int t = 0; t < 4; t++)
        EXPECT_EQ(
            with(result.records, "query", long_text(char('a' + t), t % 2 ? 2000 : 100)).size(),
            unsigned(kEach));
    EXPECT_EQ(result.records.size(), 4u * kEach);
}

TEST(Dbslower, TextAndBadInput)
{
    Child child([] {
        send(3, "a\n\x1b[31mb");
        send(3, long_text('c', 70000));
        send(14, "");
    });
    Tracer tracer({"dbslower", "-d", "mysql", to_string(child.pid()), "1.5"});
    child.go_wait();
    const std::string out = tracer.wait().out;
    EXPECT_NE(out.find("MS COMMAND    OUTCOME USER         DATABASE     QUERY\n"), out.npos) << out;
    EXPECT_NE(out.find(" query      done    -            -            a\\n\\x1b[31mb\n"), out.npos)
        << out;
    EXPECT_NE(out.find("ccc ... (cut after 61440 bytes of 70000)\n"), out.npos);
    EXPECT_NE(out.find(" (ping)\n"), out.npos) << out;
    EXPECT_NE(run({"dbslower", "oracle"}).err.find("mysql or postgres"), std::string::npos);
    const Result none = run({"dbslower", "-p", "1"});
    EXPECT_NE(none.err.find("cannot attach to process 1: it has neither"), std::string::npos)
        << none.err;
    const Result other = run({"dbslower", "-x", "/bin/busybox"});
    EXPECT_EQ(other.status, 2);
    EXPECT_NE(other.err.find("dispatch_command()"), std::string::npos) << other.err;
}

} // namespace

#endif
