// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A second network, on which packets are delayed, lost and dropped as a test wants it: made by the
// kernel's own netlink, since guests have neither ip, tc nor nft. Throws where the kernel refuses.
#pragma once
#include "net.hpp"

namespace corebox::test
{

// A network namespace, joined to the caller's by a veth pair: "cbw0" here (10.66.0.1, fd66::1),
// "cbw1" there (10.66.0.2, fd66::2). It goes with the object.
class World
{
public:
    static constexpr const char *kHere = "10.66.0.1", *kThere = "10.66.0.2";
    static constexpr const char *kHere6 = "fd66::1", *kThere6 = "fd66::2";

    World();
    ~World();
    World(const World&) = delete;
    World& operator=(const World&) = delete;

    // Does it in the other namespace: sockets made there stay there.
    void there(const std::function<void()>& work) const;
    Socket listen_there(int backlog = 16, const char* address = kThere) const;
    std::uint32_t netns() const; // number of the other namespace

    // What happens from now on (netem) to each packet that leaves one of the ends; again: in place
    // of that.
    struct Trouble {
        unsigned delay_ms = 0;
        unsigned loss_percent = 0;
    };
    void make_trouble(const Trouble& trouble) const;       // on what leaves here
    void make_trouble_there(const Trouble& trouble) const; // on what leaves there

    // Has nftables drop TCP and UDP to this port, which come into the other namespace, or which are
    // about to leave it.
    enum class Hook { input, output };
    void drop_there(Hook hook, std::uint16_t port) const;

    // The end there becomes a port of the bridge "cbbr", which takes over its addresses of IPv4.
    void bridge_there() const;
    // Ports of UDP that arrive there are another port of it.
    void translate_there(std::uint16_t from, std::uint16_t to) const;
    // A tunnel (VXLAN) between both: "cbx0" here (10.67.0.1), "cbx1" there (10.67.0.2).
    static constexpr const char *kTunnelHere = "10.67.0.1", *kTunnelThere = "10.67.0.2";
    void add_tunnel() const;

private:
    int here_ = -1, there_ = -1; // namespaces
};

} // namespace corebox::test
