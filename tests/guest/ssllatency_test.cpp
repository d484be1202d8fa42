// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "harness.hpp"
#include "tls_calls.hpp"
#include "userland.hpp"

namespace
{

using namespace corebox::test;

class SsllatencyRung : public EachRung
{
};
INSTANTIATE_TEST_SUITE_P(Rungs, SsllatencyRung, testing::Values("", "uprobe"), rung_name);

void call(long result, unsigned sleep_us, int (*function)(void*))
{
    tls_plan = {.result = result, .sleep_us = sleep_us};
    EXPECT_EQ(function(nullptr), result);
}

// 7 reads of 20 ms, 11 short ones by GnuTLS, 5 writes, 1 handshake of 50 ms; and 4 calls that fail.
void work()
{
    for (int i = 0; i < 7; i++)
        call(5, 20'000, [](void* ssl) { return SSL_read(ssl, nullptr, 5); });
    for (int i = 0; i < 11; i++)
        call(5, 0, [](void* s) { return int(gnutls_record_recv(s, nullptr, 5)); });
    for (int i = 0; i < 5; i++)
        call(5, 0, [](void* ssl) { return SSL_write(ssl, nullptr, 5); });
    call(-1, 0, SSL_do_handshake);
    call(1, 50'000, SSL_do_handshake);
    for (int i = 0; i < 3; i++)
        call(-1, 0, [](void* ssl) { return SSL_read(ssl, nullptr, 5); });
}

std::uint64_t count(const Json& histogram, std::uint64_t from = 0)
{
    std::uint64_t count = 0;
    for (const Json& bucket : histogram.at("buckets"))
        if (bucket.at("from").get<std::uint64_t>() >= from)
            count += bucket.at("count").get<std::uint64_t>();
    return count;
}

TEST_P(SsllatencyRung, EachOperation)
{
    Result result = watch("ssllatency", {"--json"}, work, {.env = env()});
    expect_exact(result);
    ASSERT_EQ(result.records.size(), 3u) << result.out;
    const Json read = with(result.records, "operation", "read").at(0);
    const Json handshake = with(result.records, "operation", "handshake").at(0);
    EXPECT_EQ(count(read), 18u);
    EXPECT_EQ(count(read, 16'384), 7u);
    EXPECT_EQ(count(with(result.records, "operation", "write").at(0)), 5u);
    EXPECT_EQ(count(handshake), 1u);
    EXPECT_EQ(count(handshake, 32'768), 1u);
    EXPECT_EQ(result.account.at("filtered"), 4u);
}

TEST(Ssllatency, OptionsAndWhere)
{
    pid_t pid = 0;
    const Result result = watch("ssllatency",
                                {"--json", "-x", "-F", "--per-process", "--where",
                                 "library == \"openssl\" && op != \"write\""},
                                work, {.pid = &pid});
    expect_exact(result);
    ASSERT_EQ(result.records.size(), 2u) << result.out;
    const Json read = with(result.records, "function", "SSL_read").at(0);
    EXPECT_EQ(count(read), 10u);
    EXPECT_EQ(read.at("pid"), pid);
    EXPECT_EQ(count(with(result.records, "function", "SSL_do_handshake").at(0)), 2u);
    EXPECT_EQ(result.account.at("filtered"), 16u);
    EXPECT_EQ(run({"ssllatency", "--extra-lib", "openssl"}).status, 1);
}

// sslsnoop of bpftrace is a line for each of the same calls, without data.
TEST(Ssllatency, Sslsnoop)
{
    const Result result = watch("sslsnoop", {}, work, {.json = false});
    const auto rows = lines(result.out);
    ASSERT_EQ(rows.size(), 29u) << result.out;
    EXPECT_EQ(words(rows[0]).back(), "LAT(ms)");
    EXPECT_EQ(words(rows[1])[0], "READ/RECV");
    EXPECT_GE(std::stod(words(rows[1]).back()), 20.0);
}

} // namespace
