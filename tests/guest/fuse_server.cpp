// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "fuse_server.hpp"
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdexcept>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <thread>
#include <unistd.h>

namespace corebox::test
{
namespace
{

constexpr std::uint64_t kFile = 2, kProgram = 3; // FUSE_ROOT_ID is 1
constexpr std::uint64_t kSize = 64 << 10;

class Connection
{
public:
    Connection(int fd, std::chrono::milliseconds delay, const std::string& program)
        : fd_(fd), delay_(delay), program_(program)
    {
    }

    void serve()
    {
        for (;;) {
            const ssize_t n = ::read(fd_, request_.data(), request_.size());
            if (n < 0 && (errno == EINTR || errno == ENOENT)) // taken back meanwhile
                continue;
            if (n < ssize_t(sizeof(fuse_in_header)))
                return; // unmounted
            std::memcpy(&header_, request_.data(), sizeof header_);
            handle();
        }
    }

private:
    fuse_attr attributes(std::uint64_t node) const
    {
        fuse_attr a{};
        a.ino = node;
        a.mode = node == kFile      ? S_IFREG | 0644u
                 : node == kProgram ? S_IFREG | 0755u
                                    : S_IFDIR | 0755u;
        a.size = node == kFile ? kSize : node == kProgram ? program_.size() : 0;
        a.nlink = 1;
        a.blksize = 4096;
        return a;
    }

    template <class T>
    T argument() const
    {
        T in{};
        std::memcpy(&in, request_.data() + sizeof header_, sizeof in);
        return in;
    }

    void reply(int error, const void* data = nullptr, std::size_t size = 0) const
    {
        fuse_out_header out{};
        out.len = std::uint32_t(sizeof out + size);
        out.error = -error;
        out.unique = header_.unique;
        const iovec parts[] = {{&out, sizeof out}, {const_cast<void*>(data), size}};
        [[maybe_unused]] const ssize_t n = ::writev(fd_, parts, size ? 2 : 1);
    }
    template <class T>
    void reply_with(const T& out) const
    {
        reply(0, &out, sizeof out);
    }

    void handle()
    {
        switch (header_.opcode) {
        case FUSE_INIT: {
            const auto in = argument<fuse_init_in>();
            fuse_init_out out{};
            out.major = FUSE_KERNEL_VERSION;
            out.minor = std::min<std::uint32_t>(in.minor, 31);
            out.max_write = 32 << 10;
            return reply_with(out);
        }
        case FUSE_LOOKUP: {
            const char* name = request_.data() + sizeof header_;
            const bool is_program = std::strcmp(name, "program") == 0 && !program_.empty();
            if (std::strcmp(name, "slow") != 0 && !is_program)
                return reply(ENOENT);
            fuse_entry_out out{};
            out.nodeid = is_program ? kProgram : kFile;
            out.attr = attributes(out.nodeid);
            return reply_with(out);
        }
        case FUSE_GETATTR:
        case FUSE_SETATTR: {
            fuse_attr_out out{};
            out.attr = attributes(header_.nodeid);
            return reply_with(out);
        }
        case FUSE_OPEN:
        case FUSE_OPENDIR: {
            fuse_open_out out{};
            out.open_flags = header_.nodeid == kProgram ? 0 : FOPEN_DIRECT_IO;
            return reply_with(out);
        }
        case FUSE_READ: {
            const auto in = argument<fuse_read_in>();
            if (header_.nodeid == kProgram) {
                const auto part = std::string_view(program_).substr(
                    std::min<std::size_t>(in.offset, program_.size()), in.size);
                return reply(0, part.data(), part.size());
            }
            std::this_thread::sleep_for(delay_);
            const std::vector<char> data(
                in.offset >= kSize ? 0 : std::min<std::uint64_t>(in.size, kSize - in.offset), 'x');
            return reply(0, data.data(), data.size());
        }
        case FUSE_WRITE: {
            fuse_write_out out{};
            out.size = argument<fuse_write_in>().size;
            return reply_with(out);
        }
        case FUSE_FLUSH:
        case FUSE_FSYNC:
        case FUSE_RELEASE:
        case FUSE_RELEASEDIR:
            return reply(0);
        case FUSE_FORGET:
        case FUSE_BATCH_FORGET:
        case FUSE_INTERRUPT:
            return; // have no answer
        default:
            return reply(ENOSYS);
        }
    }

    int fd_;
    std::chrono::milliseconds delay_;
    const std::string& program_;
    fuse_in_header header_{};
    std::vector<char> request_ = std::vector<char>(128 << 10);
};

} // namespace

FuseServer::FuseServer(const std::string& directory, std::chrono::milliseconds delay,
                       const std::string& program)
    : directory_(directory)
{
    const int fd = ::open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        throw std::runtime_error(std::string("/dev/fuse: ") + std::strerror(errno));
    server_ =
        std::make_unique<Child>([fd, delay, &program] { Connection(fd, delay, program).serve(); });
    const std::string data =
        "fd=" + std::to_string(fd) + ",rootmode=40000,user_id=0,group_id=0,allow_other";
    const int mounted = ::mount("test", directory_.c_str(), "fuse", 0, data.c_str());
    ::close(fd);
    if (mounted != 0)
        throw std::runtime_error(std::string("mount fuse: ") + std::strerror(errno));
    server_->go(); // before it is mounted there is nothing to read
}

FuseServer::~FuseServer()
{
    ::umount2(directory_.c_str(), MNT_DETACH);
    server_.reset();
}

} // namespace corebox::test
