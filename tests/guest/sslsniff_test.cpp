// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "harness.hpp"
#include "tls_calls.hpp"
#include "userland.hpp"
#include <algorithm>
#include <arpa/inet.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

namespace
{

using namespace corebox::test;
using std::to_string;

class SslsniffRung : public EachRung
{
};
INSTANTIATE_TEST_SUITE_P(Rungs, SslsniffRung, testing::Values("", "uprobe,perf_buffer"), rung_name);

// What each value of `data` stands for, of texts of this test.
std::string decoded(const std::string& base64)
{
    constexpr std::string_view kDigits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    unsigned bits = 0, have = 0;
    for (const char c : base64.substr(0, base64.find('='))) {
        bits = bits << 6 | unsigned(kDigits.find(c));
        if ((have += 6) >= 8)
            text += char(bits >> (have -= 8) & 0xff);
    }
    return text;
}

struct Connection {
    int fds[2] = {-1, -1};
    unsigned port = 0; // of the other end of fds[0]

    Connection()
    {
        const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        auto* const any = reinterpret_cast<sockaddr*>(&address);
        EXPECT_EQ(::bind(listener, any, size), 0);
        EXPECT_EQ(::listen(listener, 1), 0);
        EXPECT_EQ(::getsockname(listener, any, &size), 0);
        port = ntohs(address.sin_port);
        fds[0] = ::socket(AF_INET, SOCK_STREAM, 0);
        EXPECT_EQ(::connect(fds[0], any, size), 0);
        fds[1] = ::accept(listener, nullptr, nullptr);
        ::close(listener);
    }
    // Other tests wait until no connection is left.
    ~Connection()
    {
        for (const int fd : fds)
            ::close(fd);
    }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
};

struct Expected {
    const char* function;
    long len;
    std::string data{};
    long cut = 0;
    bool unreadable = false, known = false; // known: descriptor and peer
};

// Functions of three libraries in the program itself: forms that call each other are one event, a
// clear descriptor is none, and what cannot be shown is said.
TEST_P(SslsniffRung, EveryFunction)
{
    const std::string big(9000, 'x');
    const std::vector<Expected> expected = {
        {"SSL_do_handshake", -1, "", 0, false, true},
        {"SSL_do_handshake", 1, "", 0, false, true},
        {"SSL_read", 5, "ping0", 0, false, true},
        {"SSL_read_ex", 6, "ping11", 0, false, true},
        {"SSL_write", 5, "write", 0, false, true},
        {"SSL_write_ex", 7, "write_e", 0, false, true},
        {"SSL_read", 0, "", 0, false, true},
        {"SSL_read_ex", 0, "", 0, false, true},
        {"SSL_write", -1, "", 0, false, true},
        {"SSL_write", 9000, big.substr(0, 8192), 808, false, true},
        {"SSL_write", 100, "", 100, true, true},
        {"SSL_read", 5, "inner"},
        {"SSL_read", 5, "inner", 0, false, true},
        {"gnutls_record_recv", 3, "abc"},
        {"gnutls_record_recv", -28},
        {"gnutls_record_send", 4, "send"},
        {"PR_Read", 2, "nr", 0, false, true},
        {"PR_Write", 2, "nw", 0, false, true},
        {"PR_Writev", 8, "pieces12", 0, false, true},
    };
    const Connection connection;
    const auto work = [&] {
        const auto plan = [](long result, std::string data = {}) {
            tls_plan = {.result = result, .data = std::move(data)};
        };
        FakeSsl old(FakeSsl::v1_1, connection.fds[0]), ssl(FakeSsl::v3_0, connection.fds[0]),
            newer(FakeSsl::v3_2, connection.fds[0]), unconnected(FakeSsl::v3_0, 999);
        FakeNspr nspr(connection.fds[0]), clear(connection.fds[0], false);
        std::string buffer(64, '\0');
        std::size_t done = 0;
        plan(-1);
        SSL_do_handshake(ssl.ssl);
        plan(1);
        SSL_do_handshake(ssl.ssl);
        plan(5, "ping0");
        SSL_read(old.ssl, buffer.data(), 64);
        plan(1, "ping11");
        SSL_read_ex(newer.ssl, buffer.data(), 64, &done);
        plan(5);
        SSL_write(ssl.ssl, "write", 5);
        plan(1);
        SSL_write_ex(ssl.ssl, "write_e", 7, &done);
        plan(0);
        SSL_read(ssl.ssl, buffer.data(), 64);
        SSL_read_ex(ssl.ssl, buffer.data(), 64, &done);
        plan(-1);
        SSL_write(ssl.ssl, "never", 5);
        plan(9000);
        SSL_write(ssl.ssl, big.data(), 9000);
        plan(100);
        void* const hole = ::mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        SSL_write(ssl.ssl, hole, 100);
        plan(5, "inner");
        tls_plan.inner = unconnected.ssl;
        SSL_read(ssl.ssl, buffer.data(), 64);
        plan(3, "abc");
        gnutls_record_recv(ssl.ssl, buffer.data(), 64);
        plan(-28);
        gnutls_record_recv(ssl.ssl, buffer.data(), 64);
        plan(4);
        gnutls_record_send(ssl.ssl, "send", 4);
        plan(2, "nr");
        PR_Read(nspr.upper, buffer.data(), 64);
        PR_Read(clear.upper, buffer.data(), 64);
        plan(2);
        PR_Write(nspr.upper, "nw", 2);
        const FakePiece pieces[] = {{"pieces", 6}, {"12", 2}};
        plan(8);
        PR_Writev(nspr.upper, pieces, 2, 0);
    };
    Result result = watch("sslsniff", {"--handshake", "--json"}, work, {.env = env()});
    expect_exact(result);
    std::ranges::stable_sort(result.records, {},
                             [](const Json& r) { return r.at("time_ns").get<std::uint64_t>(); });
    ASSERT_EQ(result.records.size(), expected.size()) << result.out;
    for (std::size_t i = 0; i < expected.size(); i++) {
        const Json& r = result.records[i];
        const Expected& e = expected[i];
        SCOPED_TRACE(r.dump());
        EXPECT_EQ(r.at("function"), e.function);
        EXPECT_EQ(r.at("len"), e.len);
        EXPECT_EQ(decoded(r.at("data")), e.data);
        EXPECT_EQ(r.at("data_bytes"), e.data.size());
        EXPECT_EQ(r.at("cut_bytes"), e.cut);
        EXPECT_EQ(r.at("unreadable"), e.unreadable);
        EXPECT_EQ(r.at("comm"), "guest_tests");
        if (e.known) {
            EXPECT_EQ(r.at("fd"), connection.fds[0]);
            EXPECT_EQ(r.at("raddr"), "127.0.0.1");
            EXPECT_EQ(r.at("rport"), connection.port);
        } else {
            EXPECT_TRUE(r.at("fd").is_null());
            EXPECT_TRUE(r.at("raddr").is_null());
        }
    }
}

// A static program by its file, not by its process; a large record; a sleep; and what a program
// sends looks like nothing of ours.
TEST(Sslsniff, TextOptionsAndBadInput)
{
    char path[4096] = {};
    EXPECT_GT(::readlink("/proc/self/exe", path, sizeof path - 1), 0);
    const std::string program = path;
    const std::string hostile = "one\n----- END DATA -----\nREAD/RECV \x1b[31mtwo\r\n";
    const std::string large(100'000, 'y');
    const auto work = [&] {
        tls_plan = {.result = long(hostile.size()), .sleep_us = 20'000};
        SSL_write(nullptr, hostile.data(), int(hostile.size()));
        tls_plan = {.result = long(large.size())};
        SSL_write(nullptr, large.data(), int(large.size()));
        tls_plan = {.result = -1};
        SSL_read(nullptr, nullptr, 0);
    };
    Result result = watch("sslsniff",
                          {"-l", "-x", "--max-buffer-size", "99999", "--data-only", "-o",
                           "--extra-lib", "openssl:" + program},
                          work, {.json = false, .by = nullptr});
    const auto rows = lines(result.out);
    ASSERT_GT(rows.size(), 10u) << result.out.substr(0, 1000);
    using Words = std::vector<std::string>;
    EXPECT_EQ(words(rows[0]),
              (Words{"FUNC", "TIME(s)", "COMM", "PID", "LEN", "UID", "TID", "LAT(ms)"}));
    EXPECT_EQ(words(rows[1])[0], "WRITE/SEND");
    EXPECT_EQ(words(rows[1])[4], to_string(hostile.size()));
    EXPECT_GE(std::stod(words(rows[1])[7]), 20.0);
    EXPECT_EQ(rows[2], "----- DATA -----");
    EXPECT_EQ(rows[3], "    one");
    EXPECT_EQ(rows[4], "    ----- END DATA -----");
    EXPECT_EQ(rows[5], "    READ/RECV \\x1b[31mtwo\\r");
    EXPECT_EQ(rows[6], "----- END DATA -----");
    EXPECT_EQ(rows[10], "    " + std::string(99'999, 'y'));
    EXPECT_EQ(rows[11], "----- END DATA (TRUNCATED, 1 bytes lost) -----");
    EXPECT_NE(result.err.find("3 seen = 2 printed + 1 filtered + 0 lost"), std::string::npos)
        << result.err;

    result = watch("sslsniff", {"-gn", "--hexdump"},
                   [] {
                       tls_plan = {.result = 18};
                       SSL_write(nullptr, "0123456789abcdef\n\xff", 18);
                   },
                   {.json = false});
    const auto dump = lines(result.out);
    ASSERT_EQ(dump.size(), 7u) << result.out;
    EXPECT_EQ(dump[3], "    3031 3233 3435 3637 3839 6162 6364 6566  0123456789abcdef");
    EXPECT_EQ(dump[4], "    0aff" + std::string(37, ' ') + "..");
    EXPECT_EQ(run({"sslsniff", "-o", "-g", "-n"}).status, 1);
    EXPECT_EQ(run({"sslsniff", "--extra-lib", "tls:" + program}).status, 1);
    EXPECT_EQ(run({"sslsniff", "--extra-lib", "gnutls:/no/such"}).status, 2);
    EXPECT_EQ(run({"sslsniff", "--extra-lib", "openssl:/etc/passwd"}).status, 2);
    EXPECT_EQ(run({"sslsniff", "--max-buffer-size", "262145"}).status, 1);
}

TEST(Sslsniff, Flood)
{
    constexpr int kFlood = 2000;
    const Result result = watch("sslsniff", {"--data-only"}, [] {
        const std::string data(100, 'd');
        for (int i = 0; i < kFlood; i++) {
            tls_plan = {.result = i % 2 ? 100 : 0};
            SSL_write(nullptr, data.data(), 100);
        }
    });
    std::size_t whole = 0;
    for (const Json& r : result.records)
        whole += r.at("data_bytes") == 100;
    EXPECT_EQ(whole, result.records.size());
    expect_exact_flood(result, result.records.size() + kFlood / 2, kFlood);
}

// python, curl, GnuTLS's and NSS's own programs, of which no library was in use before.
TEST(Sslsniff, RealPrograms)
{
    if (!have_userland())
        GTEST_SKIP() << "no userland";
    Program python({"python3", "/t/tls.py"}), others({"bash", "/t/tls.sh"});
    Tracer tracer({"sslsniff", "--json", "--handshake"});
    python.say_line();
    EXPECT_EQ(python.wait(), 0);
    others.say_line();
    EXPECT_EQ(others.wait(), 0);
    const Result result = tracer.stop();
    expect_exact(result);
    const auto sum = [&](const char* comm, std::string_view function, std::string* data) {
        long total = 0;
        for (const Json& r : result.records)
            if (r.at("comm") == comm && r.at("function") == function && r.at("len") > 0) {
                total += r.at("len").get<long>();
                if (data)
                    *data += decoded(r.at("data"));
            }
        return total;
    };
    const auto count = [&](const char* comm, std::string_view function) {
        return count_if(result.records, [&](const Json& r) {
            return r.at("comm") == comm && r.at("function") == function;
        });
    };
    std::map<std::string, std::string> sides; // of python: what each read and wrote, by its peer
    for (const Json& r : with(result.records, "comm", "python3")) {
        EXPECT_EQ(r.at("raddr"), "127.0.0.1");
        sides[to_string(r.at("rport").get<int>()) + r.at("func").get<std::string>()] +=
            decoded(r.at("data")) + to_string(r.at("len").get<int>());
    }
    EXPECT_EQ(sides.size(), 6u);
    const std::string all = "ping05ping15ping25ping35ping45";
    EXPECT_EQ(count_if(with(result.records, "comm", "python3"),
                       [](const Json& r) { return r.at("func") == "HANDSHAKE"; }),
              2u);
    for (const auto& [side, data] : sides)
        EXPECT_EQ(data, side.ends_with("HANDSHAKE") ? "1" : all) << side;

    EXPECT_EQ(count("curl", "SSL_write"), 1u);
    std::string page;
    sum("curl", "SSL_read", &page);
    EXPECT_TRUE(page.starts_with("HTTP/1.0 200 ok")) << page.substr(0, 100);
    const std::string body = page.substr(page.find("\r\n\r\n") + 4);
    EXPECT_NE(others.out().find("curl " + to_string(body.size()) + "\n"), std::string::npos)
        << others.out() << body.size();
    for (const char* const side : {"gnutls-cli", "gnutls-serv"}) {
        std::string sent, received;
        EXPECT_EQ(sum(side, "gnutls_record_send", &sent), 13) << side;
        EXPECT_EQ(sum(side, "gnutls_record_recv", &received), 13) << side;
        EXPECT_EQ(sent, "hello-gnutls\n");
        EXPECT_EQ(received, sent);
        EXPECT_EQ(count(side, "gnutls_handshake"), 1u) << side;
    }
    EXPECT_EQ(sum("tstclnt", "PR_Send", nullptr), 18);
    EXPECT_EQ(sum("tstclnt", "PR_Recv", nullptr), 137);
    EXPECT_EQ(sum("tstclnt", "PR_Read", nullptr) + sum("tstclnt", "PR_Write", nullptr), 0);
    EXPECT_EQ(sum("selfserv", "PR_Read", nullptr), 18);
    EXPECT_EQ(sum("selfserv", "PR_Writev", nullptr), 137);
}

} // namespace
