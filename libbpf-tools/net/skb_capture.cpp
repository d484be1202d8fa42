// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "skb_capture.hpp"
#include "base/text.hpp"
#include "netfilter.hpp"
#include "output/escape.hpp"

namespace corebox
{
namespace
{

// "drop in ip input, table fw, chain in"
std::string describe_decision(const nf_decision& nf)
{
    constexpr std::string_view kVerdicts[] = {"drop", "accept", "stolen", "queue"};
    std::string text = cat(kVerdicts[nf.verdict % std::size(kVerdicts)], " in ",
                           nf_family_name(nf.family), " ", nf_hook_name(nf.family, nf.hook));
    if (nf.table[0])
        text += cat(", table ", c_str(nf.table));
    if (nf.chain[0])
        text += cat(", chain ", c_str(nf.chain));
    return text;
}

std::string describe_hop(const SkbHop& hop)
{
    const skb_event& e = hop.event;
    std::string text = cat("packet ", e.packet, ": ", hop.event_name);
    if (e.hook == SKB_NETFILTER)
        text += cat(", ", describe_decision(e.netfilter));
    if (!hop.reason.empty())
        text += cat(", ", hop.reason);
    if (!hop.function.empty())
        text += cat(", ", hop.function, "()");
    if (e.owner.pid)
        text += cat(", ", c_str(e.owner.comm), " ", e.owner.pid);
    if (const std::string words = explain_hop(hop); !words.empty())
        text += cat("; ", words);
    return text;
}

} // namespace

void SkbCapture::take(const SkbHop& hop, std::span<const std::byte> record)
{
    const skb_event& e = hop.event;
    event_ = &e;
    comment_.clear();
    escape_text(comment_, describe_hop(hop), false);
    bytes_ = {};
    if (e.captured && e.capture_at <= record.size() && e.captured <= record.size() - e.capture_at)
        bytes_ = record.subspan(e.capture_at, e.captured);
    if (e.hook == SKB_DROP) {
        dropped_ = e.packet;
        dropped_bytes_.assign(bytes_.begin(), bytes_.end());
    } else if (e.hook == SKB_NETFILTER && e.packet == dropped_) {
        bytes_ = dropped_bytes_;
    }
}

CapturedPacket SkbCapture::packet() const
{
    const skb_event& e = *event_;
    using Direction = CapturedPacket::Direction;
    constexpr std::uint16_t kIpv4 = 0x0800, kIpv6 = 0x86dd;
    return {.time_ns = e.time_ns,
            .interface = c_str(e.ifname),
            .netns = e.conn.netns,
            .direction = e.hook == SKB_TRANSMIT  ? Direction::out
                         : e.hook == SKB_RECEIVE ? Direction::in
                                                 : Direction::unknown,
            .ethertype = e.conn.family == CONN_IPV4   ? kIpv4
                         : e.conn.family == CONN_IPV6 ? kIpv6
                                                      : e.ethertype,
            .length = e.bytes,
            .bytes = bytes_,
            .comment = comment_};
}

} // namespace corebox
