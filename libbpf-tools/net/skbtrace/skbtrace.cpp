// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "skbtrace.h"
#include "conn_columns.hpp"
#include "kernel/drop_reasons.hpp"
#include "netfilter.hpp"
#include "packet/expression.hpp"
#include "protocol.hpp"
#include "shape/event_stacks.hpp"
#include "shape/hidden_names.hpp"
#include "shape/stream.hpp"
#include "skb_capture.hpp"
#include "skb_diagnosis.hpp"
#include "skb_functions.hpp"
#include "tcp_state.hpp"
#include <algorithm>
#include <bpf/bpf.h>
#include <cstring>

#include "skbtrace.skel.h"

namespace
{
using namespace corebox;
using P = decltype(skbtrace_bpf::progs);

constexpr std::string_view kHooks[] = {"net_dev_queue",     "net_dev_start_xmit",
                                       "netif_rx",          "netif_receive_skb",
                                       "skb_copy_datagram", "skb_consume_udp",
                                       "kfree_skb",         "consume_skb",
                                       "nf_hook_slow",      "kprobe"};
static_assert(std::size(kHooks) == SKB_HOOKS);
constexpr std::string_view kEvents[] = {"queue", "transmit", "rx",  "receive",   "read",
                                        "read",  "drop",     "end", "netfilter", "function"};
static_assert(std::size(kEvents) == SKB_HOOKS);

constexpr char to_lower(char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; }

// "tcp", "17".
struct Protocol {
    std::uint8_t number = 0;
    static std::string parse(std::string_view s, Protocol& out)
    {
        const auto known = std::ranges::find_if(kProtocols, [&](std::string_view name) {
            return std::ranges::equal(name, s, {}, to_lower, to_lower);
        });
        const auto number = s.empty() || known == kProtocols.end()
                                ? to_number<std::uint8_t>(s)
                                : to_number<std::uint8_t>(cat(known - kProtocols.begin()));
        out.number = number.value_or(0);
        return number ? "" : "a protocol of IP such as tcp, udp, icmp, icmpv6, or its number";
    }
};

// "0x10", "0x10/0xff".
struct Mark {
    std::uint32_t value = 0, mask = ~0u;
    static std::string parse(std::string_view s, Mark& out)
    {
        const auto number = [](std::string_view text) {
            return text.starts_with("0x") ? to_number<std::uint32_t>(text.substr(2), 16)
                                          : to_number<std::uint32_t>(text);
        };
        const auto slash = s.find('/');
        const auto value = number(s.substr(0, slash));
        const auto mask = slash == s.npos ? std::optional(~0u) : number(s.substr(slash + 1));
        if (!value || !mask)
            return "a mark such as 16, 0x10 or 0x10/0xff";
        out = {*value & *mask, *mask};
        return {};
    }
};

struct Options : skbtrace_config {
    char interface[SKB_IFNAME] = {};
    Protocol wanted_protocol;
    Mark wanted_mark;
    bool all_stacks = false, drop_stacks = false;
    bool deep = false, netfilter = false, diagnoses = false;
    std::shared_ptr<DeepFunctions> functions; // of deep mode
    std::vector<Target> targets;              // functions of netfilter's modules that are loaded
    std::string_view expression;
    std::vector<std::byte> object; // with that in it
    std::string_view pcapng;       // a file
    std::uint16_t snap_length = 256;
};

struct Row {
    const skb_event* event = nullptr;
    ::conn conn{};
    sock_owner owner{};
    std::uint64_t time_ns = 0;
    std::string function; // of the location
    std::string reason;
    std::string protocol, flags;
    EventStacks stacks;
    std::optional<KernelSymbols> symbols;
    std::optional<DropReasons> reasons;
    std::string below; // with --diag: what happened, in words
    SkbDiagnosis diagnosis;
    SkbCapture capture;

