// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "net_world.hpp"
#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdexcept>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace corebox::test
{
namespace
{

void check(bool done, const std::string& what)
{
    if (!done)
        throw std::runtime_error(what + ": " + std::strerror(errno));
}

// One or several requests, as bytes; attributes nest.
class Request
{
public:
    template <class Header>
    Request& begin(int type, int flags, const Header& header)
    {
        message_ = bytes_.size();
        nlmsghdr head{};
        head.nlmsg_type = std::uint16_t(type);
        head.nlmsg_flags = std::uint16_t(NLM_F_REQUEST | flags);
        add(head);
        add(header);
        return close_message();
    }
    Request& put(int type, const void* data, std::size_t size)
    {
        const nlattr head{std::uint16_t(NLA_HDRLEN + size), std::uint16_t(type)};
        add(head);
        append(data, size);
        return close_message();
    }
    template <class T>
    Request& put(int type, const T& value)
    {
        return put(type, &value, sizeof value);
    }
    Request& text(int type, const std::string& value)
    {
        return put(type, value.c_str(), value.size() + 1);
    }
    template <class Inside>
    Request& nest(int type, Inside&& inside)
    {
        const std::size_t at = bytes_.size();
        add(nlattr{0, std::uint16_t(type | NLA_F_NESTED)});
        inside(*this);
        const auto size = std::uint16_t(bytes_.size() - at);
        std::memcpy(&bytes_[at], &size, sizeof size);
        return close_message();
    }
    template <class T>
    Request& raw(const T& value)
    {
        add(value);
        return close_message();
    }

    // Sends it, and waits for as many answers as requests want one.
    void send(int protocol, int answers, const std::string& what) const
    {
        const Socket socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
        check(socket.fd() >= 0, "netlink");
        check(::send(socket.fd(), bytes_.data(), bytes_.size(), 0) == ssize_t(bytes_.size()), what);
        std::vector<char> answer(1 << 16);
        while (answers > 0) {
            const ssize_t n = ::recv(socket.fd(), answer.data(), answer.size(), 0);
            check(n > 0, what);
            auto left = int(n);
            for (auto* m = reinterpret_cast<nlmsghdr*>(answer.data()); NLMSG_OK(m, unsigned(left));
                 m = NLMSG_NEXT(m, left), answers--) {
                if (m->nlmsg_type != NLMSG_ERROR)
                    throw std::runtime_error(what + ": another answer");
                errno = -static_cast<nlmsgerr*>(NLMSG_DATA(m))->error;
                check(errno == 0, what);
            }
        }
    }

private:
    template <class T>
    void add(const T& value)
    {
        append(&value, sizeof value);
    }
    void append(const void* data, std::size_t size)
    {
        const auto* const from = static_cast<const char*>(data);
        bytes_.insert(bytes_.end(), from, from + size);
        bytes_.resize(NLMSG_ALIGN(bytes_.size()));
    }
    Request& close_message()
    {
        const auto size = std::uint32_t(bytes_.size() - message_);
        std::memcpy(&bytes_[message_], &size, sizeof size);
        return *this;
    }

    std::vector<char> bytes_;
    std::size_t message_ = 0;
};

constexpr int kMake = NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK;

void set_up(const char* device)
{
    ifinfomsg link{};
    link.ifi_index = int(::if_nametoindex(device));
    link.ifi_flags = link.ifi_change = IFF_UP;
    Request().begin(RTM_NEWLINK, NLM_F_ACK, link).send(NETLINK_ROUTE, 1, "to set a device up");
}

void add_address(const char* device, const char* address, std::uint8_t prefix)
{
    unsigned char bytes[16];
    ifaddrmsg message{};
    message.ifa_family = ::inet_pton(AF_INET, address, bytes) == 1 ? AF_INET : AF_INET6;
    const std::size_t size = message.ifa_family == AF_INET ? 4 : 16;
    if (size == 16)
        ::inet_pton(AF_INET6, address, bytes);
    message.ifa_prefixlen = prefix;
    message.ifa_flags = IFA_F_NODAD;
    message.ifa_index = ::if_nametoindex(device);
    Request()
        .begin(RTM_NEWADDR, kMake, message)
        .put(IFA_LOCAL, bytes, size)
        .put(IFA_ADDRESS, bytes, size)
        .send(NETLINK_ROUTE, 1, "to add an address");
}

void add_veth(const char* here, const char* there, int there_fd)
{
    Request()
        .begin(RTM_NEWLINK, kMake, ifinfomsg{})
        .text(IFLA_IFNAME, here)
        .nest(IFLA_LINKINFO,
              [&](Request& r) {
                  r.text(IFLA_INFO_KIND, "veth").nest(IFLA_INFO_DATA, [&](Request& data) {
                      data.nest(VETH_INFO_PEER, [&](Request& peer) {
                          peer.raw(ifinfomsg{})
                              .text(IFLA_IFNAME, there)
                              .put(IFLA_NET_NS_FD, std::uint32_t(there_fd));
                      });
                  });
              })
        .send(NETLINK_ROUTE, 1, "to add a veth pair");
}

int open_own_namespace()
{
    const int fd = ::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    check(fd >= 0, "a network namespace");
    return fd;
}

} // namespace

World::World() : here_(open_own_namespace())
{
    check(::unshare(CLONE_NEWNET) == 0, "to make a network namespace");
    there_ = open_own_namespace();
    set_up("lo");
    check(::setns(here_, CLONE_NEWNET) == 0, "to return to a network namespace");
    add_veth("cbw0", "cbw1", there_);
    add_address("cbw0", kHere, 24);
    add_address("cbw0", kHere6, 64);
    set_up("cbw0");
    there([] {
        add_address("cbw1", kThere, 24);
        add_address("cbw1", kThere6, 64);
        set_up("cbw1");
    });
    // Both ends learn where the other is: no packet of a test waits for that.
    for (const char* address : {kThere, kThere6}) {
        int refused = 0;
        connect_to(address, 1, &refused);
        errno = refused;
        check(refused == ECONNREFUSED, "to reach the other network namespace");
    }
}

World::~World()
{
    if (const unsigned tunnel = ::if_nametoindex("cbx0")) {
        ifinfomsg own{};
        own.ifi_index = int(tunnel);
        Request().begin(RTM_DELLINK, NLM_F_ACK, own).send(NETLINK_ROUTE, 1, "to remove a tunnel");
    }
    // Both devices go at once; with the namespace they would, but some time later.
    ifinfomsg link{};
    link.ifi_index = int(::if_nametoindex("cbw0"));
    Request().begin(RTM_DELLINK, NLM_F_ACK, link).send(NETLINK_ROUTE, 1, "to remove a veth pair");
    ::close(here_);
    ::close(there_);
}

void World::there(const std::function<void()>& work) const
{
    check(::setns(there_, CLONE_NEWNET) == 0, "to enter a network namespace");
    work();
    check(::setns(here_, CLONE_NEWNET) == 0, "to return to a network namespace");
}

Socket World::listen_there(int backlog, const char* address) const
{
    Socket listener;
    there([&] { listener = listen_on(address, backlog); });
    return listener;
}

std::uint32_t World::netns() const
{
    struct stat s {
    };
    check(::fstat(there_, &s) == 0, "fstat");
    return std::uint32_t(s.st_ino);
}

namespace
{

void add_netem(const char* device, const World::Trouble& trouble)
{
    tcmsg queue{};
    queue.tcm_ifindex = int(::if_nametoindex(device));
    queue.tcm_parent = TC_H_ROOT;
    queue.tcm_handle = TC_H_MAKE(1 << 16, 0);
    tc_netem_qopt options{};
    options.limit = 1000;
    options.loss = trouble.loss_percent >= 100
                       ? ~0u
                       : std::uint32_t(std::uint64_t(trouble.loss_percent) * ~0u / 100);
    Request()
        .begin(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK, queue)
        .text(TCA_KIND, "netem")
        .nest(TCA_OPTIONS,
              [&](Request& r) {
                  r.raw(options).put(TCA_NETEM_LATENCY64,
                                     std::int64_t(trouble.delay_ms) * 1'000'000);
              })
        .send(NETLINK_ROUTE, 1, "to add netem");
}

nfgenmsg nft_family(int family, std::uint16_t resource = 0)
{
    return {std::uint8_t(family), NFNETLINK_V0, htons(resource)};
}

constexpr int nft(int message) { return NFNL_SUBSYS_NFTABLES << 8 | message; }

template <class Data>
void add_expression(Request& list, const char* name, Data&& data)
{
    list.nest(NFTA_LIST_ELEM,
              [&](Request& r) { r.text(NFTA_EXPR_NAME, name).nest(NFTA_EXPR_DATA, data); });
}

void put_number(Request& r, int type, std::uint32_t value) { r.put(type, htonl(value)); }

void add_port_match(Request& list, std::uint16_t port)
{
    add_expression(list, "payload", [](Request& e) {
        put_number(e, NFTA_PAYLOAD_DREG, NFT_REG_1);
        put_number(e, NFTA_PAYLOAD_BASE, NFT_PAYLOAD_TRANSPORT_HEADER);
        put_number(e, NFTA_PAYLOAD_OFFSET, 2); // of the port it goes to
        put_number(e, NFTA_PAYLOAD_LEN, 2);
    });
    add_expression(list, "cmp", [&](Request& e) {
        put_number(e, NFTA_CMP_SREG, NFT_REG_1);
        put_number(e, NFTA_CMP_OP, NFT_CMP_EQ);
        e.nest(NFTA_CMP_DATA, [&](Request& d) { d.put(NFTA_DATA_VALUE, htons(port)); });
    });
}

// Of a table of its own for each port: `type filter hook H priority 0` with `th dport P drop`.
void add_drop_rule(int hook, std::uint16_t port)
{
    const std::string table = "cb" + std::to_string(hook) + "_" + std::to_string(port);
    Request r;
    r.begin(NFNL_MSG_BATCH_BEGIN, 0, nft_family(AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
    r.begin(nft(NFT_MSG_NEWTABLE), NLM_F_CREATE | NLM_F_ACK, nft_family(NFPROTO_INET))
        .text(NFTA_TABLE_NAME, table);
    r.begin(nft(NFT_MSG_NEWCHAIN), NLM_F_CREATE | NLM_F_ACK, nft_family(NFPROTO_INET))
        .text(NFTA_CHAIN_TABLE, table)
        .text(NFTA_CHAIN_NAME, "drops")
        .text(NFTA_CHAIN_TYPE, "filter")
        .nest(NFTA_CHAIN_HOOK, [&](Request& h) {
            put_number(h, NFTA_HOOK_HOOKNUM, std::uint32_t(hook));
            put_number(h, NFTA_HOOK_PRIORITY, 0);
        });
    r.begin(nft(NFT_MSG_NEWRULE), NLM_F_CREATE | NLM_F_APPEND | NLM_F_ACK, nft_family(NFPROTO_INET))
        .text(NFTA_RULE_TABLE, table)
        .text(NFTA_RULE_CHAIN, "drops")
        .nest(NFTA_RULE_EXPRESSIONS, [&](Request& list) {
            add_port_match(list, port);
            add_expression(list, "immediate", [](Request& e) {
                put_number(e, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
                e.nest(NFTA_IMMEDIATE_DATA, [](Request& d) {
                    d.nest(NFTA_DATA_VERDICT,
                           [](Request& v) { put_number(v, NFTA_VERDICT_CODE, NF_DROP); });
                });
            });
        });
    r.begin(NFNL_MSG_BATCH_END, 0, nft_family(AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
    r.send(NETLINK_NETFILTER, 3, "to add a rule of nftables");
}

} // namespace

void World::make_trouble(const Trouble& trouble) const { add_netem("cbw0", trouble); }

void World::make_trouble_there(const Trouble& trouble) const
{
    there([&] { add_netem("cbw1", trouble); });
}

namespace
{

void add_bridge(const char* name, const char* port)
{
    Request()
        .begin(RTM_NEWLINK, kMake, ifinfomsg{})
        .text(IFLA_IFNAME, name)
        .nest(IFLA_LINKINFO, [](Request& r) { r.text(IFLA_INFO_KIND, "bridge"); })
        .send(NETLINK_ROUTE, 1, "to add a bridge");
    ifinfomsg link{};
    link.ifi_index = int(::if_nametoindex(port));
    Request()
        .begin(RTM_NEWLINK, NLM_F_ACK, link)
        .put(IFLA_MASTER, ::if_nametoindex(name))
        .send(NETLINK_ROUTE, 1, "to add a port to a bridge");
}

void remove_address(const char* device, const char* address)
{
    unsigned char bytes[4];
    ::inet_pton(AF_INET, address, bytes);
    ifaddrmsg message{};
    message.ifa_family = AF_INET;
    message.ifa_prefixlen = 24;
    message.ifa_index = ::if_nametoindex(device);
    Request()
        .begin(RTM_DELADDR, NLM_F_ACK, message)
        .put(IFA_LOCAL, bytes, sizeof bytes)
        .send(NETLINK_ROUTE, 1, "to remove an address");
}

void add_vxlan(const char* name, const char* from, const char* to)
{
    in_addr local{}, remote{};
    ::inet_pton(AF_INET, from, &local);
    ::inet_pton(AF_INET, to, &remote);
    Request()
        .begin(RTM_NEWLINK, kMake, ifinfomsg{})
        .text(IFLA_IFNAME, name)
        .nest(IFLA_LINKINFO,
              [&](Request& r) {
                  r.text(IFLA_INFO_KIND, "vxlan").nest(IFLA_INFO_DATA, [&](Request& data) {
                      data.put(IFLA_VXLAN_ID, std::uint32_t(66))
                          .put(IFLA_VXLAN_LOCAL, local)
                          .put(IFLA_VXLAN_GROUP, remote)
                          .put(IFLA_VXLAN_PORT, htons(4789));
                  });
              })
        .send(NETLINK_ROUTE, 1, "to add a tunnel");
}

// `type nat hook prerouting priority -100` with `udp dport FROM dnat to :TO`.
void add_translation(std::uint16_t from, std::uint16_t to)
{
    Request r;
    r.begin(NFNL_MSG_BATCH_BEGIN, 0, nft_family(AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
    r.begin(nft(NFT_MSG_NEWTABLE), NLM_F_CREATE | NLM_F_ACK, nft_family(NFPROTO_IPV4))
        .text(NFTA_TABLE_NAME, "cbnat");
    r.begin(nft(NFT_MSG_NEWCHAIN), NLM_F_CREATE | NLM_F_ACK, nft_family(NFPROTO_IPV4))
        .text(NFTA_CHAIN_TABLE, "cbnat")
        .text(NFTA_CHAIN_NAME, "redirects")
        .text(NFTA_CHAIN_TYPE, "nat")
        .nest(NFTA_CHAIN_HOOK, [](Request& h) {
            put_number(h, NFTA_HOOK_HOOKNUM, NF_INET_PRE_ROUTING);
            put_number(h, NFTA_HOOK_PRIORITY, std::uint32_t(-100));
        });
    r.begin(nft(NFT_MSG_NEWRULE), NLM_F_CREATE | NLM_F_APPEND | NLM_F_ACK, nft_family(NFPROTO_IPV4))
        .text(NFTA_RULE_TABLE, "cbnat")
        .text(NFTA_RULE_CHAIN, "redirects")
        .nest(NFTA_RULE_EXPRESSIONS, [&](Request& list) {
            add_port_match(list, from);
            add_expression(list, "immediate", [&](Request& e) {
                put_number(e, NFTA_IMMEDIATE_DREG, NFT_REG_1);
                e.nest(NFTA_IMMEDIATE_DATA, [&](Request& d) { d.put(NFTA_DATA_VALUE, htons(to)); });
            });
            add_expression(list, "nat", [](Request& e) {
                put_number(e, NFTA_NAT_TYPE, NFT_NAT_DNAT);
                put_number(e, NFTA_NAT_FAMILY, NFPROTO_IPV4);
                put_number(e, NFTA_NAT_REG_PROTO_MIN, NFT_REG_1);
            });
        });
    r.begin(NFNL_MSG_BATCH_END, 0, nft_family(AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
    r.send(NETLINK_NETFILTER, 3, "to add a rule of nftables");
}

} // namespace

void World::bridge_there() const
{
    there([] {
        remove_address("cbw1", kThere);
        add_bridge("cbbr", "cbw1");
        add_address("cbbr", kThere, 24);
        set_up("cbbr");
    });
    connect_to(kThere, 1, &errno); // learn where it is now
}

void World::translate_there(std::uint16_t from, std::uint16_t to) const
{
    there([&] { add_translation(from, to); });
}

void World::add_tunnel() const
{
    add_vxlan("cbx0", kHere, kThere);
    add_address("cbx0", kTunnelHere, 24);
    set_up("cbx0");
    there([] {
        add_vxlan("cbx1", kThere, kHere);
        add_address("cbx1", kTunnelThere, 24);
        set_up("cbx1");
    });
    connect_to(kTunnelThere, 1, &errno);
}

void World::drop_there(Hook hook, std::uint16_t port) const
{
    there([&] { add_drop_rule(hook == Hook::input ? NF_INET_LOCAL_IN : NF_INET_LOCAL_OUT, port); });
}

} // namespace corebox::test
