// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe/libbpf_log.hpp"
#include "base/text.hpp"
#include <bpf/libbpf.h>
#include <cstdarg>
#include <cstdio>

namespace corebox
{
namespace
{

constexpr std::size_t kLogBytes = 16 << 10;

// The messages come through a callback without context, hence the one variable of the kit that is
// not a value.
struct LibbpfLog {
    bool verbose = false;
    std::string text;
};
LibbpfLog g_log;

int on_libbpf(libbpf_print_level level, const char* format, va_list args) noexcept
{
    if (g_log.verbose)
        return std::vfprintf(stderr, format, args);
    if (level == LIBBPF_DEBUG)
        return 0;
    char line[1024];
    const int n = std::vsnprintf(line, sizeof line, format, args);
    if (g_log.text.size() < kLogBytes)
        g_log.text += line;
    return n;
}

} // namespace

void take_libbpf_log(bool verbose)
{
    g_log.verbose = verbose;
    libbpf_set_print(on_libbpf);
}

void clear_libbpf_log() { g_log.text.clear(); }

std::pair<std::string, std::string> find_blamed_program()
{
    const std::string_view log = g_log.text;
    const auto at = log.rfind("prog '");
    if (at == log.npos)
        return {};
    // The first message about this program is the cause, later ones its consequences.
    auto name = log.substr(at + 6);
    name = name.substr(0, name.find('\''));
    const std::string start = cat("prog '", name, "': ");
    std::string_view message;
    for (std::size_t from = 0; (from = log.find(start, from)) != log.npos;) {
        from += start.size();
        message = log.substr(from, log.find('\n', from) - from);
        if (!message.starts_with("missing .BTF.ext")) // line information, which we leave out
            break;
    }
    return {std::string(name), std::string(message)};
}

} // namespace corebox
