// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "symbols/file.hpp"

#include <cerrno>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace corebox
{
namespace
{

Fd reopen_if_regular(Fd handle, struct stat* info)
{
    struct stat own_info;
    if (info == nullptr)
        info = &own_info;
    if (!handle || ::fstat(handle.get(), info) != 0 || !S_ISREG(info->st_mode))
        return {};
    std::string link = "/proc/self/fd/" + std::to_string(handle.get());
    return Fd{::open(link.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY)};
}

} // namespace

Fd open_regular(const std::string& path, struct stat* info)
{
    return reopen_if_regular(Fd{::open(path.c_str(), O_PATH | O_CLOEXEC)}, info);
}

Fd open_regular_in(int root, const std::string& path, struct stat* info)
{
    if (root < 0)
        return open_regular(path, info);
    struct open_how how = {};
    how.flags = O_PATH | O_CLOEXEC;
    how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    // openat2 is of 5.6; glibc has no wrapper for it yet.
    long fd = ::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how);
    return reopen_if_regular(Fd{static_cast<int>(fd)}, info);
}

std::optional<std::string> read_all(int fd, std::size_t limit)
{
    std::string text;
    std::size_t held = 0;
    for (;;) {
        if (held == text.size()) {
            if (held >= limit)
                return std::nullopt;
            text.resize(held == 0 ? 16 * 1024 : held * 2);
        }
        ssize_t got = ::read(fd, text.data() + held, text.size() - held);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return std::nullopt;
        if (got == 0)
            break;
        held += static_cast<std::size_t>(got);
    }
    text.resize(held);
    return text;
}

} // namespace corebox
