// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What network tests are made of: sockets of one line each, and the worlds that they live in. All
// throw where the kernel refuses.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <sys/socket.h>
#include <sys/types.h>
#include <utility>

namespace corebox::test
{

class Socket
{
public:
    Socket() = default;
    explicit Socket(int fd) : fd_(fd) {}
    Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Socket& operator=(Socket&& other) noexcept
    {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~Socket() { close(); }

    int fd() const { return fd_; }
    void close();
    void reset();                          // closes with RST (SO_LINGER 0)
    std::uint16_t port() const;            // its own
    void send(std::size_t bytes) const;    // all of them, zeros
    void receive(std::size_t bytes) const; // all of them
    void expect_end() const;               // waits for the other side's FIN

private:
    int fd_ = -1;
};

// "127.0.0.1", "::1", "::ffff:127.0.0.1" (an IPv6 socket) with a port.
struct SocketAddress {
    SocketAddress(const std::string& address, std::uint16_t port);
    sockaddr_storage storage{};
    socklen_t size = 0;
    const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

// A socket of the address's family; protocol 0: TCP for SOCK_STREAM, UDP for SOCK_DGRAM.
Socket make_socket(const std::string& address, int type = SOCK_STREAM, int protocol = 0);
Socket listen_on(const std::string& address, int backlog = 16, std::uint16_t port = 0);
// As connect() in `errno_out`: 0 or an errno; without it, throws where it fails.
Socket connect_to(const std::string& address, std::uint16_t port, int* errno_out = nullptr);
Socket accept_from(const Socket& listener);

// Waits until every connection of this network namespace has ended (TIME_WAIT is an end), but for
// so many sockets: the last segments of a connection come when its processes may have gone.
void wait_for_ends(std::size_t open = 0);

// A connect that does not wait.
Socket begin_connect(const std::string& address, std::uint16_t port);
// A connect that nobody answers: to its second segment, three seconds.
void time_out(const std::string& address, std::uint16_t port);
// Connections that are accepted, closed by the server, and reset.
void connect_often(std::uint64_t count);

// A listener whose queue is full: nobody answers further connects.
struct FullListener {
    Socket listener = listen_on("127.0.0.1", 0);
    Socket first = connect_to("127.0.0.1", listener.port());
};

// A port to which nobody listens.
std::uint16_t closed_port(const std::string& address);

} // namespace corebox::test
