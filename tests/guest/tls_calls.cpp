// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "tls_calls.hpp"
#include <cstring>
#include <unistd.h>

using namespace corebox::test;

namespace
{

long next(void* buffer = nullptr)
{
    if (tls_plan.sleep_us)
        ::usleep(tls_plan.sleep_us);
    if (buffer)
        std::memcpy(buffer, tls_plan.data.data(), tls_plan.data.size());
    return tls_plan.result;
}

void put(unsigned char* object, std::size_t offset, const void* pointer)
{
    std::memcpy(object + offset, &pointer, sizeof pointer);
}

} // namespace

namespace corebox::test
{

FakeSsl::FakeSsl(Version version, int fd)
{
    const int protocol = version == v3_2 ? 0 : 0x0304;
    std::memcpy(ssl, &protocol, sizeof protocol);
    put(ssl, version == v3_2 ? 0x50 : 0x10, bio);
    put(bio, version == v1_1 ? 0 : 8, method);
    std::memcpy(bio + (version == v1_1 ? 0x30 : 0x38), &fd, sizeof fd);
}

FakeNspr::FakeNspr(int fd, bool tls)
    : lower{socket, secret, nullptr}, upper{layered, nullptr, tls ? lower : nullptr}
{
    std::memcpy(secret + 0x1c, &fd, sizeof fd);
}

} // namespace corebox::test

extern "C" {
int SSL_read(void*, void* buffer, int size)
{
    if (void* const inner = tls_plan.inner) {
        tls_plan.inner = nullptr;
        SSL_read(inner, buffer, size);
    }
    return int(next(buffer));
}
int SSL_read_ex(void*, void* buffer, std::size_t, std::size_t* done)
{
    *done = tls_plan.data.size();
    return int(next(buffer));
}
int SSL_write(void*, const void*, int) { return int(next()); }
int SSL_write_ex(void* ssl, const void* buffer, std::size_t size, std::size_t* done)
{
    return SSL_write_ex2(ssl, buffer, size, 0, done);
}
int SSL_write_ex2(void*, const void*, std::size_t size, std::uint64_t, std::size_t* done)
{
    *done = size;
    return int(next());
}
int SSL_do_handshake(void*) { return int(next()); }
ssize_t gnutls_record_recv(void*, void* buffer, std::size_t) { return next(buffer); }
ssize_t gnutls_record_send(void* session, const void* buffer, std::size_t size)
{
    return gnutls_record_send2(session, buffer, size, 0, 0);
}
ssize_t gnutls_record_send2(void*, const void*, std::size_t, std::size_t, unsigned)
{
    return next();
}
int PR_Read(void*, void* buffer, int) { return int(next(buffer)); }
int PR_Write(void*, const void*, int) { return int(next()); }
int PR_Writev(void*, const FakePiece*, int, unsigned) { return int(next()); }
}
