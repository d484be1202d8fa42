// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Interrupts whose number is known: packets that a process sends to itself, each of which raises
// one NET_RX softirq at once, in its own context; and the kernel's own ledgers of interrupts.
#pragma once
#include "harness.hpp"
#include <algorithm>
#include <arpa/inet.h>
#include <cctype>
#include <netinet/in.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace corebox::test
{

inline void send_packets(unsigned n)
{
    const int to = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const int from = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* any = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(to, any, size), 0);
    EXPECT_EQ(::getsockname(to, any, &size), 0);
    EXPECT_EQ(::connect(from, any, size), 0);
    char byte = 0;
    for (unsigned i = 0; i < n; i++) {
        EXPECT_EQ(::send(from, &byte, 1, 0), 1);
        EXPECT_EQ(::recv(to, &byte, 1, 0), 1);
    }
    ::close(to);
    ::close(from);
}

inline void pin_to(unsigned cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    EXPECT_EQ(::sched_setaffinity(0, sizeof set, &set), 0);
}

// A line of /proc/softirqs or /proc/interrupts: counts by CPU; its last word.
struct Ledger {
    std::vector<std::uint64_t> cpus;
    std::string action;

    std::uint64_t all() const
    {
        std::uint64_t sum = 0;
        for (const auto n : cpus)
            sum += n;
        return sum;
    }
};

// By the word before the colon: "TIMER", "49", "LOC".
using Ledgers = std::map<std::string, Ledger>;

inline Ledgers read_ledgers(const std::string& path)
{
    Ledgers ledgers;
    for (const std::string& line : lines(read_file(path))) {
        const auto parts = words(line);
        if (parts.empty() || !parts[0].ends_with(':'))
            continue;
        Ledger& ledger = ledgers[parts[0].substr(0, parts[0].size() - 1)];
        for (std::size_t i = 1;
             i < parts.size() && ledger.cpus.size() < cpus() &&
             std::ranges::all_of(
                 parts[i], [](char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; });
             i++)
            ledger.cpus.push_back(std::stoull(parts[i]));
        ledger.action = parts.back();
    }
    return ledgers;
}

// What a tool counted between two inner readings is at least their difference, and at most that of
// the two outer ones: before it was attached, and after its end.
struct Bracket {
    Ledgers before, attached, stopping, after;

    std::uint64_t at_least(const std::string& key, unsigned cpu) const
    {
        return stopping.at(key).cpus.at(cpu) - attached.at(key).cpus.at(cpu);
    }
    std::uint64_t at_most(const std::string& key, unsigned cpu) const
    {
        return after.at(key).cpus.at(cpu) - before.at(key).cpus.at(cpu);
    }
    std::uint64_t at_least(const std::string& key) const
    {
        return stopping.at(key).all() - attached.at(key).all();
    }
    std::uint64_t at_most(const std::string& key) const
    {
        return after.at(key).all() - before.at(key).all();
    }
};

inline std::string lower(std::string s)
{
    std::ranges::transform(s, s.begin(), [](unsigned char c) { return char(std::tolower(c)); });
    return s;
}

// A tool while `work` runs, with the ledgers before and after.
inline Result bracketed(Bracket& bracket, const std::string& ledger, std::vector<std::string> argv,
                        const std::function<void()>& work, const Environment& env = {})
{
    bracket.before = read_ledgers(ledger);
    Tracer tracer(std::move(argv), env);
    bracket.attached = read_ledgers(ledger);
    work();
    bracket.stopping = read_ledgers(ledger);
    Result r = tracer.stop(SIGINT);
    bracket.after = read_ledgers(ledger);
    EXPECT_EQ(r.status, 0) << r.err;
    expect_exact(r);
    return r;
}

// Sum of a member over records.
inline std::uint64_t sum_of(const Records& records, const std::string& key)
{
    std::uint64_t sum = 0;
    for (const Json& r : records)
        sum += r.at(key).get<std::uint64_t>();
    return sum;
}

} // namespace corebox::test
