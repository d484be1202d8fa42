// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "harness.hpp"
#include <cstddef>
#include <cstring>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

namespace
{

using namespace corebox::test;
using std::to_string;

constexpr std::size_t kMost = 8192; // that is shown of a message

std::string text_of(std::size_t size)
{
    std::string text;
    for (std::size_t i = 0; text.size() < size; i++)
        text += to_string(i) + " ";
    text.resize(size);
    return text;
}

sockaddr_un path_address(const char* path)
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    return address;
}

template <class Address>
const sockaddr* as_address(const Address& address)
{
    return reinterpret_cast<const sockaddr*>(&address);
}

constexpr const char* kPath = "/tmp/undump.socket";

void send_all(int type, const std::string& data)
{
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, type, 0, ends), 0);
    ASSERT_EQ(::send(ends[0], data.data(), data.size(), 0), ssize_t(data.size()));
    std::string got(data.size(), '\0');
    ASSERT_EQ(::recv(ends[1], got.data(), got.size(), 0), ssize_t(data.size()));
    ::close(ends[0]);
    ::close(ends[1]);
}

void talk()
{
    int s[2];
    char b[100];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
    EXPECT_EQ(::write(s[0], "ping\n", 5), 5);
    EXPECT_EQ(::recv(s[1], b, 3, MSG_PEEK), 3);
    EXPECT_EQ(::read(s[1], b, sizeof b), 5);
    char first[] = "ab", second[] = "\x1b[2Jcd", none[] = "";
    const iovec out[] = {{first, 2}, {none, 0}, {second, 6}};
    EXPECT_EQ(::writev(s[1], out, 3), 8);
    const iovec in[] = {{b, 3}, {b + 10, 20}}; // ends within the second
    EXPECT_EQ(::readv(s[0], in, 2), 8);
    // From a file: no memory of the process has it.
    const int file = ::open("/tmp/undump.file", O_RDONLY | O_CLOEXEC);
    EXPECT_EQ(::sendfile(s[0], file, nullptr, 7), 7);
    ::close(file);
    EXPECT_EQ(::read(s[1], b, sizeof b), 7);
    ::close(s[0]);
    EXPECT_EQ(::read(s[1], b, sizeof b), 0); // the end is no data

    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_DGRAM, 0, s), 0);
    EXPECT_EQ(::send(s[0], "datagram", 8, 0), 8);
    EXPECT_EQ(::recv(s[1], b, 4, MSG_TRUNC), 8);
    EXPECT_EQ(::send(s[0], "", 0, 0), 0);
    EXPECT_EQ(::recv(s[1], b, sizeof b, 0), 0);
    send_all(SOCK_SEQPACKET, "packet");

    const sockaddr_un path = path_address(kPath);
    const int server = ::socket(AF_UNIX, SOCK_DGRAM, 0), client = ::socket(AF_UNIX, SOCK_DGRAM, 0);
    ASSERT_EQ(::bind(server, as_address(path), sizeof path), 0);
    EXPECT_EQ(::sendto(client, "to path", 7, 0, as_address(path), sizeof path), 7);
    EXPECT_EQ(::recv(server, b, sizeof b, 0), 7);
    ::unlink(kPath);

    sockaddr_un abstract = path_address("");
    std::memcpy(abstract.sun_path + 1, "undump", 6);
    const socklen_t length = offsetof(sockaddr_un, sun_path) + 7;
    const int listener = ::socket(AF_UNIX, SOCK_STREAM, 0);
    ASSERT_EQ(::bind(listener, as_address(abstract), length), 0);
    ASSERT_EQ(::listen(listener, 1), 0);
    const int caller = ::socket(AF_UNIX, SOCK_STREAM, 0);
    ASSERT_EQ(::connect(caller, as_address(abstract), length), 0);
    const int called = ::accept(listener, nullptr, nullptr);
    EXPECT_EQ(::send(caller, "hello", 5, 0), 5);
    EXPECT_EQ(::recv(called, b, sizeof b, 0), 5);

    send_all(SOCK_STREAM, text_of(kMost));
    send_all(SOCK_DGRAM, text_of(kMost + 100));
}

struct Message {
    const char *direction, *type, *path; // null: none
    std::size_t bytes;
    std::string data;
};

