// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "kernel/ftrace.hpp"
#include "base/text.hpp"
#include <cerrno>
#include <fcntl.h>
#include <sys/inotify.h>
#include <unistd.h>

namespace corebox
{
namespace
{

constexpr const char* kSetting = "/proc/sys/kernel/ftrace_enabled";

// CONFIG_KPROBES_ON_FTRACE: where there is ftrace x86 always has it, and arm64 never (up to 7.2).
#ifdef __x86_64__
constexpr bool kKprobesUseFtrace = true;
#else
constexpr bool kKprobesUseFtrace = false;
#endif

// Once ftrace is dead, reading the setting fails (ftrace_enable_sysctl(): ENODEV).
Ftrace read_state(const Fd& setting)
{
    char value = '1';
    if (::pread(setting.get(), &value, 1, 0) < 0 && errno == ENODEV)
        return Ftrace::dead;
    return value == '0' ? Ftrace::off : Ftrace::on;
}

} // namespace

Ftrace read_ftrace()
{
    const Fd setting(::open(kSetting, O_RDONLY | O_CLOEXEC));
    return setting ? read_state(setting) : Ftrace::on;
}

Obstacle ftrace_obstacle(Ftrace state)
{
    return {state == Ftrace::on    ? Cause::none
            : state == Ftrace::off ? Cause::ftrace_off
                                   : Cause::ftrace_dead};
}

bool depends_on_ftrace(std::string_view section)
{
    const std::string_view kind = section.substr(0, section.find('/'));
    if (kind == "kprobe" || kind == "kretprobe")
        return kKprobesUseFtrace;
    return kind == "fentry" || kind == "fexit" || kind == "fmod_ret" ||
           kind.starts_with("kprobe.") || kind.starts_with("kretprobe.");
}

FtraceWatch::FtraceWatch(bool needed, std::uint64_t now_ns)
{
    if (!needed)
        return;
    setting_ = Fd(::open(kSetting, O_RDONLY | O_CLOEXEC));
    writes_ = Fd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    if (writes_)
        ::inotify_add_watch(writes_.get(), kSetting, IN_MODIFY);
    last_look_ns_ = now_ns;
}

bool FtraceWatch::look(std::uint64_t now_ns)
{
    if (!setting_)
        return false;
    const bool was_silent = is_silent(), silent = read_state(setting_) != Ftrace::on;
    // It may have changed right after the last look.
    if (silent && !was_silent)
        since_ns_ = last_look_ns_;
    // Somebody wrote, and it is as it was: it may have been off in between.
    alignas(inotify_event) char events[512];
    const bool written = ::read(writes_.get(), events, sizeof events) > 0;
    const bool flickered = written && !silent && !was_silent;
    if (flickered)
        since_ns_ = last_look_ns_;
    if (!silent && since_ns_ != 0) {
        silent_ns_ += now_ns - since_ns_;
        since_ns_ = 0;
    }
    last_look_ns_ = now_ns;
    return silent != was_silent || flickered;
}

std::uint64_t FtraceWatch::silent_ns() const
{
    return silent_ns_ + (since_ns_ ? last_look_ns_ - since_ns_ : 0);
}

} // namespace corebox
