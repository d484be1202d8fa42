// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Names of addresses, as the answers of DNS servers had them.
#pragma once
#include "abi/conn.h"
#include "dns.h"
#include <array>
#include <deque>
#include <map>
#include <string>

struct bpf_map;

namespace corebox
{

class DnsNames
{
public:
    static constexpr std::size_t kMost = 10'000; // the oldest makes room

    struct Name {
        std::string text;
        std::uint64_t time_ns; // of the answer
    };

    // What the kernel side has put into its queue since.
    void take_all(const bpf_map* answers);
    void take(const dns_answer& answer);
    // The last name that an answer had this remote address for; null: none.
    const Name* find(const conn& c) const;

private:
    using Key = std::array<std::uint8_t, 17>; // the family, the address
    static Key key_of(bool v6, const std::uint8_t* address);

    std::map<Key, Name> names_;
    std::deque<Key> order_; // as they came
};

} // namespace corebox
