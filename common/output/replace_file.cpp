// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "output/replace_file.hpp"
#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/text.hpp"
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>

namespace corebox
{
namespace
{

[[noreturn]] void fail_output(std::string_view path, int code)
{
    throw Failure{Exit::output, cat("write ", path, ": ", strerrordesc_np(code))};
}

bool write_all(int fd, std::string_view text)
{
    while (!text.empty()) {
        const ssize_t n = ::write(fd, text.data(), text.size());
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        text.remove_prefix(std::size_t(n));
    }
    return true;
}

std::string directory_of(const std::string& path)
{
    const auto slash = path.rfind('/');
    return slash == path.npos ? "." : path.substr(0, std::max<std::size_t>(slash, 1));
}

// The file behind links, so that a link stays one; the path itself where there is no file yet.
std::string link_target(const std::string& path)
{
    const std::unique_ptr<char, void (*)(void*)> real(::realpath(path.c_str(), nullptr), std::free);
    return real ? real.get() : path;
}

// Fails where the path may not be followed (fs.protected_symlinks): realpath(3) and rename(2) would
// not be told of that.
bool is_special(const std::string& path)
{
    struct stat st {
    };
    if (::stat(path.c_str(), &st) == 0)
        return !S_ISREG(st.st_mode);
    if (errno != ENOENT)
        fail_output(path, errno);
    return false;
}

} // namespace

void replace_file(const std::string& path, std::string_view text)
{
    if (is_special(path)) {
        const Fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
        if (!fd || !write_all(fd.get(), text))
            fail_output(path, errno);
        return;
    }
    const std::string target = link_target(path);
    std::string temporary = cat(target, ".XXXXXX");
    const Fd fd(::mkostemp(temporary.data(), O_CLOEXEC));
    if (!fd)
        fail_output(path, errno);
    const mode_t mask = ::umask(0);
    ::umask(mask);
    if (!write_all(fd.get(), text) || ::fchmod(fd.get(), 0666 & ~mask) != 0 ||
        ::fsync(fd.get()) != 0 || ::rename(temporary.c_str(), target.c_str()) != 0) {
        const int code = errno;
        ::unlink(temporary.c_str());
        fail_output(path, code);
    }
}

void check_replaceable(const std::string& path)
{
    struct stat st {
    };
    if (::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode))
        fail_output(path, EISDIR);
    const std::string place = is_special(path) ? path : directory_of(link_target(path));
    if (::access(place.c_str(), W_OK) != 0)
        fail_output(path, errno);
}

} // namespace corebox
