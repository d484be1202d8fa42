// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/text.hpp"
#include <cerrno>
#include <cstring>
#include <fcntl.h>

namespace corebox
{

void fail(std::string_view attempted, int code, std::string_view hint)
{
    const char* const known = strerrordesc_np(code);
    fail(attempted, code == 0 ? std::string() : known ? known : errno_name(code), hint);
}

void fail(std::string_view attempted, std::string_view reason, std::string_view hint)
{
    throw Failure{Exit::cannot_run, cat(attempted, reason.empty() ? "" : ": ", reason,
                                        hint.empty() ? "" : "; ", hint)};
}

void fail_usage(std::string message, std::string below)
{
    throw Failure{Exit::usage, std::move(message), std::move(below)};
}

std::optional<std::string> read_file(const std::string& path) { return read_file(path, {}); }

std::optional<std::string> read_file(const std::string& path,
                                     const std::function<bool(std::string_view more)>& is_enough)
{
    const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd)
        return std::nullopt;
    std::string text;
    for (std::size_t chunk = 4096;;) {
        const std::size_t used = text.size();
        text.resize(used + chunk);
        const ssize_t n = ::read(fd.get(), text.data() + used, chunk);
        text.resize(used + (n > 0 ? std::size_t(n) : 0));
        if (n < 0 && errno != EINTR)
            return std::nullopt;
        if (n == 0 ||
            (is_enough && n > 0 && is_enough(std::string_view(text).substr(used, std::size_t(n)))))
            return text;
        // The long lists of the kernel come a page at a time, whatever the room.
        if (std::size_t(n) == chunk && chunk < 1 << 20)
            chunk *= 2;
    }
}

std::optional<std::string_view> status_field(std::string_view text, std::string_view key)
{
    while (!text.empty()) {
        const auto end = text.find('\n');
        const auto line = text.substr(0, end);
        if (line.starts_with(key) && line.size() > key.size() && line[key.size()] == ':') {
            const auto at = line.find_first_not_of(" \t", key.size() + 1);
            return at == line.npos ? std::string_view{} : line.substr(at);
        }
        text = end == text.npos ? std::string_view{} : text.substr(end + 1);
    }
    return std::nullopt;
}

std::string errno_name(int code)
{
    const char* name = strerrorname_np(code);
    return name ? name : cat('E', code);
}

} // namespace corebox
