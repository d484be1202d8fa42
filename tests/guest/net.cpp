// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "net.hpp"
#include "harness.hpp"
#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdexcept>
#include <unistd.h>
#include <vector>

namespace corebox::test
{
namespace
{

void check(bool done, const char* what)
{
    if (!done)
        throw std::runtime_error(std::string(what) + ": " + std::strerror(errno));
}

} // namespace

void Socket::close()
{
    if (fd_ >= 0)
        ::close(fd_);
    fd_ = -1;
}

void Socket::reset()
{
    const linger now{1, 0};
    check(::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now) == 0, "SO_LINGER");
    close();
}

std::uint16_t Socket::port() const
{
    sockaddr_storage own{};
    socklen_t size = sizeof own;
    check(::getsockname(fd_, reinterpret_cast<sockaddr*>(&own), &size) == 0, "getsockname");
    return ntohs(own.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(own).sin6_port
                                           : reinterpret_cast<const sockaddr_in&>(own).sin_port);
}

void Socket::send(std::size_t bytes) const
{
    const std::vector<char> zeros(bytes);
    for (std::size_t sent = 0; sent < bytes;) {
        const ssize_t n = ::send(fd_, zeros.data() + sent, bytes - sent, MSG_NOSIGNAL);
        check(n > 0, "send");
        sent += std::size_t(n);
    }
}

void Socket::receive(std::size_t bytes) const
{
    std::vector<char> room(bytes);
    check(::recv(fd_, room.data(), bytes, MSG_WAITALL) == ssize_t(bytes), "recv");
}

void Socket::expect_end() const
{
    char byte;
    check(::recv(fd_, &byte, 1, 0) == 0, "the end of the other side");
}

SocketAddress::SocketAddress(const std::string& address, std::uint16_t port)
{
    auto& v6 = reinterpret_cast<sockaddr_in6&>(storage);
    auto& v4 = reinterpret_cast<sockaddr_in&>(storage);
    if (::inet_pton(AF_INET, address.c_str(), &v4.sin_addr) == 1) {
        v4.sin_family = AF_INET;
        v4.sin_port = htons(port);
        size = sizeof v4;
    } else {
        check(::inet_pton(AF_INET6, address.c_str(), &v6.sin6_addr) == 1, "an address");
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(port);
        size = sizeof v6;
    }
}

Socket make_socket(const std::string& address, int type, int protocol)
{
    Socket s(::socket(SocketAddress(address, 0).storage.ss_family, type | SOCK_CLOEXEC, protocol));
    check(s.fd() >= 0, "socket");
    return s;
}

Socket listen_on(const std::string& address, int backlog, std::uint16_t port)
{
    Socket s = make_socket(address);
    const SocketAddress own(address, port);
    check(::bind(s.fd(), own.get(), own.size) == 0, "bind");
    check(::listen(s.fd(), backlog) == 0, "listen");
    return s;
}

Socket connect_to(const std::string& address, std::uint16_t port, int* errno_out)
{
    Socket s = make_socket(address);
    const SocketAddress to(address, port);
    const int result = ::connect(s.fd(), to.get(), to.size);
    if (errno_out)
        *errno_out = result == 0 ? 0 : errno;
    else
        check(result == 0, "connect");
    return s;
}

Socket accept_from(const Socket& listener)
{
    Socket s(::accept4(listener.fd(), nullptr, nullptr, SOCK_CLOEXEC));
    check(s.fd() >= 0, "accept");
    return s;
}

void wait_for_ends(std::size_t open)
{
    // The second word is the local address: what a world of another test left tries for minutes to
    // reach an end that is gone. The fourth is the state: TCP_TIME_WAIT and TCP_LISTEN remain.
    const auto is_loopback = [](const std::string& address) {
        const std::string ip = address.substr(0, address.find(':'));
        return ip.ends_with("0100007F") || ip == "00000000000000000000000001000000";
    };
    std::vector<std::string> left;
    const auto all_ended = [&] {
        left.clear();
        for (const char* file : {"/proc/net/tcp", "/proc/net/tcp6"})
            for (const std::string& line : lines(read_file(file)))
                if (const auto w = words(line);
                    w.size() > 3 && is_loopback(w[1]) && w[3] != "06" && w[3] != "0A")
                    left.push_back(line);
        return left.size() <= open;
    };
    if (!wait_until(all_ended))
        throw std::runtime_error("connections that do not end, such as " + left[0]);
}

Socket begin_connect(const std::string& address, std::uint16_t port)
{
    Socket s = make_socket(address, SOCK_STREAM | SOCK_NONBLOCK);
    const SocketAddress to(address, port);
    check(::connect(s.fd(), to.get(), to.size) == -1 && errno == EINPROGRESS, "begin a connect");
    return s;
}

void time_out(const std::string& address, std::uint16_t port)
{
    const Socket s = make_socket(address);
    const SocketAddress to(address, port);
    const int again = 1;
    check(::setsockopt(s.fd(), IPPROTO_TCP, TCP_SYNCNT, &again, sizeof again) == 0, "TCP_SYNCNT");
    check(::connect(s.fd(), to.get(), to.size) == -1 && errno == ETIMEDOUT,
          "a connect that times out");
}

void connect_often(std::uint64_t count)
{
    const Socket listener = listen_on("127.0.0.1", 128);
    for (std::uint64_t i = 0; i < count; i++) {
        Socket client = connect_to("127.0.0.1", listener.port());
        accept_from(listener).close();
        client.reset();
    }
}

std::uint16_t closed_port(const std::string& address)
{
    return listen_on(address).port(); // it is closed at once
}

} // namespace corebox::test
