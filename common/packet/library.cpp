// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// These stand in one file with a function that compile.cpp calls: so the linker takes them before
// it gets to libpcap.a and libc.a.
#include "packet/library.hpp"
#include "base/text.hpp"
#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <netdb.h>
#include <netinet/ether.h>
#include <netinet/in.h>

// linux/bpf.h has a struct of the same name.
#define bpf_insn classic_bpf_insn
#include <pcap/pcap.h>
#undef bpf_insn

namespace
{
using namespace corebox;

// A line of /etc/services or /etc/protocols: NAME NUMBER[/PROTOCOL] ALIAS...
std::optional<std::uint16_t> find_number(const char* path, std::string_view name,
                                         std::string_view protocol)
{
    const auto text = read_file(path);
    for (std::string_view line : split(text ? *text : std::string_view{}, '\n')) {
        line = line.substr(0, line.find('#'));
        std::vector<std::string_view> words;
        while (!line.empty()) {
            const auto end = line.find_first_of(" \t");
            if (end != 0)
                words.push_back(line.substr(0, end));
            line = end == line.npos ? std::string_view{} : line.substr(end + 1);
        }
        if (words.size() < 2)
            continue;
        const auto slash = words[1].find('/');
        const bool is_of_protocol =
            slash == std::string_view::npos || words[1].substr(slash + 1) == protocol;
        const std::string_view number = words[1].substr(0, slash);
        words.erase(words.begin() + 1);
        if (is_of_protocol && std::ranges::find(words, name) != words.end())
            return to_number<std::uint16_t>(number);
    }
    return std::nullopt;
}

struct Found {
    addrinfo info{}; // first: freeaddrinfo() gets its address
    sockaddr_storage address{};
};

} // namespace

// A static glibc would load its name services at run time, of the very version it was built with.
// So services and protocols are read from their files, and names of hosts and networks are not
// known.
extern "C" {

// The answers to what libpcap asks: an address in digits, or the port of a service.
int getaddrinfo(const char* host, const char* service, const addrinfo* hints, addrinfo** out)
{
    sockaddr_in v4{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {}, .sin_zero = {}};
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    if (service) {
        const bool udp = hints && hints->ai_protocol == IPPROTO_UDP;
        auto port = to_number<std::uint16_t>(service);
        if (!port)
            port = find_number("/etc/services", service, udp ? "udp" : "tcp");
        if (!port)
            return EAI_SERVICE;
        v4.sin_port = htons(*port);
    }
    const bool is_v6 = host && ::inet_pton(AF_INET6, host, &v6.sin6_addr) == 1;
    if (host && !is_v6 && ::inet_pton(AF_INET, host, &v4.sin_addr) != 1)
        return EAI_NONAME;
    auto* const found = static_cast<Found*>(std::calloc(1, sizeof(Found)));
    if (!found)
        return EAI_MEMORY;
    found->info.ai_family = is_v6 ? AF_INET6 : AF_INET;
    found->info.ai_addrlen = is_v6 ? sizeof v6 : sizeof v4;
    found->info.ai_addr = reinterpret_cast<sockaddr*>(&found->address);
    if (is_v6)
        std::memcpy(&found->address, &v6, sizeof v6);
    else
        std::memcpy(&found->address, &v4, sizeof v4);
    *out = &found->info;
    return 0;
}

void freeaddrinfo(addrinfo* info) noexcept { std::free(info); } // there is one at most

hostent* gethostbyname(const char*) { return nullptr; }

int getnetbyname_r(const char*, netent*, char*, std::size_t, netent** result, int*)
{
    *result = nullptr;
    return ENOENT;
}

int getprotobyname_r(const char* name, protoent* result_buf, char*, std::size_t, protoent** result)
{
    const auto number = find_number("/etc/protocols", name, {});
    result_buf->p_proto = number.value_or(0);
    *result = number ? result_buf : nullptr;
    return number ? 0 : ENOENT;
}

int ether_hostton(const char*, ether_addr*) noexcept { return -1; }
}

// libpcap's way to devices and files ends here: its tables name these functions, and so the linker
// would take most of the library, and D-Bus with it.
extern "C" {
pcap_t* pcap_create_interface(const char*, char*) { return nullptr; }
int pcap_platform_finddevs(void*, char*) { return -1; }
int pcap_offline_read(pcap_t*, int, pcap_handler, u_char*) { return -1; }
pcap_t* bt_create(const char*, char*, int* is_ours) { return *is_ours = 0, nullptr; }
pcap_t* bt_monitor_create(const char*, char*, int* is_ours) { return *is_ours = 0, nullptr; }
pcap_t* dbus_create(const char*, char*, int* is_ours) { return *is_ours = 0, nullptr; }
pcap_t* netfilter_create(const char*, char*, int* is_ours) { return *is_ours = 0, nullptr; }
pcap_t* usb_create(const char*, char*, int* is_ours) { return *is_ours = 0, nullptr; }
int bt_findalldevs(void*, char*) { return -1; }
int bt_monitor_findalldevs(void*, char*) { return -1; }
int dbus_findalldevs(void*, char*) { return -1; }
int netfilter_findalldevs(void*, char*) { return -1; }
int usb_findalldevs(void*, char*) { return -1; }
}

namespace corebox::packet
{

pcap* open_compiler()
{
    constexpr int kAnyLength = 65535;
    return ::pcap_open_dead(DLT_RAW, kAnyLength);
}

} // namespace corebox::packet