    const nf_decision* decision = nullptr; // of a line of netfilter
    bool has_ports() const { return conn.lport || conn.rport; }
};

constexpr Example kExamples[] = {
    {"skbtrace --raddr 10.0.0.2 --rport 443", "Trace the packets of connections, both ways"},
    {"skbtrace --proto icmp -i eth0", "Trace ICMP packets that pass eth0"},
    {"skbtrace --pcap 'tcp[tcpflags] & tcp-syn != 0 and port 443'", "Trace SYNs of HTTPS"},
    {"skbtrace --pcapng out.pcapng --proto udp", "Write packets to a file, with their drops"},
    {"skbtrace --where 'event == \"drop\"' --drop-stack", "Trace dropped packets, with stacks"},
    {"skbtrace --diag --proto udp -P 53", "Say in words what happens to DNS packets"},
    {"skbtrace --deep --raddr 10.0.0.2 --rport 443", "Trace each kernel function on the way"},
};

constexpr Option kOptions[] = {
    opt<&Options::wanted_protocol>(0, "proto", "PROTOCOL",
                                   "Trace only this protocol, such as tcp or 17"),
    opt<&Options::icmp_id>(0, "icmp-id", "ID", "Trace only ICMP echoes with this ID", {}, "icmpid"),
    opt<&Options::interface>('i', "interface", "NAME",
                             "Trace only packets that pass this interface"),
    opt<&Options::wanted_mark>('m', "mark", "MARK[/MASK]", "Trace only packets with this mark"),
    opt<&Options::expression>(0, "pcap", "EXPRESSION",
                              "Trace only packets that pcap-filter(7) selects"),
    opt<&Options::pcapng>(0, "pcapng", "FILE", "Write packets to FILE (- is standard output)", {},
                          {}, "file"),
    opt<&Options::snap_length>(0, "snaplen", "BYTES", "Write up to BYTES of each packet (256)",
                               {1, SKB_CAPTURE}),
    flag<&Options::drop_stacks>('d', "drop-stack", "Print the kernel stack of each drop",
                                "dropstack"),
    flag<&Options::all_stacks>('K', "kernel-stack", "Print the kernel stack of each line",
                               "callstack"),
    flag<&Options::deep>(0, "deep", "Trace each kernel function that has the packet"),
    flag<&Options::netfilter>('n', "netfilter", "Trace the verdicts of netfilter", "iptable"),
    flag<&Options::diagnoses>(0, "diag", "Explain what happened, and advise"),
    show('T', "time", "Print the time of day"),
    show('w', "wide", "Print mark, TTL, TCP flags and packet address"),
};

constexpr Letter kLetters[] = {{'p', "pid"}, {'P', "port"}, {'N', "netns"}, {'H', "raddr"}};

template <auto Member>
constexpr auto kEvent = [](const Row& r) { return Value(r.event->*Member); };

constexpr Formula kFamily = field<&skb_event::conn, &conn::family>;
constexpr Formula kHook = field<&skb_event::hook>;
constexpr Formula kPid = field<&skb_event::owner, &sock_owner::pid>;
constexpr Formula kHasPorts =
    field<&skb_event::conn, &conn::lport> != 0 || field<&skb_event::conn, &conn::rport> != 0;
constexpr Formula kIsIcmp =
    field<&skb_event::conn, &conn::protocol> == 1 || field<&skb_event::conn, &conn::protocol> == 58;

// One end of the packet in text; JSON has address and port apart.
template <bool Source>
constexpr auto end_of = [](const Row& r) -> Value {
    const auto& address = Source ? r.conn.laddr : r.conn.raddr;
    if (!r.conn.family)
        return Absent{};
    if (!r.has_ports())
        return Address{address, r.conn.family == CONN_IPV6};
    return Endpoint{{address, r.conn.family == CONN_IPV6}, Source ? r.conn.lport : r.conn.rport};
};
template <bool Source>
constexpr auto address_of = [](const Row& r) -> Value {
    return r.conn.family
               ? Value(Address{Source ? r.conn.laddr : r.conn.raddr, r.conn.family == CONN_IPV6})
               : Value(Absent{});
};
template <bool Source>
constexpr auto port_of = [](const Row& r) -> Value {
    return r.has_ports() ? Value(Source ? r.conn.lport : r.conn.rport) : Value(Absent{});
};

constexpr int kEndWidth = 21; // 255.255.255.255:65535

constexpr std::string_view kVerdicts[] = {"drop", "accept", "stolen", "queue"};

// Of lines of netfilter; in text where those are asked for.
template <auto Get>
consteval Column nf_column(const char* name, const char* head, int width, const char* help,
                           ColumnType type)
{
    return col<[](const Row& r) -> Value {
               return r.decision ? Get(*r.decision) : Value(Absent{});
           }>(name, head, width, help, kJsonOnly)
        .as(type);
}

constexpr Column kColumns[] = {
    col<[](const Row& r) { return WallTime{r.time_ns}; }>("time_ns", "TIME", 8, "Time of the hop",
                                                          with("time")),
    col<[](const Row& r) {
        return SinceFirst{r.time_ns, 6};
    }>("since_s", "TIME(s)", 9, "Seconds since the first line"),
    col<[](const Row& r) -> Value {
        return r.event->span_ns ? Value(Fixed{r.event->span_ns, 3}) : Value(Absent{});
    }>("span_us", "US", -9, "Microseconds since this packet's previous hop")
        .from<present(field<&skb_event::span_ns> != 0, fixed(field<&skb_event::span_ns>, 3))>(),
    col<kEvent<&skb_event::packet>>("packet", "PACKET", -7,
                                    "Number of the packet: the same in all its lines")
        .from<field<&skb_event::packet>>(),
    col<[](const Row& r) { return Hex{r.event->skb}; }>(
        "skb", "SKB", 18, "Address of the packet's sk_buff", with("wide"))
        .from<field<&skb_event::skb>>(),
    col<[](const Row& r) -> Value { return r.conn.netns ? Value(r.conn.netns) : Value(Absent{}); }>(
        "netns", "NETNS", 10, "Number of the network namespace")
        .as(ColumnType::integer)
        .from<present(field<&skb_event::conn, &conn::netns> != 0,
                      field<&skb_event::conn, &conn::netns>)>(),
    col<[](const Row& r) -> Value {
        return r.event->ifname[0] ? Value(r.event->ifname) : Value(Absent{});
    }>("interface", "IFACE", 8, "Network interface")
        .as(ColumnType::text)
        .from<present(element<&skb_event::ifname, 0> != 0, field<&skb_event::ifname>)>(),
    col<[](const Row& r) -> Value {
        return r.event->ifindex ? Value(r.event->ifindex) : Value(Absent{});
    }>("ifindex", "IFINDEX", 7, "Number of the interface", kJsonOnly)
        .as(ColumnType::integer)
        .from<present(field<&skb_event::ifindex> != 0, field<&skb_event::ifindex>)>(),
    col<[](const Row& r) { return Trusted{kEvents[r.event->hook]}; }>(
        "event", "EVENT", 8, "queue, transmit, rx, receive, read, drop, end")
        .from_names<kHook, kEvents>(),
    col<[](const Row& r) { return Trusted{kHooks[r.event->hook]}; }>(
        "hook", "HOOK", 18, "Tracepoint of the hop", kJsonOnly)
        .from_names<kHook, kHooks>(),
    col<kEvent<&skb_event::bytes>>("bytes", "LEN", -5, "Bytes from the network header on")
        .from<field<&skb_event::bytes>>(),
    col<kEvent<&skb_event::mark>>("mark", "MARK", 8, "Mark of the packet", with("wide"))
        .from<field<&skb_event::mark>>(),
    col<[](const Row& r) -> Value {
        return r.conn.family ? Value(r.event->ttl) : Value(Absent{});
    }>("ttl", "TTL", -3, "TTL or hop limit", with("wide"))
        .as(ColumnType::integer)
        .from<present(kFamily != 0, field<&skb_event::ttl>)>(),
    col<[](const Row& r) { return std::string_view(r.protocol); }>(
        "protocol", "PROTO", 6, "Protocol: its name, or its number"),
    col<[](const Row& r) { return std::string_view(r.flags); }>(
        "tcp_flags", "FLAGS", 5, "TCP flags: F S R P A U E C", with("wide")),
    col<end_of<true>>("source", "SOURCE", kEndWidth, "Source", kTextOnly).as(ColumnType::text),
    col<end_of<false>>("destination", "DESTINATION", kEndWidth, "Destination", kTextOnly)
        .as(ColumnType::text),
    col<address_of<true>>("saddr", "SADDR", kAddressWidth, "Source address", kJsonOnly)
        .as(ColumnType::text),
    col<port_of<true>>("sport", "SPORT", 5, "Source port", kJsonOnly)
        .as(ColumnType::integer)
        .from<present(kHasPorts, field<&skb_event::conn, &conn::lport>)>(),
    col<address_of<false>>("daddr", "DADDR", kAddressWidth, "Destination address", kJsonOnly)
        .as(ColumnType::text),
    col<port_of<false>>("dport", "DPORT", 5, "Destination port", kJsonOnly)
        .as(ColumnType::integer)
        .from<present(kHasPorts, field<&skb_event::conn, &conn::rport>)>(),
    col<[](const Row& r) -> Value {
        return r.conn.protocol == 1 || r.conn.protocol == 58 ? Value(r.event->icmp_type)
                                                             : Value(Absent{});
    }>("icmp_type", "ICMP", 4, "Type of the ICMP packet", kJsonOnly)
        .as(ColumnType::integer)
        .from<present(kIsIcmp, field<&skb_event::icmp_type>)>(),
    col<[](const Row& r) -> Value {
        return r.conn.protocol == 1 || r.conn.protocol == 58 ? Value(r.event->icmp_code)
                                                             : Value(Absent{});
    }>("icmp_code", "CODE", 4, "Code of the ICMP packet", kJsonOnly)
        .as(ColumnType::integer)
        .from<present(kIsIcmp, field<&skb_event::icmp_code>)>(),
    col<[](const Row& r) -> Value {
        return r.event->has_echo ? Value(r.event->icmp_id) : Value(Absent{});
    }>("icmp_id", "ICMPID", 6, "ID of the ICMP echo", kJsonOnly)
        .as(ColumnType::integer)
        .from<present(field<&skb_event::has_echo> != 0, field<&skb_event::icmp_id>)>(),
    col<[](const Row& r) -> Value { return r.owner.pid ? Value(r.owner.pid) : Value(Absent{}); }>(
        "pid", "PID", 7, "Process that owns the socket, or reads the packet")
        .as(ColumnType::integer)
        .from<present(kPid != 0, kPid)>(),
    col<[](const Row& r) -> Value { return r.owner.pid ? Value(r.owner.comm) : Value(Absent{}); }>(
        "comm", "COMM", 16, "Command name of the owner")
        .as(ColumnType::text)
        .from<present(kPid != 0, field<&skb_event::owner, &sock_owner::comm>)>(),
    col<[](const Row& r) -> Value {
        return r.reason.empty() ? Value(Absent{""}) : Value(std::string_view(r.reason));
    }>("reason", "REASON", 16, "Why the kernel dropped the packet; null before 5.17")
        .as(ColumnType::text),
    col<[](const Row& r) -> Value {
        return r.function.empty() ? Value(Absent{""}) : Value(std::string_view(r.function));
    }>("function", "FUNCTION", 0, "Kernel function that has, dropped, freed or judged the packet")
        .as(ColumnType::text),
    nf_column<[](const nf_decision& nf) { return Value(Trusted{kVerdicts[nf.verdict & 3]}); }>(
        "verdict", "VERDICT", 7, "Verdict of netfilter: drop, accept, stolen, queue",
        ColumnType::text),
    nf_column<[](const nf_decision& nf) { return Value(Trusted{nf_family_name(nf.family)}); }>(
        "nf_family", "FAMILY", 6, "Family of the netfilter hook", ColumnType::text),
    nf_column<[](const nf_decision& nf) {
        return Value(Trusted{nf_hook_name(nf.family, nf.hook)});
    }>("nf_hook", "NFHOOK", 11, "Netfilter hook, such as input", ColumnType::text),
    nf_column<[](const nf_decision& nf) {
        return nf.table[0] ? Value(nf.table) : Value(Absent{});
    }>("nf_table", "TABLE", 12, "Table that decided", ColumnType::text),
    nf_column<[](const nf_decision& nf) {
        return nf.chain[0] ? Value(nf.chain) : Value(Absent{});
    }>("nf_chain", "CHAIN", 12, "Base chain that decided", ColumnType::text),
    nf_column<[](const nf_decision& nf) {
        return nf.function ? Value(nf.priority) : Value(Absent{});
    }>("nf_priority", "PRIO", 5, "Priority of the function that decided", ColumnType::integer),
    col<[](const Row& r) { return r.stacks.kernel(); }>(
        "kernel_stack", "KERNEL", 0, "Kernel functions with -K or -d, leaf first", kJsonOnly)
        .as(ColumnType::list),
};

constexpr std::string_view kVerdictOptions = "netfilter|deep|diag|pcapng";

template <auto Attach>
constexpr auto attach_deep = [](const Session& session, const bpf_program* program) {
    return (session.options_as<Options>().functions.get()->*Attach)(program);
};

constexpr Need kNeeds[] = {
    {.what = "packets that are handed to a device",
     .rungs = {rung<&P::queue_tp_btf>("tp_btf"), rung<&P::queue_raw_tp>("raw_tp")}},
    {.what = "packets that are handed to a driver",
     .rungs = {rung<&P::xmit_tp_btf>("tp_btf"), rung<&P::xmit_raw_tp>("raw_tp")}},
    {.what = "packets from virtual devices",
     .rungs = {rung<&P::rx_tp_btf>("tp_btf"), rung<&P::rx_raw_tp>("raw_tp")}},
    {.what = "packets that enter the protocols",
     .rungs = {rung<&P::receive_tp_btf>("tp_btf"), rung<&P::receive_raw_tp>("raw_tp")}},
    {.what = "packets that are read",
     .rungs = {rung<&P::read_tp_btf>("tp_btf"), rung<&P::read_raw_tp>("raw_tp")}},
    {.what = "packets of UDP that are read",
     .rungs = {rung<&P::udp_fentry>("fentry"), rung<&P::udp_kprobe>("kprobe")},
     .optional = true,
     .without = "most reads of UDP"},
    {.what = "packets that are dropped",
     .rungs = {rung<&P::drop_tp_btf>("tp_btf"), rung<&P::drop_raw_tp>("raw_tp")}},
    {.what = "packets that have done their way",
     .rungs = {rung<&P::done_tp_btf>("tp_btf"), rung<&P::done_raw_tp>("raw_tp")}},
    {.what = "new sockets",
     .rungs = {rung<&P::made_fentry>("fentry"), rung<&P::made_kprobe>("kprobe")},
     .optional = true,
     .without = "the owners of sockets that are made while the tool runs"},
    kGraftNeed<P>,
    {.what = "ends of sockets",
     .rungs = {rung<&P::gone_fentry>("fentry"), rung<&P::gone_kprobe>("kprobe")}},
    {.what = "functions that have a packet",
     .rungs = {with_function(rung<&P::deep_multi>("kprobe.multi", {},
                                                  attach_deep<&DeepFunctions::attach_all>),
                             kKprobeMultiFunction),
               rung<&P::deep_kprobe>("kprobe", "most functions",
                                     attach_deep<&DeepFunctions::attach_few>)},
     .option = "deep"},
    {.what = "copies of packets",
     .rungs = {rung_any<&P::copy_fexit, &P::pcopy_fexit, &P::expand_fexit>("fexit")},
     .option = "deep",
     .optional = true,
     .without = "the way of copies that the filter does not select"},
    {.what = "verdicts of netfilter",
     .rungs = {rung<&P::judged_fexit>("fexit")},
     .option = kVerdictOptions,
     .optional = true,
     .without = "verdicts of netfilter"},
    {.what = "rules of nftables",
     .rungs = {rung<&P::nft_fexit>("fexit"),
               rung<&P::nft_kprobe, &P::nft_kretprobe>("kprobe", "names of tables and chains")},
     .option = kVerdictOptions,
     .optional = true,
     .without = "which chain decided"},
    {.what = "rules of iptables",
     .rungs = {rung<&P::ipt_fexit>("fexit"),
               rung<&P::ipt_kprobe, &P::ipt_kretprobe>("kprobe", "names of tables")},
     .option = kVerdictOptions,
     .optional = true,
     .without = "which table decided"},
    {.what = "rules of ip6tables",
     .rungs = {rung<&P::ip6t_fexit>("fexit"),
               rung<&P::ip6t_kprobe, &P::ip6t_kretprobe>("kprobe", "names of tables")},
     .option = kVerdictOptions,
     .optional = true,
     .without = "which table decided"},
};

void prepare(Options& o, Session& session)
{
    if (!o.expression.empty()) {
        o.by_expression = 1;
        o.object = packet::give_expression(session.tool.object(), o.expression);
        session.object = o.object;
    }
    if (session.given("snaplen") && o.pcapng.empty())
        fail_usage("--snaplen needs --pcapng");
    if (!o.pcapng.empty()) {
        if (session.format != Format::text || !session.columns.empty())
            fail_usage("--pcapng writes packets, no rows: it excludes --json, --csv and --columns");
        o.capture = o.snap_length;
    }
    o.is_deep = o.deep;
    if (o.deep) {
        o.functions = std::make_shared<DeepFunctions>();
        o.all = o.functions->all().bounds;
        o.few = o.functions->few().bounds;
    }
    if (!o.deep && !o.netfilter && !o.diagnoses && o.pcapng.empty())
        return;
    o.nf = read_nf_offsets();
    o.targets = rule_targets();
}

// How many packets made room for others, and were perhaps still on their way.
void say_forgotten(skbtrace_bpf& s, const Session& session)
{
    const auto count_left = [](const bpf_map* map) {
        std::uint64_t key = 0, count = 0;
        const int fd = bpf_map__fd(map);
        for (bool first = true; bpf_map_get_next_key(fd, first ? nullptr : &key, &key) == 0;
             first = false)
            count++;
        return count;
    };
    // The kernel begins to make room some hundred entries before there is none.
    constexpr std::uint64_t kSome = 4096;
    std::uint64_t forgotten = 0;
    for (const auto& [made, map] : {std::pair(s.bss->ways_made, s.maps.ways),
                                    std::pair(s.bss->heads_made, s.maps.ways_by_head)})
        if (made > kSome)
            forgotten += made - std::min<std::uint64_t>(made, count_left(map));
    if (forgotten)
        say(session.tool, cat("the kernel side forgot ", forgotten,
                              " addresses to make room; packets that still were on their way went "
                              "on as new packets"));
}

std::string protocol_name(const skb_event& e)
{
    if (!e.conn.family)
        return e.ethertype == 0x0806 ? "ARP" : to_hex(e.ethertype);
    const std::string_view name = kProtocols[e.conn.protocol & 0xff];
    return name.empty() ? cat(e.conn.protocol) : std::string(name);
}

std::string flags_name(const skb_event& e)
{
    std::string flags;
    if (e.conn.protocol == CONN_TCP)
        for (int bit = 0; bit < 8; bit++)
            if (e.tcp_flags >> bit & 1)
                flags += "FSRPAUEC"[bit];
    return flags;
}

bool decode(Row& row, const Options& o, const void* record, std::size_t size)
{
    row.event = static_cast<const skb_event*>(record);
    const skb_event& e = *row.event;
    row.time_ns = e.time_ns;
    row.conn = e.conn;
    row.owner = e.owner;
    row.protocol = protocol_name(e);
    row.flags = flags_name(e);
    row.reason.clear();
    if (e.reason) {
        if (!row.reasons)
            row.reasons = DropReasons::load();
        row.reason = row.reasons->name(e.reason);
    }
    row.function.clear();
    if (e.hook == SKB_FUNCTION && o.functions && e.function) {
        const auto& points = o.functions->used().points;
        if (std::size_t(e.function) <= points.size())
            row.function = o.functions->used().name(e.function - 1u);
    }
    constexpr std::size_t kDecided = offsetof(skb_event, netfilter) + sizeof(nf_decision);
    row.decision = e.hook == SKB_NETFILTER && size >= kDecided ? &e.netfilter : nullptr;
    const std::uint64_t address = row.decision ? row.decision->function : e.location;
    if (address) {
        if (!row.symbols)
            row.symbols = KernelSymbols::load();
        const auto frame =
            row.symbols->lookup(address, row.decision ? At::instruction : At::return_address);
        row.function = frame ? std::string(frame->name) : to_hex(address);
    }
    const std::size_t stacks =
        e.hook == SKB_NETFILTER ? size : std::min(size, offsetof(skb_event, stacks));
    row.stacks.take({static_cast<const std::byte*>(record), size}, stacks, 0);
    row.below.clear();
    const SkbHop hop{e, kEvents[e.hook], row.reason, row.function};
    if (o.diagnoses) {
        row.diagnosis.add(hop);
        row.below = explain_hop(hop);
    }
    if (o.capture)
        row.capture.take(hop, {static_cast<const std::byte*>(record), size});
    return true;
}

constexpr Stream<skbtrace_bpf, Options, Row> kTool{
    .about =
        {.name = "skbtrace",
         .area = "net",
         .summary = "Trace the path of packets through the kernel",
         .details =
             "Prints one line each time that a packet passes a tracepoint. These are the way to "
             "a driver, the way from a device to the protocols, reads, and drops with their "
             "reason. A packet that the filter selects is followed from there on, also when its "
             "addresses change. Options for a local and a remote end match packets of both "
             "directions.",
         .examples = kExamples},
    .options = kOptions,
    .letters = kLetters,
    .columns = kColumns,
    .needs = kNeeds,
    .targets = [](const Options& o) -> Targets { return o.targets; },
    .setup =
        [](skbtrace_bpf& s, Options& o, const Session& session) {
            std::memcpy(o.ifname, o.interface, sizeof o.ifname);
            o.by_icmp_id = session.given("icmp-id");
            o.by_mark = session.given("mark");
            o.mark = o.wanted_mark.value;
            o.mark_mask = o.wanted_mark.mask;
            o.by_protocol = session.given("proto");
            o.protocol = o.wanted_protocol.number;
            o.stack = o.all_stacks    ? SKB_STACK_ALL
                      : o.drop_stacks ? SKB_STACK_DROPS
                                      : SKB_STACK_NONE;
            if (o.functions) {
                o.functions->prepare(s.maps.cb_function_ids);
                s.rodata->cb_functions.count = __u32(o.functions->few().points.size());
            }
            prepare_event_stacks({.kernel = o.stack != SKB_STACK_NONE}, s.rodata->cb_event_stacks);
        },
    .decode = decode,
    .below =
        [](std::string& text, const void* r) {
            const Row& row = *static_cast<const Row*>(r);
            if (!row.below.empty())
                text += cat("    ", row.below, "\n");
            row.stacks.append(text);
        },
    .also = Shared::symbols,
    .prepare = prepare,
    .attached =
        [](const Options& o, const Session& session) {
            say_hidden_names(session);
            if (!o.functions)
                return;
            if (session.explain && &o.functions->used() == &o.functions->few())
                say(session.tool, cat("functions: ", o.functions->few().list()));
            say(session.tool, cat("deep mode traces ", o.functions->attached(), " functions of ",
                                  o.functions->all().points.size(), " that have a packet"));
        },
    .conclude =
        [](const Row& row, skbtrace_bpf& s, const Options& o, const Session& session,
           Output* text) {
            say_forgotten(s, session);
            if (!o.diagnoses)
                return;
            const std::string report = row.diagnosis.report();
            if (text)
                text->text() += report;
            else
                std::fputs(report.c_str(), stderr);
        },
};

// With --pcapng the rows go to a file.
consteval Tool make_entry()
{
    Tool tool = entry<kTool>();
    tool.open = [](std::unique_ptr<Session> session,
                   const SinkMaker& make_sink) -> std::unique_ptr<Run> {
        if (session->options_as<Options>().pcapng.empty())
            return kTool.open(std::move(session), make_sink);
        return kTool.open(std::move(session), [](const Session& s, std::span<const Column>) {
            return std::make_unique<PcapngSink>(
                s.options_as<Options>().pcapng, s.tool.about.name,
                [](const void* row, CapturedPacket& out) {
                    out = static_cast<const Row*>(row)->capture.packet();
                });
        });
    };
    return tool;
}

[[gnu::section("corebox_tools"), gnu::used]] const Tool kEntry = make_entry();
} // namespace
