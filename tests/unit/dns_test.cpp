// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "../../libbpf-tools/net/dns.hpp"
#include "base/text.hpp"
#include <cstring>
#include <gtest/gtest.h>
#include <string_view>

namespace
{

using namespace corebox;
using namespace std::literals;

dns_answer answer(std::string_view bytes, std::uint64_t time_ns = 1)
{
    dns_answer a{};
    a.time_ns = time_ns;
    a.size = std::uint32_t(bytes.size());
    std::memcpy(a.data, bytes.data(), bytes.size());
    return a;
}

conn to_v4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d)
{
    conn to{};
    to.family = CONN_IPV4;
    const std::uint8_t bytes[] = {a, b, c, d};
    std::memcpy(to.raddr, bytes, sizeof bytes);
    return to;
}

std::string name_of(const DnsNames& names, const conn& c)
{
    const auto* name = names.find(c);
    return name ? name->text : "none";
}

// One question for a.bc: an alias, then an address of each kind.
constexpr auto kHead = "\x12\x34\x81\x80\0\1\0\3\0\0\0\0\1a\2bc\0\0\1\0\1"sv;
constexpr auto kAlias = "\xc0\x0c\0\5\0\1\0\0\0\x3c\0\4\1x\xc0\x0e"sv;
constexpr auto kFour = "\xc0\x23\0\1\0\1\0\0\0\x3c\0\4\x0a\1\2\3"sv;
constexpr auto kSix = "\1y\0\0\x1c\0\1\0\0\0\x3c\0\x10\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\7"sv;

TEST(Dns, NamesOfBothKindsOfAddresses)
{
    DnsNames names;
    const std::string whole = cat(kHead, kAlias, kFour, kSix);
    names.take(answer(whole, 17));
    EXPECT_EQ(name_of(names, to_v4(10, 1, 2, 3)), "a.bc");
    EXPECT_EQ(names.find(to_v4(10, 1, 2, 3))->time_ns, 17u);
    conn six{};
    six.family = CONN_IPV6;
    six.raddr[0] = 0xfd;
    six.raddr[15] = 7;
    EXPECT_EQ(name_of(names, six), "a.bc");
    EXPECT_EQ(name_of(names, to_v4(0xfd, 0, 0, 0)), "none");
}

// Cut anywhere, it gives what is whole in it, and no more.
TEST(Dns, WhatIsCutOrNoAnswer)
{
    const std::string whole = cat(kHead, kAlias, kFour, kSix);
    for (std::size_t size = 0; size < whole.size(); size++) {
        DnsNames names;
        names.take(answer(whole.substr(0, size)));
        EXPECT_EQ(name_of(names, to_v4(10, 1, 2, 3)),
                  size < kHead.size() + kAlias.size() + kFour.size() ? "none" : "a.bc");
    }
    DnsNames names;
    std::string question = whole;
    question[2] = 1;
    names.take(answer(question));
    std::string long_label = whole;
    long_label[12] = 64;
    names.take(answer(long_label));
    dns_answer lies = answer(whole);
    lies.size = ~0u;
    lies.data[7] = 0xff; // more answers than there are
    names.take(lies);
    EXPECT_EQ(name_of(names, to_v4(10, 1, 2, 3)), "a.bc");
}

TEST(Dns, TheOldestMakesRoom)
{
    DnsNames names;
    for (std::size_t i = 0; i <= DnsNames::kMost; i++) {
        std::string one = cat(kHead, kAlias, kFour);
        one[one.size() - 2] = char(i >> 8);
        one[one.size() - 1] = char(i);
        names.take(answer(one));
    }
    EXPECT_EQ(name_of(names, to_v4(10, 1, 0, 0)), "none");
    EXPECT_EQ(name_of(names, to_v4(10, 1, 0, 1)), "a.bc");
    EXPECT_EQ(name_of(names, to_v4(10, 1, DnsNames::kMost >> 8, DnsNames::kMost & 255)), "a.bc");
}

} // namespace
