// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// This program is static and has glibc's resolver in itself, so that it can be traced by -p and -l;
// that of a C library in a file is the same code (Perl below), and musl's was tried by hand.
#include "harness.hpp"
#include "userland.hpp"
#include <netdb.h>
#include <sys/stat.h>
#include <unistd.h>

namespace
{

using namespace corebox::test;
using std::to_string;

// Names that this machine's own file has, and a DNS server that nobody is, for the test's time.
class Names
{
public:
    Names()
    {
        write_file("/etc/hosts", "127.0.0.1 localhost near\n::1 localhost\n");
        write_file("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:60 attempts:1\n");
        write_file("/etc/services", "cb-web 8123/tcp\n");
    }
    ~Names()
    {
        for (const char* file : {"/etc/hosts", "/etc/resolv.conf", "/etc/services"})
            ::unlink(file);
    }
    Names(const Names&) = delete;
    Names& operator=(const Names&) = delete;
};

// The program tests/guest/resolves in a directory of its own, with its C library.
class Resolves
{
public:
    Resolves()
    {
        for (const char* file : {"resolves", "libc.so.6", "ld.so"}) {
            write_file(dir_ / file, read_file(std::string("/t/leaks/") + file));
            EXPECT_EQ(::chmod((dir_ / file).c_str(), 0755), 0);
        }
    }
    static bool is_here() { return ::access("/t/leaks/resolves", R_OK) == 0; }

