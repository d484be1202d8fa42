// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "nflatency.h"
#include "../netfilter.hpp"
#include "shape/histogram.hpp"

#include "nflatency.skel.h"

namespace
{
using namespace corebox;
using P = decltype(nflatency_bpf::progs);
using Row = nf_key;

// "ip,ip6": again, the option adds to it.
std::string parse_family(std::string_view s, std::uint32_t& families)
{
    for (const std::string_view word : split(s, ',')) {
        const std::uint32_t before = families;
        for (unsigned family = 0; family < NF_FAMILIES; family++)
            if (nf_family_name(family) == word && word != "inet" && word != "other")
                families |= 1u << family;
        if (families == before)
            return "a list of ip, ip6, arp, bridge, netdev";
    }
    return {};
}

// "input,output": the bits are those of all names, not of one family.
constexpr std::string_view kHookNames[] = {"prerouting",  "input",   "forward", "output",
                                           "postrouting", "ingress", "egress"};
std::string parse_hook(std::string_view s, std::uint32_t& hooks)
{
    for (const std::string_view word : split(s, ',')) {
        const auto known = std::ranges::find(kHookNames, word);
        if (known == std::end(kHookNames))
            return "a list of prerouting, input, forward, output, postrouting, ingress, egress";
        hooks |= 1u << (known - kHookNames);
    }
    return {};
}

struct Options : nflatency_config {
    std::uint32_t families = 0, hook_names = 0; // 0: all
    NetNamespace wanted_netns;
    bool nanoseconds = false, verdicts = false;
    Seconds every{0};

    bool is_wanted(unsigned family, unsigned hook) const
    {
        const auto name = std::ranges::find(kHookNames, nf_hook_name(family, hook));
        return (!families || families >> family & 1) &&
               (!hook_names || (name != std::end(kHookNames) &&
                                hook_names >> (name - std::begin(kHookNames)) & 1));
    }
};

constexpr Example kExamples[] = {
    {"nflatency", "Show the latency of each hook until Ctrl-C"},
    {"nflatency -p ip -k input,output -i 1", "Print two hooks of IPv4, every second"},
    {"nflatency -v -d 10", "Show each verdict apart, for ten seconds"},
};

constexpr Option kOptions[] = {
    opt<&Options::every>('i', "every", "SECONDS", "Print a report every interval", {}, "interval"),
    show('T', "timestamp", "Print the time of day with each report"),
    flag<&Options::nanoseconds>('n', "nanoseconds", "Use nanoseconds, not microseconds", "nano"),
    bits<&Options::families, parse_family>('p', "proto", "FAMILY",
                                           "Trace only these families, such as ip,ip6"),
    bits<&Options::hook_names, parse_hook>('k', "hook", "HOOK",
                                           "Trace only these hooks, such as input,output"),
    opt<&Options::wanted_netns>('N', "netns", "NETNS", "Trace only this network namespace"),
    flag<&Options::verdicts>('v', "verdict", "Show a histogram for each verdict"),
};

constexpr Letter kLetters[] = {{'d', "duration"}};

constexpr std::string_view kResults[] = {"drop", "accept", "stolen"};
static_assert(std::size(kResults) == NF_RESULTS);

constexpr Column kColumns[] = {
    col<[](const Row& r) { return Value(Trusted{nf_family_name(r.family)}); }>(
        "family", "family", 6, "Family: ip, ip6, arp, bridge, netdev")
        .as(ColumnType::text),
    col<[](const Row& r) { return Value(Trusted{nf_hook_name(r.family, r.hook)}); }>(
        "hook", "hook", 11, "Hook, such as input")
        .as(ColumnType::text),
    col<[](const Row& r) { return Value(Trusted{kResults[r.result]}); }>(
        "verdict", "verdict", 7, "What netfilter did: accept, drop, stolen", costly("verdict"))
        .as(ColumnType::text),
};

constexpr Column kFields[] = {
    event_field<fixed(field<&nf_event::ns>, 3)>("latency_us",
                                                "Microseconds in all functions of the hook"),
    event_field<field<&nf_event::netns>>("netns", "Number of the network namespace"),
    event_field<field<&nf_event::family>>("family", "Number of the family: 2 ip, 10 ip6"),
    event_field<field<&nf_event::hook>>("hook", "Number of the hook: 0 prerouting, 1 input"),
};

constexpr Need kNeeds[] = {
    {.what = "packets in hooks of netfilter",
     .rungs = {rung<&P::begin_fentry, &P::end_fexit>("fexit"),
               rung<&P::begin_kprobe, &P::end_kretprobe>("kprobe")}},
};

constexpr Histogram<nflatency_bpf, Options, nf_key> kTool{
    .about = {.name = "nflatency",
              .area = "net",
              .summary = "Show the latency of netfilter's hooks as histograms",
              .details = "Shows how long packets spend in the functions that are registered at a "
                         "hook of netfilter: rules of nftables and iptables, connection "
                         "tracking, NAT. Each family and hook has its own histogram.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .fields = kFields,
    .unit =
        [](const Options& o) {
            return o.nanoseconds ? Unit{"nsecs", 1} : Unit{"usecs", 1'000};
        },
    .setup =
        [](nflatency_bpf&, Options& o, const Session&) {
            o.unit = o.nanoseconds ? 1 : 1'000;
            o.by_result = o.verdicts;
            o.netns = o.wanted_netns.number;
            for (unsigned family = 0; family < NF_FAMILIES; family++)
                for (unsigned hook = 0; hook < 8; hook++)
                    if (o.is_wanted(family, hook))
                        o.hooks[family] |= std::uint8_t(1 << hook);
        },
    .prepare =
        [](Options& o, Session& session) {
            if (o.every.count())
                session.interval = o.every;
        },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
