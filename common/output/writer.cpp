// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "output/writer.hpp"
#include "base/signals.hpp"
#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

namespace corebox
{
namespace
{

// Whether a write may have to wait for a reader: poll(2) then reports room of at least PIPE_BUF
// bytes. False for what cannot be written to at all.
bool may_block(int fd)
{
    struct stat st {
    };
    return ::fstat(fd, &st) == 0 &&
           (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode) || S_ISCHR(st.st_mode)) &&
           (::fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY;
}

} // namespace

Writer::Writer(int fd) : fd_(fd), may_block_(may_block(fd)) { buffer_.reserve(kFlushBytes + 8192); }

bool Writer::wait_for_room() const
{
    constexpr int kStepMs = 100, kGraceMs = 2000;
    for (int waited_ms = 0; waited_ms < kGraceMs;) {
        pollfd p{fd_, POLLOUT, 0};
        if (const int n = ::poll(&p, 1, kStepMs); n > 0 || (n < 0 && errno != EINTR))
            return true;
        sigset_t pending;
        ::sigpending(&pending);
        if (std::ranges::any_of(kEndingSignals,
                                [&](int signal) { return ::sigismember(&pending, signal) == 1; }))
            waited_ms += kStepMs;
    }
    return false;
}

void Writer::flush()
{
    const char* at = buffer_.data();
    std::size_t left = buffer_.size();
    while (left > 0 && state_ == State::open) {
        if (may_block_ && !wait_for_room()) {
            state_ = State::failed;
            error_ = EAGAIN;
            break;
        }
        const std::size_t most = may_block_ ? std::min<std::size_t>(left, PIPE_BUF) : left;
        const ssize_t n = ::write(fd_, at, most);
        if (n >= 0) {
            at += n;
            left -= std::size_t(n);
        } else if (errno != EINTR && errno != EAGAIN) {
            state_ = errno == EPIPE ? State::closed : State::failed;
            error_ = errno;
        }
    }
    buffer_.clear();
}

void Writer::notice_closed()
{
    pollfd p{fd_, 0, 0};
    if (state_ == State::open && ::poll(&p, 1, 0) == 1 && (p.revents & POLLERR))
        state_ = State::closed;
}

} // namespace corebox