    // What the tool says of it, attached to its library before it starts.
    Result trace(const std::string& what, const Environment& env = {}) const
    {
        return run({"gethostlatency", "--json", "-l", dir_ / "libc.so.6", "--", dir_ / "ld.so",
                    "--library-path", dir_.path(), dir_ / "resolves", what},
                   env);
    }

private:
    TempDir dir_;
};

// Of this program, which is static: what needs no file of names.
void resolve_number(const char* host)
{
    addrinfo hints{};
    hints.ai_flags = AI_NUMERICHOST;
    addrinfo* found = nullptr;
    if (::getaddrinfo(host, nullptr, &hints, &found) == 0)
        ::freeaddrinfo(found);
}

struct Call {
    const char *function, *host, *service, *error, *result; // null: nothing
};

// Of those of glibc that call each other (user-facts.md) only the outer one is shown: by-name calls
// its _r, getnameinfo() gethostbyaddr_r().
constexpr Call kAllWays[] = {
    {"getaddrinfo", "near", "cb-web", nullptr, "127.0.0.1"},
    {"getaddrinfo", "near", "no-such-service", "EAI_SERVICE", nullptr},
    {"getaddrinfo", "no-number", nullptr, "EAI_NONAME", nullptr},
    {"getaddrinfo", nullptr, "53", nullptr, "::1"},
    {"gethostbyname", "near", nullptr, nullptr, "127.0.0.1"},
    {"gethostbyaddr", "127.0.0.1", nullptr, nullptr, "localhost"},
    {"gethostbyname", "no.such.name", nullptr, "TRY_AGAIN", nullptr},
    {"gethostbyname2", "localhost", nullptr, nullptr, "::1"},
    {"gethostbyname_r", "near", nullptr, "ERANGE", nullptr},
    {"gethostbyname_r", "near", nullptr, nullptr, "127.0.0.1"},
    {"gethostbyname2_r", "localhost", nullptr, nullptr, "::1"},
    {"gethostbyaddr_r", "::1", nullptr, nullptr, "localhost"},
    {"getnameinfo", "127.0.0.1", "cb-web", nullptr, "localhost"},
    {"res_query", "query.example", nullptr, "failed", nullptr},
    {"res_nsearch", "search.example", nullptr, "TRY_AGAIN", nullptr},
};

void expect_text(const Json& value, const char* text)
{
    if (text)
        EXPECT_EQ(value, text);
    else
        EXPECT_TRUE(value.is_null()) << value;
}

class GethostlatencyRung : public EachRung
{
};
INSTANTIATE_TEST_SUITE_P(Rungs, GethostlatencyRung, testing::Values("", "uprobe,perf_buffer"),
                         rung_name);

TEST_P(GethostlatencyRung, EachOutermostCallWithItsResult)
{
    if (!Resolves::is_here())
        GTEST_SKIP() << "built for another architecture";
    const Names names;
    const Result result = Resolves().trace("all", env());
    expect_exact(result);
    ASSERT_EQ(result.records.size(), std::size(kAllWays)) << result.out;
    for (std::size_t i = 0; i < std::size(kAllWays); i++) {
        const Json& r = result.records[i];
        SCOPED_TRACE(r.dump());
        EXPECT_EQ(r.at("pid"), r.at("tid"));
        EXPECT_EQ(r.at("comm"), "ld.so");
        EXPECT_GT(r.at("lat_ms").get<double>(), 0);
        expect_text(r.at("function"), kAllWays[i].function);
        expect_text(r.at("host"), kAllWays[i].host);
        expect_text(r.at("service"), kAllWays[i].service);
        expect_text(r.at("error"), kAllWays[i].error);
        expect_text(r.at("result"), kAllWays[i].result);
    }
}

// What follows a call that is left is not taken for a part of it.
TEST(Gethostlatency, CallsThatDoNotReturn)
{
    if (!Resolves::is_here())
        GTEST_SKIP() << "built for another architecture";
    const Names names;
    const Result result = Resolves().trace("leave");
    expect_exact(result);
    ASSERT_EQ(result.records.size(), 3u) << result.out;
    for (const std::size_t i : {0u, 2u}) {
        EXPECT_EQ(result.records[i].at("error"), "no-return");
        EXPECT_TRUE(result.records[i].at("lat_ms").is_null());
        EXPECT_EQ(result.records[i].at("host"), i ? "killed.example" : "left.example");
    }
    EXPECT_EQ(result.records[1].at("host"), "127.0.0.1");
    EXPECT_TRUE(result.records[1].at("error").is_null());
}

TEST(Gethostlatency, Flood)
{
    constexpr int kFlood = 2000;
    const Result result = watch("gethostlatency", {}, [] {
        for (int i = 0; i < kFlood; i++)
            resolve_number("127.0.0.1");
    });
    expect_exact_flood(result, result.records.size(), kFlood);
}

TEST(Gethostlatency, TextConditionsAndBadInput)
{
    const Names names;
    // A name of any bytes is one line; a name that is too long is cut, which is said.
    const std::string longer(300, 'x');
    const auto work = [&] {
        resolve_number("a\n\x1b[2J b");
        resolve_number(longer.c_str());
        resolve_number("127.0.0.1");
    };
    Child child(work);
    Tracer tracer({"gethostlatency", "--where", "error != \"\"", "-l",
                   "/proc/" + to_string(child.pid()) + "/exe", "--comm", "guest_tests"});
    child.go_wait();
    const Result result = tracer.stop();
    const auto rows = lines(result.out);
    ASSERT_EQ(rows.size(), 3u) << result.out;
    using Words = std::vector<std::string>;
    EXPECT_EQ(words(rows[0]),
              (Words{"TIME", "PID", "COMM", "LATms", "FUNC", "ERROR", "SERV", "HOST", "RESULT"}));
    EXPECT_NE(rows[1].find("EAI_NONAME"), std::string::npos);
    EXPECT_NE(rows[1].find("a\\n\\x1b[2J\\x20b"), std::string::npos) << rows[1];
    EXPECT_NE(rows[2].find(longer.substr(0, 255) + "..."), std::string::npos) << rows[2];
    EXPECT_NE(result.err.find("3 seen = 2 printed + 1 filtered + 0 lost"), std::string::npos)
        << result.err;

    EXPECT_EQ(run({"gethostlatency", "-l", "/no/such"}).status, 2);
    const Result wrong = run({"gethostlatency", "--libc", "/etc/passwd"});
    EXPECT_EQ(wrong.status, 2);
    EXPECT_NE(wrong.err.find("/etc/passwd"), std::string::npos) << wrong.err;
}

// In another root, with a C library of its own, which is used for the first time after the tool has
// begun. perl calls only gethostbyname_r() (user-facts.md section 4), which BCC's tool does not
// see.
TEST(Gethostlatency, Perl)
{
    if (!have_userland())
        GTEST_SKIP() << "no userland";
    write_file(userland("/etc/hosts"), "127.0.0.1 localhost\n");
    Tracer tracer({"gethostlatency", "--json", "--comm", "perl"});
    const Program perl(
        {"perl", "-e", "$| = 1; <STDIN>; gethostbyname('localhost'); print 'done'; <STDIN>"});
    ::usleep(500'000);
    perl.say_line();
    perl.wait_for("done");
    const Result result = tracer.stop();
    expect_exact(result);
    ASSERT_EQ(result.records.size(), 1u) << result.out;
    EXPECT_EQ(result.records[0].at("function"), "gethostbyname_r");
    EXPECT_EQ(result.records[0].at("host"), "localhost");
    EXPECT_EQ(result.records[0].at("result"), "127.0.0.1");
}

} // namespace
