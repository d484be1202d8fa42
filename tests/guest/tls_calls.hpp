// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The test program as one with TLS libraries of its own: functions of their names, which encrypt
// nothing, and objects that say of themselves what theirs say.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <sys/types.h>

namespace corebox::test
{

// What the next call returns, and what a read puts into the buffer.
struct TlsPlan {
    long result = 0;
    std::string data{};
    unsigned sleep_us = 0;
    void* inner = nullptr; // SSL_read() reads from this SSL first
};
inline TlsPlan tls_plan;

// An SSL and its BIO with the descriptor, as versions lay them out.
struct FakeSsl {
    enum Version { v1_1, v3_0, v3_2 };
    FakeSsl(Version version, int fd);
    FakeSsl(const FakeSsl&) = delete;
    FakeSsl& operator=(const FakeSsl&) = delete;

    alignas(8) unsigned char ssl[128] = {};
    alignas(8) unsigned char bio[128] = {};
    int method[4] = {0x505}; // BIO_TYPE_SOCKET
};

// A PRFileDesc of TLS above one of a socket, or without a layer below it.
struct FakeNspr {
    explicit FakeNspr(int fd, bool tls = true);
    FakeNspr(const FakeNspr&) = delete;
    FakeNspr& operator=(const FakeNspr&) = delete;

    int layered[2] = {4}, socket[2] = {2}; // PR_DESC_LAYERED, PR_DESC_SOCKET_TCP
    alignas(8) unsigned char secret[64] = {};
    const void* lower[3];
    const void* upper[3];
};

struct FakePiece {
    const void* base;
    int len;
};

} // namespace corebox::test

extern "C" {
int SSL_read(void* ssl, void* buffer, int size);
int SSL_read_ex(void* ssl, void* buffer, std::size_t size, std::size_t* done);
int SSL_write(void* ssl, const void* buffer, int size);
int SSL_write_ex(void* ssl, const void* buffer, std::size_t size, std::size_t* done);
int SSL_write_ex2(void* ssl, const void* buffer, std::size_t size, std::uint64_t flags,
                  std::size_t* done);
int SSL_do_handshake(void* ssl);
ssize_t gnutls_record_recv(void* session, void* buffer, std::size_t size);
ssize_t gnutls_record_send(void* session, const void* buffer, std::size_t size);
ssize_t gnutls_record_send2(void* session, const void* buffer, std::size_t size, std::size_t pad,
                            unsigned flags);
int PR_Read(void* descriptor, void* buffer, int size);
int PR_Write(void* descriptor, const void* buffer, int size);
int PR_Writev(void* descriptor, const corebox::test::FakePiece* pieces, int count,
              unsigned timeout);
}
