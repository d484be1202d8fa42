// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#pragma once
#include <cstdint>
#include <linux/io_uring.h>
#include <stdexcept>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace corebox::test
{

// The smallest io_uring: one request at a time, waited for.
class Uring
{
public:
    Uring() : fd_(int(::syscall(SYS_io_uring_setup, 4, &params_)))
    {
        if (fd_ < 0)
            throw std::runtime_error("io_uring_setup");
        submission_ = map(params_.sq_off.array + params_.sq_entries * 4, IORING_OFF_SQ_RING);
        completion_ = map(params_.cq_off.cqes + params_.cq_entries * sizeof(io_uring_cqe),
                          IORING_OFF_CQ_RING);
        entries_ = reinterpret_cast<io_uring_sqe*>(
            map(params_.sq_entries * sizeof(io_uring_sqe), IORING_OFF_SQES));
    }
    ~Uring() { ::close(fd_); }

    // A request, to its end: what the system call would return.
    int run(const io_uring_sqe& request)
    {
        const unsigned tail = *at(submission_, params_.sq_off.tail);
        const unsigned slot = tail & *at(submission_, params_.sq_off.ring_mask);
        entries_[slot] = request;
        at(submission_, params_.sq_off.array)[slot] = slot;
        __atomic_store_n(at(submission_, params_.sq_off.tail), tail + 1, __ATOMIC_RELEASE);
        if (::syscall(SYS_io_uring_enter, fd_, 1, 1, IORING_ENTER_GETEVENTS, nullptr, 0) != 1)
            throw std::runtime_error("io_uring_enter");
        const unsigned head = *at(completion_, params_.cq_off.head);
        const auto* cqes = reinterpret_cast<const io_uring_cqe*>(completion_ + params_.cq_off.cqes);
        const int result = cqes[head & *at(completion_, params_.cq_off.ring_mask)].res;
        __atomic_store_n(at(completion_, params_.cq_off.head), head + 1, __ATOMIC_RELEASE);
        return result;
    }

private:
    char* map(std::size_t size, std::uint64_t offset) const
    {
        void* p = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd_,
                         off_t(offset));
        if (p == MAP_FAILED)
            throw std::runtime_error("mmap of an io_uring");
        return static_cast<char*>(p);
    }
    static unsigned* at(char* ring, unsigned offset)
    {
        return reinterpret_cast<unsigned*>(ring + offset);
    }

    io_uring_params params_{};
    int fd_;
    char *submission_, *completion_;
    io_uring_sqe* entries_;
};

} // namespace corebox::test
