// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "tcpdrop.h"
#include "../endpoint_columns.hpp"
#include "../protocol.hpp"
#include "../tcp_owner.hpp"
#include "kernel/drop_reasons.hpp"
#include "shape/event_stacks.hpp"
#include "shape/hidden_names.hpp"
#include "shape/stream.hpp"
#include <cstring>

#include "tcpdrop.skel.h"

namespace
{
using namespace corebox;
using P = decltype(tcpdrop_bpf::progs);

struct Options : tcpdrop_config {
    bool udp = false, all = false, no_stack = false;
};

struct Row {
    std::uint64_t time_ns = 0;
    struct conn conn {
    };
    sock_owner owner{};
    drop_event event{}; // without its stacks
    std::string reason, function;
    EventStacks stacks;
    std::optional<DropReasons> reasons; // read with the first drop

    bool has_reason() const { return event.reason != DROP_NO_REASON; }
};

constexpr Example kExamples[] = {
    {"tcpdrop", "Trace the TCP packets that the kernel drops, and why"},
    {"tcpdrop --udp -P 53 --no-stack", "Trace those of DNS, without stacks"},
    {"tcpdrop --where 'reason == \"NETFILTER_DROP\"'", "Trace those that a firewall drops"},
};

constexpr Option kOptions[] = {
    flag<&Options::udp>(0, "udp", "Trace UDP, too"),
    flag<&Options::all>(0, "all", "Trace all packets of IPv4 and IPv6"),
    flag<&Options::no_stack>(0, "no-stack", "Print no kernel stacks"),
    show('w', "wide", "Print command, namespace of the device, and length"),
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'P', "port"}, {'L', "lport"}, {'D', "rport"}};

// SYN|ACK; by the bits of the thirteenth byte of the header.
constexpr std::string_view kFlags[] = {"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"};
constexpr std::size_t kFlagsLength = 32;
constexpr auto kFlagSets = [] {
    std::array<std::array<char, kFlagsLength>, 256> all{};
    for (unsigned set = 0; set < 256; set++) {
        std::size_t at = 0;
        for (unsigned bit = 0; bit < 8; bit++)
            if (set >> bit & 1) {
                if (at)
                    all[set][at++] = '|';
                for (const char c : kFlags[bit])
                    all[set][at++] = c;
            }
    }
    return all;
}();
constexpr auto kFlagNames = [] {
    std::array<std::string_view, 256> names;
    for (unsigned set = 0; set < 256; set++)
        names[set] = std::string_view(kFlagSets[set].data());
    return names;
}();

// Source and destination, whichever of them is local.
template <bool Source>
Value endpoint(const Row& r)
{
    const conn& c = r.conn;
    const bool local = Source == bool(r.event.outgoing);
    return Endpoint{{local ? c.laddr : c.raddr, c.family == CONN_IPV6}, local ? c.lport : c.rport};
}

constexpr Formula kIsIpv6 = field<&drop_event::conn, &conn::family> == CONN_IPV6;

