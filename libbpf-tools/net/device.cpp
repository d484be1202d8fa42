// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "device.hpp"
#include "base/directory.hpp"
#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/text.hpp"
#include <algorithm>
#include <bpf/libbpf.h>
#include <cerrno>
#include <cstring>
#include <net/if.h>
#include <string>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

namespace corebox
{
namespace
{

std::uint32_t index_of(std::string_view name)
{
    const Fd s(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request{};
    if (name.size() >= sizeof request.ifr_name) {
        errno = ENODEV;
        return 0;
    }
    std::memcpy(request.ifr_name, name.data(), name.size());
    return s && ::ioctl(s.get(), SIOCGIFINDEX, &request) == 0 ? std::uint32_t(request.ifr_ifindex)
                                                              : 0;
}

// sysfs is of the network namespace that mounted it; a device that it does not have has one queue.
unsigned count_queues(std::string_view name, std::string_view kind)
{
    const auto queues = list_entries(cat("/sys/class/net/", name, "/queues"));
    const auto n = std::ranges::count_if(
        queues, [kind](const std::string& queue) { return queue.starts_with(kind); });
    return n ? unsigned(n) : 1;
}

} // namespace

NetDevice find_net_device(std::string_view name)
{
    NetDevice device{.ifindex = index_of(name)};
    if (!device.ifindex)
        fail(cat("cannot find network device ", name), errno, "ip link lists them");
    struct stat netns {
    };
    if (::stat("/proc/self/ns/net", &netns) != 0)
        fail("cannot read /proc/self/ns/net", errno);
    device.netns = std::uint32_t(netns.st_ino);
    device.tx_queues = count_queues(name, "tx-");
    device.rx_queues = count_queues(name, "rx-");
    __u32 program = 0;
    device.has_xdp = bpf_xdp_query_id(int(device.ifindex), 0, &program) == 0 && program != 0;
    return device;
}

} // namespace corebox