std::vector<Message> messages()
{
    std::vector<Message> all = {
        {"send", "stream", nullptr, 5, "ping\n"},
        {"peek", "stream", nullptr, 3, "pin"},
        {"recv", "stream", nullptr, 5, "ping\n"},
        {"send", "stream", nullptr, 8, "ab\x1b[2Jcd"},
        {"recv", "stream", nullptr, 8, "ab\x1b[2Jcd"},
        {"send", "stream", nullptr, 7, "(file)"},
        {"recv", "stream", nullptr, 7, "in file"},
        {"send", "dgram", nullptr, 8, "datagram"},
        {"recv", "dgram", nullptr, 8, "data"},
        {"send", "dgram", nullptr, 0, ""},
        {"recv", "dgram", nullptr, 0, ""},
        {"send", "seqpacket", nullptr, 6, "packet"},
        {"recv", "seqpacket", nullptr, 6, "packet"},
        {"send", "dgram", kPath, 7, "to path"},
        {"recv", "dgram", kPath, 7, "to path"},
        {"send", "stream", "@undump", 5, "hello"},
        {"recv", "stream", "@undump", 5, "hello"},
        {"send", "stream", nullptr, kMost, text_of(kMost)},
        {"recv", "stream", nullptr, kMost, text_of(kMost)},
        {"send", "dgram", nullptr, kMost + 100, text_of(kMost)},
        {"recv", "dgram", nullptr, kMost + 100, text_of(kMost)},
    };
    // sendfile(2) was another function then (dc97391e6610 (v6.5) removed it).
    if (has_function("unix_stream_sendpage"))
        std::erase_if(all, [](const Message& m) { return m.data == "(file)"; });
    return all;
}

class UndumpRung : public EachRung
{
};
INSTANTIATE_TEST_SUITE_P(Rungs, UndumpRung, testing::Values("", "kprobe,perf_buffer"), rung_name);

TEST_P(UndumpRung, EachMessageInBothDirections)
{
    write_file("/tmp/undump.file", "in file");
    pid_t pid = 0;
    const Result result =
        watch("undump", {}, talk, {.env = env(), .others_too = true, .pid = &pid});
    expect_exact(result);
    const std::vector<Message> expected = messages();
    ASSERT_EQ(result.records.size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); i++) {
        const Json& r = result.records[i];
        const Message& m = expected[i];
        SCOPED_TRACE(r.dump().substr(0, 300));
        EXPECT_EQ(r.at("pid"), pid);
        EXPECT_EQ(r.at("direction"), m.direction);
        EXPECT_EQ(r.at("type"), m.type);
        EXPECT_EQ(r.at("bytes"), m.bytes);
        if (m.path)
            EXPECT_EQ(r.at("path"), m.path);
        else
            EXPECT_TRUE(r.at("path").is_null());
        if (!m.path || m.path[0] == '@')
            EXPECT_EQ(r.at("peer_pid"), pid);
        if (m.data == "(file)") {
            EXPECT_TRUE(r.at("data").is_null());
            continue;
        }
        EXPECT_EQ(r.at("data_bytes"), m.data.size());
        EXPECT_TRUE(r.at("data") == m.data);
    }
}

TEST(Undump, Flood)
{
    constexpr int kFlood = 1500;
    const Result result = watch("undump", {"-s", "16"}, [] {
        for (int i = 0; i < kFlood; i++)
            send_all(SOCK_STREAM, "one of many messages");
    });
    expect_exact_flood(result, result.records.size(), 2 * kFlood);
}

TEST(Undump, TextHexdumpAndBadInput)
{
    const auto work = [] { send_all(SOCK_DGRAM, "a\x1b[2J\n\xff 0123456789abc"); };
    const Watch text{.json = false};
    const auto rows = lines(watch("undump", {"--where", "direction == \"recv\""}, work, text).out);
    ASSERT_EQ(rows.size(), 2u);
    EXPECT_NE(rows[0].find("TIME     PID     COMM             DIR  TYPE      PEER"),
              std::string::npos);
    EXPECT_TRUE(rows[1].ends_with("21 a\\x1b[2J\\n\\xff 0123456789abc")) << rows[1];

    const auto dump = lines(watch("undump", {"--hexdump", "-s", "17"}, work, text).out);
    ASSERT_EQ(dump.size(), 9u);
    EXPECT_TRUE(dump[0].ends_with("BYTES")) << dump[0];
    EXPECT_EQ(dump[2], "    611b 5b32 4a0a ff20 3031 3233 3435 3637  a.[2J.. 01234567");
    EXPECT_EQ(dump[3], "    38                                       8");
    EXPECT_EQ(dump[4], "    (4 more bytes)");

    EXPECT_EQ(run({"undump", "-s", "8193"}).status, 1);
}

} // namespace