constexpr Column kColumns[] = {
    event_time_column<Row>({}),
    col<[](const Row& r) -> Value { return r.owner.pid ? Value(r.owner.pid) : Value(Absent{}); }>(
        "pid", "PID", 7, "Process that owns the socket")
        .as(ColumnType::integer)
        .from<present(field<&drop_event::owner, &sock_owner::pid> != 0,
                      field<&drop_event::owner, &sock_owner::pid>)>(),
    col<[](const Row& r) -> Value { return r.owner.pid ? Value(r.owner.comm) : Value(Absent{}); }>(
        "comm", "COMM", 16, "Command name of the owner", with("wide"))
        .as(ColumnType::text),
    col<[](const Row& r) -> int { return r.conn.family == CONN_IPV6 ? 6 : 4; }>(
        "ip", "IP", 2, "Version of IP: 4 or 6"),
    col<[](const Row& r) { return Trusted{protocol_name(r.conn.protocol)}; }>(
        "protocol", "PROTO", 7, "Protocol of the packet", with("udp|all")),
    col<[](const Row& r) { return endpoint<true>(r); }>("source", "SADDR:SPORT", kEndpointWidth,
                                                        "Source of the packet", kTextOnly)
        .as(ColumnType::text),
    col<[](const Row&) { return Trusted{">"}; }>("arrow", ">", 1, "An arrow", kTextOnly),
    col<[](const Row& r) { return endpoint<false>(r); }>(
        "destination", "DADDR:DPORT", kEndpointWidth, "Destination of the packet", kTextOnly)
        .as(ColumnType::text),
    col<[](const Row& r) -> Value { return Trusted{r.event.outgoing ? "out" : "in"}; }>(
        "direction", "DIR", 3, "in, or out where the socket that sends it is known", kJsonOnly)
        .as(ColumnType::text),
    col<[](const Row& r) -> Value {
        return Address{r.conn.laddr, r.conn.family == CONN_IPV6};
    }>("laddr", "LADDR", kAddressWidth, "Local address", kJsonOnly)
        .as(ColumnType::address)
        .from<address_of<&drop_event::conn, &conn::laddr>(kIsIpv6)>(),
    col<[](const Row& r) { return r.conn.lport; }>("lport", "LPORT", 5, "Local port", kJsonOnly)
        .from<field<&drop_event::conn, &conn::lport>>(),
    col<[](const Row& r) -> Value {
        return Address{r.conn.raddr, r.conn.family == CONN_IPV6};
    }>("raddr", "RADDR", kAddressWidth, "Remote address", kJsonOnly)
        .as(ColumnType::address)
        .from<address_of<&drop_event::conn, &conn::raddr>(kIsIpv6)>(),
    col<[](const Row& r) { return r.conn.rport; }>("rport", "RPORT", 5, "Remote port", kJsonOnly)
        .from<field<&drop_event::conn, &conn::rport>>(),
    col<[](const Row& r) { return r.conn.netns; }>("netns", "NETNS", 10,
                                                   "Number of the network namespace", with("wide"))
        .from<field<&drop_event::conn, &conn::netns>>(),
    col<[](const Row& r) { return r.event.length; }>("length", "LEN", -5,
                                                     "Length of the packet in bytes", with("wide"))
        .from<field<&drop_event::length>>(),
    col<[](const Row& r) -> Value {
        return r.event.state ? Value(Trusted{tcp_state_name(r.event.state)}) : Value(Absent{});
    }>("state", "STATE", 11, "State of the socket; -: no socket is known")
        .as(ColumnType::text),
    col<[](const Row& r) { return Trusted{kFlagNames[r.event.flags]}; }>("flags", "FLAGS", 11,
                                                                         "Flags of the TCP header")
        .from_names<field<&drop_event::flags>, kFlagNames>(),
    col<[](const Row& r) -> Value {
        return r.has_reason() ? Value(Trusted{r.reason}) : Value(Absent{});
    }>("reason", "REASON", 20, "Reason of the drop; - before Linux 5.17")
        .as(ColumnType::text),
    col<[](const Row& r) -> Value {
        return r.has_reason() ? Value(r.event.reason) : Value(Absent{});
    }>("reason_code", "CODE", -5, "Number of the reason, which differs from kernel to kernel",
       kJsonOnly)
        .as(ColumnType::integer)
        .from<present(field<&drop_event::reason> != std::int64_t(DROP_NO_REASON),
                      field<&drop_event::reason>)>(),
    col<[](const Row& r) { return Trusted{r.function}; }>("function", "FUNCTION", 0,
                                                          "Kernel function that dropped it"),
    col<[](const Row& r) { return r.stacks.kernel(); }>("kernel_stack", "STACK", 0,
                                                        "Kernel functions, leaf first", kJsonOnly)
        .as(ColumnType::list),
};

constexpr Need kNeeds[] = {
    {.what = "drops of packets",
     .rungs = {rung<&P::drop_tp_btf>("tp_btf"), rung<&P::drop_raw_tp>("raw_tp")}},
    kConnectOwnerNeed<P>,
    kListenOwnerNeed<P>,
    kGraftNeed<P>,
    kDestroyNeed<P>,
};

constexpr Stream<tcpdrop_bpf, Options, Row> kTool{
    .about = {.name = "tcpdrop",
              .area = "net",
              .summary = "Trace TCP packets that the kernel drops",
              .details = "Prints one line for each TCP packet that the kernel drops: its ends, its "
                         "flags and the state of its socket. Behind them are the kernel's reason, "
                         "the function that dropped it, and the kernel stack.",
              .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .setup =
        [](tcpdrop_bpf& s, Options& o, const Session&) {
            o.which = o.all ? DROP_ALL : o.udp ? DROP_TCP_UDP : DROP_TCP;
            prepare_event_stacks({!o.no_stack, false, 0}, s.rodata->cb_event_stacks);
        },
    .decode =
        [](Row& row, const Options&, const void* record, std::size_t size) {
            constexpr std::size_t kHead = offsetof(drop_event, stacks);
            std::memcpy(&row.event, record, kHead);
            row.time_ns = row.event.time_ns;
            row.conn = row.event.conn;
            row.owner = row.event.owner;
            row.stacks.take({static_cast<const std::byte*>(record), size}, kHead, 0);
            row.function = row.stacks.function_of(row.event.location);
            if (row.has_reason()) {
                if (!row.reasons)
                    row.reasons = DropReasons::load();
                row.reason = row.reasons->name(row.event.reason);
            }
            return true;
        },
    .below = [](std::string& text,
                const void* row) { static_cast<const Row*>(row)->stacks.append(text); },
    .also = Shared::symbols,
    .attached = [](const Options&, const Session& session) { say_hidden_names(session); },
};

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = entry<kTool>();
} // namespace
