// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "skb_diagnosis.hpp"
#include "base/text.hpp"
#include "netfilter.hpp"
#include "output/escape.hpp"
#include "protocol.hpp"
#include <algorithm>
#include <arpa/inet.h>
#include <map>

namespace corebox
{
namespace
{

constexpr std::size_t kNoFlow = ~std::size_t(0);

std::string escaped(std::string_view text)
{
    std::string out;
    escape_text(out, text, true);
    return out;
}

std::string address(const std::uint8_t* bytes, unsigned family)
{
    char text[INET6_ADDRSTRLEN] = {};
    ::inet_ntop(family == CONN_IPV6 ? AF_INET6 : AF_INET, bytes, text, sizeof text);
    return text;
}

std::string end_of(const std::uint8_t* bytes, const conn& c, std::uint16_t port)
{
    const std::string text = address(bytes, c.family);
    if (!c.lport && !c.rport)
        return text;
    return c.family == CONN_IPV6 ? cat("[", text, "]:", port) : cat(text, ":", port);
}

std::string place(const skb_event& e)
{
    const std::string device = e.ifname[0] ? escaped(c_str(e.ifname)) : std::string("no device");
    return e.conn.netns ? cat(device, " in namespace ", e.conn.netns) : device;
}

// What a reason means, and what to do. {port}: the destination's, {device}, {address}: the
// destination, {ss}: the option of ss(8) for the protocol.
struct Meaning {
    std::string_view reason;   // the kernel's name, or its beginning with a '*'
    std::string_view function; // where kernels before 5.17 drop it
    std::string_view words, advice;
};

constexpr Meaning kMeanings[] = {
    {"NO_SOCKET", "__udp4_lib_rcv", "no socket receives on port {port} of {address}",
     "ss -ln{ss} 'sport = :{port}' shows what listens in that network namespace"},
    {"NO_SOCKET", "__udp6_lib_rcv", "no socket receives on port {port} of {address}",
     "ss -ln{ss} 'sport = :{port}' shows what listens in that network namespace"},
    {"NO_SOCKET", "tcp_v?_rcv", "no socket receives on port {port} of {address}",
     "ss -ln{ss} 'sport = :{port}' shows what listens in that network namespace"},
    {"NETFILTER_DROP", "nf_hook_slow", "a rule of the firewall drops it",
     "nft list ruleset and iptables-save -c show the rules in that network namespace"},
    {"SOCKET_RCVBUFF", "udp_queue_rcv_one_skb",
     "the receive buffer is full: its process reads too slowly",
     "ss -{ss}nm shows the buffer; raise SO_RCVBUF and net.core.rmem_max, or read faster"},
    {"PROTO_MEM", "", "the protocol's memory limit is reached",
     "sysctl net.ipv4.tcp_mem net.ipv4.udp_mem; nstat -az '*Mem*'"},
    {"SOCKET_FILTER", "sk_filter_trim_cap", "a BPF filter of the receiving socket rejects it",
     "ss -{ss}npb shows the filters of sockets"},
    {"SOCKET_BACKLOG", "", "the backlog of the receiving socket is full: its process is too slow",
     "ss -{ss}nm shows the socket's memory"},
    {"*_CSUM", "", "its checksum is wrong",
     "ethtool -K {device} rx off tx off tells whether a device's offload is to blame"},
    {"QDISC_*", "kfree_skb_list",
     "the queue of {device} is full or drops it on purpose (netem, a policy)",
     "tc -s qdisc show dev {device}"},
    {"NEIGH_*", "neigh_invalidate", "nobody answers ARP or NDP for the next hop",
     "ip neigh show dev {device}; ip route get {address}"},
    {"IP_INADDRERRORS", "ip_error",
     "{address} is no address of this host, and the host forwards nothing",
     "sysctl net.ipv4.ip_forward; ip route get {address}"},
    {"IP_INNOROUTES", "", "there is no route to {address}", "ip route get {address}"},
    {"IP_OUTNOROUTES", "", "there is no route to {address}", "ip route get {address}"},
    {"IP_RPFILTER", "", "it came through another device than the way back would take",
     "sysctl net.ipv4.conf.{device}.rp_filter"},
    {"*_INGRESS", "__netif_receive_skb_core", "a filter of tc at the entry of {device} drops it",
     "tc -s filter show dev {device} ingress"},
    {"TC_EGRESS", "", "a filter of tc at the exit of {device} drops it",
     "tc -s filter show dev {device} egress"},
    {"XDP", "", "an XDP program of {device} drops it", "ip link show dev {device}; bpftool net"},
    {"PKT_TOO_BIG", "", "it is larger than the MTU and must not be divided",
     "ip link show dev {device}; a firewall may hold back ICMP 'fragmentation needed'"},
    {"TCP_ABORT_ON_DATA", "", "data came for a socket that its process has closed",
     "the receiver closed too early, or the sender sent too late"},
    {"TCP_CLOSE", "", "the socket is closed", "ss -tan 'sport = :{port}'"},
    {"TCP_OLD_DATA", "", "the data came a second time: this does no harm",
     "tcpretrans shows who sends again"},
    {"TCP_*SEQUENCE", "", "its sequence number is outside of the window",
     "a device between the hosts may rewrite sequence numbers, or an old connection goes on"},
    {"TCP_RESET", "", "a reset ended the connection", "tcpstates shows the connection"},
    {"TCP_LISTEN_OVERFLOW", "", "the accept queue of the listener is full",
     "tcpsynbl, and ss -ltn: Recv-Q above Send-Q; accept faster or raise the backlog"},
    {"UNHANDLED_PROTO", "", "nobody on this host handles its protocol", "lsmod; ip link"},
    {"OTHERHOST", "", "it is for another host: the device listens to all",
     "ip -d link show dev {device} (promiscuous)"},
    {"DEV_READY", "", "the device is down", "ip link set {device} up"},
    {"FULL_RING", "", "the ring of the tun device is full: its program reads too slowly", ""},
};

bool fits(std::string_view pattern, std::string_view text)
{
    const auto star = pattern.find_first_of("*?");
    if (star == pattern.npos)
        return !pattern.empty() && pattern == text;
    const std::string_view begin = pattern.substr(0, star), end = pattern.substr(star + 1);
    return text.size() >= begin.size() + end.size() && text.starts_with(begin) &&
           text.ends_with(end);
}

std::string filled(std::string_view text, const skb_event& e)
{
    const auto value = [&](std::string_view key) -> std::string {
        if (key == "port")
            return cat(e.conn.rport);
        if (key == "address")
            return address(e.conn.raddr, e.conn.family);
        if (key == "device")
            return e.ifname[0] ? escaped(c_str(e.ifname)) : std::string("DEVICE");
        return e.conn.protocol == CONN_UDP ? "u" : "t";
    };
    std::string out;
    while (!text.empty()) {
        const auto open = text.find('{');
        out += text.substr(0, open);
        if (open == text.npos)
            break;
        const auto close = text.find('}', open);
        out += value(text.substr(open + 1, close - open - 1));
        text.remove_prefix(close + 1);
    }
    return out;
}

std::string explain_drop(const SkbHop& hop)
{
    const auto known = std::ranges::find_if(kMeanings, [&](const Meaning& m) {
        return hop.reason.empty() ? fits(m.function, hop.function) : fits(m.reason, hop.reason);
    });
    if (known == std::end(kMeanings))
        return cat("dropped in ", hop.function, ": ",
                   hop.reason.empty() ? "this kernel gives no reasons" : hop.reason,
                   "; --drop-stack shows how it came there");
    std::string out = filled(known->words, hop.event);
    if (!known->advice.empty())
        out += cat("; ", filled(known->advice, hop.event));
    return out;
}

std::string explain_verdict(const SkbHop& hop)
{
    const nf_decision& nf = hop.event.netfilter;
    const std::string_view family = nf_family_name(nf.family);
    const std::string table = escaped(c_str(nf.table)), chain = escaped(c_str(nf.chain));
    std::string by, advice;
    if (!chain.empty()) {
        by = cat("chain ", chain, " of nftables' table ", table);
        advice = cat("nft -a list ruleset (or: nft monitor trace) shows its rules");
    } else if (!table.empty()) {
        by = cat("table ", table, " of iptables");
        advice = cat(nf.family == 10 ? "ip6tables" : "iptables", " -t ", table, " -S and -L -nv");
    } else if (!hop.function.empty()) {
        by = cat(hop.function, "()");
        advice = "that function of the kernel decides, no rule of a table";
    } else {
        by = "one of several hook functions";
        advice = "nft list hooks shows them";
    }
    const std::string_view did = nf.verdict == NF_VERDICT_DROP    ? "dropped"
                                 : nf.verdict == NF_VERDICT_QUEUE ? "queued for a program (NFQUEUE)"
                                                                  : "kept";
    return cat(by, " ", did, " it at hook ", nf_hook_name(nf.family, nf.hook), " (", family,
               ", priority ", nf.priority, "); ", advice);
}

} // namespace

std::string explain_hop(const SkbHop& hop)
{
    if (hop.event.hook == SKB_DROP)
        return explain_drop(hop);
    if (hop.event.hook == SKB_NETFILTER && hop.event.netfilter.verdict != NF_VERDICT_ACCEPT)
        return explain_verdict(hop);
    return {};
}

std::size_t SkbDiagnosis::find_flow(const conn& c, bool* is_reply)
{
    const auto key = [&](bool reply) {
        std::string k(reinterpret_cast<const char*>(reply ? c.raddr : c.laddr), 16);
        k.append(reinterpret_cast<const char*>(reply ? c.laddr : c.raddr), 16);
        const std::uint16_t rest[] = {reply ? c.rport : c.lport, reply ? c.lport : c.rport,
                                      c.protocol};
        k.append(reinterpret_cast<const char*>(rest), sizeof rest);
        return k;
    };
    *is_reply = false;
    if (const auto at = flow_of_.find(key(false)); at != flow_of_.end())
        return at->second;
    *is_reply = true;
    if (const auto at = flow_of_.find(key(true)); at != flow_of_.end())
        return at->second;
    *is_reply = false;
    if (flows_.size() == kFlows)
        return kNoFlow;
    flow_of_.emplace(key(false), flows_.size());
    flows_.emplace_back().ends = c;
    return flows_.size() - 1;
}

void SkbDiagnosis::add(const SkbHop& hop)
{
    const skb_event& e = hop.event;
    auto at = packets_.find(e.packet);
    if (at == packets_.end()) {
        if (!e.conn.family || packets_.size() == kPackets) {
            left_out_ += e.conn.family != 0;
            return;
        }
        bool is_reply = false;
        const std::size_t flow = find_flow(e.conn, &is_reply);
        if (flow == kNoFlow) {
            left_out_++;
            return;
        }
        at = packets_.emplace(e.packet, Packet{flow, is_reply, {}, {}}).first;
        Direction& direction = flows_[flow].directions[is_reply];
        direction.packets++;
        direction.bytes += e.bytes;
        if (e.conn.protocol == CONN_TCP) {
            direction.syns += (e.tcp_flags & 0x12) == 0x02;
            direction.resets += (e.tcp_flags & 0x04) != 0;
        }
    }
    Packet& packet = at->second;
    Flow& flow = flows_[packet.flow];
    const std::string here = cat(hop.event_name, hop.function.empty() ? "" : " ", hop.function,
                                 e.ifname[0] ? cat(" on ", escaped(c_str(e.ifname))) : "");
    if (e.span_ns > flow.slowest_ns) {
        flow.slowest_ns = e.span_ns;
        flow.slowest = cat(packet.last, " and ", here);
    }
    packet.last = here;
    const std::string explained = explain_hop(hop);
    switch (e.hook) {
    case SKB_DROP:
        packet.fate = cat("dropped (", place(e), "): ", explained);
        break;
    case SKB_NETFILTER:
        if (!explained.empty())
            packet.fate = cat("stopped by netfilter (", place(e), "): ", explained);
        break;
    case SKB_READ:
    case SKB_UDP_READ:
        packet.fate = cat("read by ", e.owner.pid ? escaped(c_str(e.owner.comm)) : "a process");
        break;
    case SKB_DONE:
        if (packet.fate.empty() || !packet.fate.starts_with("read by"))
            packet.fate = "handled by the kernel to the end";
        break;
    case SKB_QUEUE:
        packet.fate = cat("last seen as it entered the queue of ", place(e));
        break;
    case SKB_TRANSMIT:
        packet.fate =
            cat("last seen as the driver of ", place(e), " got it: it left this host there");
        break;
    case SKB_RX:
    case SKB_RECEIVE:
        packet.fate = e.conn.protocol == CONN_TCP
                          ? cat("received on ", place(e), " and taken by TCP")
                          : cat("last seen as it came in on ", place(e));
        break;
    default:
        break;
    }
}

std::string SkbDiagnosis::report() const
{
    std::vector<std::array<std::map<std::string, std::uint64_t>, 2>> fates(flows_.size());
    for (const auto& [number, packet] : packets_)
        fates[packet.flow][packet.is_reply]
             [packet.fate.empty() ? std::string("seen once") : packet.fate]++;
    std::string out;
    for (std::size_t i = 0; i < flows_.size(); i++) {
        const Flow& flow = flows_[i];
        const conn& c = flow.ends;
        const std::string_view known = protocol_name(c.protocol);
        const std::string from = end_of(c.laddr, c, c.lport), to = end_of(c.raddr, c, c.rport);
        out += cat("\nFlow ", known, " ", from, " > ", to, ":\n");
        for (const bool reply : {false, true}) {
            const Direction& d = flow.directions[reply];
            if (!d.packets)
                continue;
            out += cat("  ", reply ? "back" : "there", ": ", d.packets,
                       d.packets == 1 ? " packet, " : " packets, ", d.bytes, " bytes\n");
            for (const auto& [fate, count] : fates[i][reply])
                out += cat("    ", count, " ", fate, "\n");
        }
        const Direction &there = flow.directions[0], &back = flow.directions[1];
        if (there.syns && !back.packets)
            out += cat("  Nothing came back for ", there.syns,
                       " SYN: look where the packets were last seen, and trace there next.\n");
        if (back.resets && there.syns)
            out += "  The other side refused or reset the connection.\n";
        if (flow.slowest_ns >= 1000)
            out += cat("  The longest time between two hops was ", flow.slowest_ns / 1000,
                       " us: ", flow.slowest, ".\n");
    }
    if (left_out_)
        out += cat("\n", left_out_, " more packets are not in this summary: it has room for ",
                   kFlows, " flows and ", kPackets, " packets\n");
    return out;
}

} // namespace corebox
